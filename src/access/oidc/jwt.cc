#include "access/oidc/jwt.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "base/encoding.h"

namespace vestige::access::oidc {

namespace {

using internal::shown;

std::unexpected<Error> malformed(std::string_view why) {
  return fail(ErrorKind::denied, fmt::format("The provider's ID token is malformed: {}.", why));
}
std::unexpected<Error> refused(std::string_view why) {
  return fail(ErrorKind::denied, fmt::format("The provider's ID token is refused: {}.", why));
}

struct Parts {
  std::string_view header, payload, signature;
};

Result<Parts> split(std::string_view text) {
  if (text.size() > limits::token_bytes_max)
    return malformed(fmt::format("it has {} bytes, more than {}", text.size(), limits::token_bytes_max));
  const auto dots = std::ranges::count(text, '.');
  if (dots == 4)
    return malformed("it is encrypted; configure the client at the provider for signed ID tokens");
  if (dots != 2) return malformed("it does not have three parts");
  const auto first = text.find('.');
  const auto second = text.find('.', first + 1);
  return Parts{.header = text.substr(0, first),
               .payload = text.substr(first + 1, second - first - 1),
               .signature = text.substr(second + 1)};
}

struct Header {
  Algorithm algorithm;
  std::optional<std::string> key_id;
};

// An access token or a logout token of the same provider is signed with the same keys and is no ID token
// (RFC 8725 §3.11).
bool is_id_token_type(const json::Value& type) {
  if (!type.exists()) return true;
  if (!type.is_string()) return false;
  const auto text = type.string();
  return std::ranges::equal(text, std::string_view("jwt"),
                            [](char a, char b) { return a == b || a + ('a' - 'A') == b; });
}

Result<Header> read_header(const json::Value& header, std::span<const Algorithm> allowed) {
  if (!header.is_object()) return malformed("its header is no JSON object");
  const auto name = header.find("alg");
  if (!name.is_string()) return malformed("its header names no algorithm");
  const auto algorithm = algorithm_named(name.string());
  if (!algorithm || std::ranges::find(allowed, *algorithm) == allowed.end())
    return refused(
        fmt::format("it is signed with \"{}\", which is not among the algorithms that are configured",
                    shown(name.string(), 20)));
  if (header.find("crit").exists()) return refused("its header asks for extensions (\"crit\")");
  if (!is_id_token_type(header.find("typ"))) return refused("its type is that of another kind of token");
  Header read{.algorithm = *algorithm, .key_id = {}};
  if (const auto id = header.find("kid"); id.exists()) {
    if (!id.is_string() || id.string().empty() || id.string().size() > limits::key_id_bytes_max)
      return malformed("its key id is no short text");
    read.key_id = id.string();
  }
  return read;
}

}  // namespace

Result<Token> Token::parse(std::string_view text, std::span<const Algorithm> allowed) {
  VESTIGE_TRY(const auto parts, split(text));
  const auto header_bytes = from_base64url(parts.header);
  auto payload = from_base64url(parts.payload);
  auto signature = from_base64url(parts.signature);
  if (!header_bytes || !payload || !signature) return malformed("a part of it is no base64url");
  if (header_bytes->size() > limits::token_header_bytes_max) return malformed("its header is too long");
  json::Parser parser;
  json::Document document;
  if (const auto status = parser.parse(
          vestige::text(*header_bytes), document,
          {.depth_max = limits::document_depth_max, .bytes_max = limits::token_header_bytes_max});
      !status)
    return malformed("its header is no JSON, or has a member twice");
  VESTIGE_TRY(auto header, read_header(document.root(), allowed));
  Token token;
  token.algorithm_ = header.algorithm;
  token.key_id_ = std::move(header.key_id);
  token.signed_part_ = text.substr(0, parts.header.size() + 1 + parts.payload.size());
  token.payload_ = *std::move(payload);
  token.signature_ = *std::move(signature);
  return token;
}

Result<json::Document> Token::verify(const KeySet& keys) const {
  const auto candidates = keys.fitting(algorithm_, key_id_);
  if (candidates.empty())
    return fail(
        ErrorKind::not_found,
        fmt::format("The provider's ID token is refused: {}.{}{}",
                    key_id_
                        ? fmt::format("the provider publishes no {} key with the id \"{}\"",
                                      name_of(algorithm_).name, shown(*key_id_))
                        : fmt::format("it names no key, and the provider does not publish exactly one for {}",
                                      name_of(algorithm_).name),
                    keys.remark().empty() ? "" : " ", keys.remark()));
  const auto verifies = [&](const ProviderKey* candidate) {
    return candidate->key.verify(name_of(algorithm_).scheme, view(signed_part_), signature_);
  };
  if (std::ranges::none_of(candidates, verifies)) return refused("its signature is wrong");
  json::Parser parser;
  json::Document claims;
  std::vector<std::string> lossless;  // a large number in a claim that nobody reads is no reason to refuse
  if (const auto status = parser.parse_lossless(
          vestige::text(payload_), claims, lossless,
          {.depth_max = limits::document_depth_max, .bytes_max = limits::token_bytes_max});
      !status || !claims.root().is_object())
    return malformed("its claims are no JSON object, or one is there twice");
  return claims;
}

}  // namespace vestige::access::oidc
