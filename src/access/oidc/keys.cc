#include "access/oidc/keys.h"

#include <fmt/format.h>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "base/encoding.h"
#include "json/json.h"

namespace vestige::access::oidc {

namespace {

Result<Bytes> number_of(const json::Value& jwk, std::string_view name) {
  const auto value = jwk.find(name);
  auto bytes = value.is_string() ? from_base64url(value.string()) : std::nullopt;
  if (!bytes || bytes->empty())
    return fail(ErrorKind::invalid, fmt::format("a key whose \"{}\" is missing or no base64url", name));
  return *std::move(bytes);
}

Result<crypto::VerificationKey> public_half(const json::Value& jwk) {
  const auto type = jwk.find("kty");
  const auto curve = jwk.find("crv");
  const auto is = [](const json::Value& value, std::string_view text) {
    return value.is_string() && value.string() == text;
  };
  if (is(type, "RSA")) {
    VESTIGE_TRY(const auto n, number_of(jwk, "n"));
    VESTIGE_TRY(const auto e, number_of(jwk, "e"));
    return crypto::VerificationKey::rsa(n, e);
  }
  if (is(type, "EC") && is(curve, "P-256")) {
    VESTIGE_TRY(const auto x, number_of(jwk, "x"));
    VESTIGE_TRY(const auto y, number_of(jwk, "y"));
    return crypto::VerificationKey::p256(x, y);
  }
  if (is(type, "OKP") && is(curve, "Ed25519")) {
    VESTIGE_TRY(const auto x, number_of(jwk, "x"));
    return crypto::VerificationKey::ed25519(x);
  }
  return fail(ErrorKind::invalid, "a key of a kind that is not used here");
}

// Absent members say nothing; present ones have to allow verifying.
bool is_for_verifying(const json::Value& jwk) {
  const auto use = jwk.find("use");
  if (use.exists() && !(use.is_string() && use.string() == "sig")) return false;
  const auto operations = jwk.find("key_ops");
  if (!operations.exists()) return true;
  if (!operations.is_array()) return false;
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (operations.at(i).is_string() && operations.at(i).string() == "verify") return true;
  return false;
}

Result<ProviderKey> read_key(const json::Value& jwk) {
  if (!jwk.is_object()) return fail(ErrorKind::invalid, "something that is no key");
  for (const std::string_view secret : {"d", "p", "q", "k"})
    if (jwk.find(secret).exists())
      return fail(ErrorKind::invalid,
                  "a key that is published with its private half, so anybody can sign with it");
  if (!is_for_verifying(jwk)) return fail(ErrorKind::invalid, "a key that is not for signatures");
  VESTIGE_TRY(auto key, public_half(jwk));
  ProviderKey read{.id = {}, .algorithm = {}, .key = std::move(key)};
  if (const auto id = jwk.find("kid"); id.exists()) {
    if (!id.is_string() || id.string().empty() || id.string().size() > limits::key_id_bytes_max)
      return fail(ErrorKind::invalid, "a key whose id is no short text");
    read.id = id.string();
  }
  if (const auto algorithm = jwk.find("alg"); algorithm.exists()) {
    read.algorithm = algorithm.is_string() ? algorithm_named(algorithm.string()) : std::nullopt;
    if (!read.algorithm || !read.key.fits(name_of(*read.algorithm).scheme))
      return fail(ErrorKind::invalid, "a key for an algorithm that is not used here");
  }
  return read;
}

}  // namespace

bool ProviderKey::fits(Algorithm wanted) const {
  return key.fits(name_of(wanted).scheme) && (!algorithm || *algorithm == wanted);
}

Result<KeySet> KeySet::parse(std::string_view text) {
  json::Parser parser;
  json::Document document;
  if (auto status = parser.parse(
          text, document, {.depth_max = limits::document_depth_max, .bytes_max = limits::document_bytes_max});
      !status)
    return fail(ErrorKind::invalid,
                fmt::format("The provider's keys are no JSON: {}", status.error().message));
  const auto list = document.root().find("keys");
  if (!list.is_array())
    return fail(ErrorKind::invalid,
                "The provider's keys are no JWK Set: there is no list \"keys\" (RFC 7517 §5).");
  if (list.size() > limits::keys_max)
    return fail(ErrorKind::invalid, fmt::format("The provider lists {} keys; at most {} are looked at.",
                                                list.size(), limits::keys_max));
  KeySet set;
  std::size_t passed_over = 0;
  std::string first_reason;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto key = read_key(list.at(i));
    if (key)
      set.keys_.push_back(*std::move(key));
    else if (++passed_over == 1)
      first_reason = key.error().message;
  }
  if (passed_over > 0)
    set.remark_ = fmt::format("Of the provider's {} keys {} cannot be used; the first of these is {}.",
                              list.size(), passed_over, first_reason);
  return set;
}

std::vector<const ProviderKey*> KeySet::fitting(Algorithm algorithm,
                                                const std::optional<std::string>& id) const {
  std::vector<const ProviderKey*> found;
  for (const auto& key : keys_)
    if (key.fits(algorithm) && (!id || key.id == id)) found.push_back(&key);
  // Without an id nothing says which one was meant (Core §10.1 wants an id then).
  if (!id && found.size() > 1) found.clear();
  return found;
}

}  // namespace vestige::access::oidc
