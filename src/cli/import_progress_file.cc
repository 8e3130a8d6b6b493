#include "cli/internal/import_progress_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "crypto/digest.h"

namespace vestige::cli {
namespace {

constexpr std::uint64_t file_bytes_max = 4'096;
constexpr std::uint64_t version = 1;

}  // namespace

Hash digest_after(const Hash& before, const Hash& record) { return crypto::sha256({before, record}); }

Result<std::optional<ImportPosition>> read_position(const std::string& path) {
  auto text = read_local(path, file_bytes_max);
  if (!text && text.error().kind == ErrorKind::not_found) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  json::Parser parser;
  json::Document document;
  const auto root = parser.parse(*text, document) ? document.root() : json::Value();
  const auto digest = from_hex(text_of(root, "digest"));
  const auto records = number_of(root, "records", 0);
  const auto index = number_of(root, "lastIndex", UINT64_MAX);
  if (number_of(root, "importPosition", 0) != version || !digest || digest->size() != sizeof(Hash) ||
      records == 0 || index == UINT64_MAX)
    return fail(
        ErrorKind::invalid,
        fmt::format("{} does not hold the position of an import: name the file that --resume of an earlier "
                    "run wrote, or one that does not exist yet.",
                    path));
  ImportPosition position{.records = records, .digest = {}, .index = index};
  std::ranges::copy(*digest, position.digest.begin());
  return position;
}

Status write_position(const std::string& path, const ImportPosition& position) {
  return write_local(path, JsonObject()
                                   .number("importPosition", version)
                                   .number("records", position.records)
                                   .text("digest", to_hex(position.digest))
                                   .number("lastIndex", position.index)
                                   .str() +
                               "\n");
}

}  // namespace vestige::cli
