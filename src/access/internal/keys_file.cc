#include "access/internal/keys_file.h"

#include <fmt/format.h>

#include "access/api_keys.h"
#include "access/internal/facts.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::string_view header_line = "vestige-api-keys 1";
constexpr std::string_view digest_prefix = "sha256 ";

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

bool are_scopes(std::string_view text) {
  Scopes scopes;
  for (const auto& name : split(text, ',')) {
    const auto scope = parse_scope(name);
    if (!scope || scopes.has(*scope)) return false;
    scopes.add(*scope);
  }
  return !scopes.empty();
}

std::optional<store::KeyRow> parse_line(std::string_view line) {
  const auto fields = split(line, ' ');
  if (fields.size() != 6) return std::nullopt;
  const auto id = parse_uuid(fields[0]);
  const auto created = parse_time(fields[2]);
  const auto digest = array_from_base64<32>(fields[4]);
  const auto name = percent_decode(fields[5]);
  if (!id || !created || !digest || !name || !is_utf8(*name) || !are_scopes(fields[1])) return std::nullopt;
  return store::KeyRow{.id = format_uuid(*id),
                       .tenant = fields[3],
                       .name = *name,
                       .scopes = fields[1],
                       .digest = to_hex(*digest),
                       .created = *created};
}

}  // namespace

Result<std::vector<store::KeyRow>> read_keys_file(platform::FileSystem& files) {
  const std::string path(keys_file_name);
  VESTIGE_TRY(const auto bytes, platform::read_file(files, path, limits::keys_file_bytes_max));
  const auto content = text(bytes);
  const auto damaged = [&](std::uint64_t offset, std::string_view what) {
    return corrupt(path, offset, fmt::format("{}: {}", files.describe(path), what));
  };
  const auto last = content.rfind(digest_prefix);
  if (last == std::string_view::npos) return damaged(content.size(), "the line with its digest is missing");
  const auto body = content.substr(0, last);
  if (content.substr(last) != fmt::format("{}{}\n", digest_prefix, to_hex(crypto::sha256(view(body)))))
    return damaged(last, "its digest does not match its content");
  if (!body.starts_with(header_line) || !body.ends_with('\n'))
    return damaged(0, "this is no file of API keys of a known version");
  std::vector<store::KeyRow> rows;
  for (auto at = body.find('\n') + 1; at < body.size(); at = body.find('\n', at) + 1) {
    auto row = parse_line(body.substr(at, body.find('\n', at) - at));
    if (!row) return damaged(at, "a line does not parse");
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace vestige::access
