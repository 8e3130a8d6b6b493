#include "api/api_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::api {
namespace {

constexpr std::string_view header_line = "vestige-api-keys 1";
constexpr std::string_view digest_prefix = "sha256 ";
constexpr std::string_view key_prefix = "vst_";
constexpr std::size_t file_bytes_max = 16 << 20;

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", byte);
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto byte = i + 2 < text.size() ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(byte->front()));
    i += 2;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string key_text(const Key& secret) { return std::string(key_prefix) + to_base64url(secret); }

bool parse_scopes(std::string_view text, Scopes& scopes) {
  for (const auto name : split(text, ',')) {
    const auto scope = access::parse_scope(name);
    if (!scope || scopes.has(*scope)) return false;
    scopes.add(*scope);
  }
  return true;
}

std::string join_scopes(const Scopes& scopes) { return fmt::format("{}", fmt::join(scopes.names(), ",")); }

}  // namespace

Result<std::unique_ptr<ApiKeys>> ApiKeys::open(platform::FileSystem& files, platform::Entropy& entropy) {
  std::unique_ptr<ApiKeys> keys(new ApiKeys(files, entropy));
  const std::string path(keys_file_name);
  Lock lock(keys->mutex_);
  const auto bytes = platform::read_file(files, path, file_bytes_max);
  if (!bytes) {
    if (bytes.error().kind != ErrorKind::not_found) return std::unexpected(bytes.error());
    VESTIGE_CHECKED(keys->write({}));
    return keys;
  }
  const auto content = text(*bytes);
  const auto damaged = [&](std::uint64_t offset, std::string_view what) {
    return corrupt(path, offset, fmt::format("{}: {}", files.describe(path), what));
  };
  const auto last = content.rfind(digest_prefix);
  if (last == std::string_view::npos) return damaged(content.size(), "the line with its digest is missing");
  const auto wanted =
      fmt::format("{}{}\n", digest_prefix, to_hex(crypto::sha256(view(content.substr(0, last)))));
  if (content.substr(last) != wanted) return damaged(last, "its digest does not match its content");
  auto lines = split(content.substr(0, last), '\n');
  if (lines.size() < 2 || lines.front() != header_line || !lines.back().empty())
    return damaged(0, "this is no file of API keys of a known version");
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    const auto fields = split(lines[i], ' ');
    const auto bad = [&] {
      return damaged(static_cast<std::uint64_t>(lines[i].data() - content.data()), "a line does not parse");
    };
    if (fields.size() != 6) return bad();
    const auto id = parse_uuid(fields[0]);
    const auto created = parse_time(fields[2]);
    const auto digest = array_from_base64<32>(fields[4]);
    const auto name = percent_decode(fields[5]);
    Stored stored{};
    if (!id || !created || !digest || !name || !parse_scopes(fields[1], stored.about.scopes)) return bad();
    stored.about = {*id, *name, std::string(fields[3]), stored.about.scopes, *created};
    stored.digest = *digest;
    keys->keys_.push_back(std::move(stored));
  }
  return keys;
}

Status ApiKeys::write(const std::vector<Stored>& keys) {
  std::string out = std::string(header_line) + "\n";
  for (const auto& key : keys)
    out += fmt::format("{} {} {} {} {} {}\n", format_uuid(key.about.id), join_scopes(key.about.scopes),
                       format_time(key.about.created), key.about.tenant, to_base64(key.digest),
                       percent_encode(key.about.name));
  out += fmt::format("{}{}\n", digest_prefix, to_hex(crypto::sha256(view(out))));
  return platform::replace_file(files_, std::string(keys_file_name), view(out), platform::FileMode::secret);
}

Result<ApiKeys::Created> ApiKeys::make(std::string_view name, Scopes scopes, std::string_view tenant,
                                       UnixMs now) {
  const auto refuse = [](std::string path, std::string what) {
    Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
    error.path = std::move(path);
    return std::unexpected(std::move(error));
  };
  if (name.empty() || name.size() > key_name_bytes_max || !is_utf8(name))
    return refuse("/name", fmt::format("a key's name has 1 to {} bytes", key_name_bytes_max));
  if (scopes.empty()) return refuse("/scopes", "a key needs at least one of the scopes ingest, read, admin");
  Created created;
  created.about = {make_uuid_v7(now, entropy_.bytes<16>()), std::string(name), std::string(tenant), scopes,
                   now};
  created.key = key_text(entropy_.bytes<32>());
  return created;
}

Status ApiKeys::add(const Created& created) {
  Lock lock(mutex_);
  if (keys_.size() >= keys_max) {
    Error error{.kind = ErrorKind::exhausted,
                .message = "there are too many API keys; revoke some that are not used"};
    error.limit = fmt::format("keys_max = {}", keys_max);
    return std::unexpected(std::move(error));
  }
  auto next = keys_;
  next.push_back({created.about, crypto::sha256(view(created.key))});
  VESTIGE_CHECKED(write(next));
  keys_ = std::move(next);
  return {};
}

Status ApiKeys::revoke(const Uuid& id) {
  Lock lock(mutex_);
  auto next = keys_;
  if (std::erase_if(next, [&](const Stored& key) { return key.about.id == id; }) == 0)
    return fail(ErrorKind::not_found, fmt::format("there is no API key {}", format_uuid(id)));
  VESTIGE_CHECKED(write(next));
  keys_ = std::move(next);
  return {};
}

std::optional<ApiKey> ApiKeys::find(const Uuid& id) const {
  Lock lock(mutex_);
  const auto found = std::ranges::find_if(keys_, [&](const Stored& key) { return key.about.id == id; });
  return found == keys_.end() ? std::nullopt : std::optional(found->about);
}

std::vector<ApiKey> ApiKeys::list() const {
  Lock lock(mutex_);
  std::vector<ApiKey> out;
  for (const auto& key : keys_) out.push_back(key.about);
  return out;
}

std::optional<ApiKey> ApiKeys::authenticate(std::string_view presented) const {
  const auto digest = crypto::sha256(view(presented));
  Lock lock(mutex_);
  const Stored* match = nullptr;
  for (const auto& key : keys_) {
    // Where in the list a digest stands says nothing about a key of 256 random bits; the comparison that
    // decides takes the same time for every digest.
    if (load_le<std::uint64_t>(key.digest.data()) != load_le<std::uint64_t>(digest.data())) continue;
    if (crypto::constant_time_equal(key.digest, digest)) match = &key;
  }
  return match == nullptr ? std::nullopt : std::optional(match->about);
}

}  // namespace vestige::api
