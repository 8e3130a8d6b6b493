#include "verify/internal/api_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/time_text.h"
#include "base/uuid.h"
#include "crypto/digest.h"
#include "trail/format/manifest.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::string_view header = "vestige-api-keys 1";
constexpr std::string_view digest_prefix = "sha256 ";

// A subset of the scopes in their order, separated by commas.
bool are_scopes(std::string_view text) {
  constexpr std::string_view known[] = {"ingest", "read", "admin"};
  std::size_t next = 0;
  for (;;) {
    const auto comma = text.find(',');
    const auto* const found = std::find(known + next, std::end(known), text.substr(0, comma));
    if (found == std::end(known)) return false;
    next = static_cast<std::size_t>(found - known) + 1;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// <id> <scopes> <created> <tenant> <hash> <name>
bool is_key_line(std::string_view line) {
  std::string_view fields[6];
  for (std::size_t i = 0; i < std::size(fields); ++i) {
    const auto space = line.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == std::size(fields))) return false;
    fields[i] = line.substr(0, space);
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  }
  return parse_uuid(fields[0]) && are_scopes(fields[1]) && fields[2].size() == time_text_size &&
         parse_time(fields[2]) && trail::is_stream_name(fields[3]) && array_from_base64<32>(fields[4]);
}

}  // namespace

Status check_api_keys(ByteView bytes) {
  const auto content = text(bytes);
  const auto last = content.rfind(digest_prefix);
  const auto digest_line = last == std::string_view::npos ? std::string_view() : content.substr(last);
  if (digest_line.empty() || (last > 0 && content[last - 1] != '\n') ||
      digest_line != fmt::format("{}{}\n", digest_prefix, to_hex(crypto::sha256(bytes.first(last)))))
    return corrupt("", last == std::string_view::npos ? content.size() : last,
                   "the file of API keys does not end with its digest");
  std::size_t at = 0;
  std::size_t number = 0;
  while (at < last) {
    const auto end = content.find('\n', at);
    const auto line = content.substr(at, end - at);
    if (number == 0 ? line != header : !is_key_line(line))
      return corrupt("", at, fmt::format("line {} of the file of API keys does not parse", number + 1));
    at = end + 1;
    ++number;
  }
  if (number == 0) return corrupt("", 0, "the file of API keys is empty");
  if (number - 1 > limits::api_keys_max)
    return corrupt(
        "", 0,
        fmt::format("the file has {} API keys; at most {} are allowed", number - 1, limits::api_keys_max));
  return {};
}

}  // namespace vestige::verify
