#include "vault/internal/container.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/digest.h"

namespace vestige::vault {

std::unexpected<Error> damaged(const std::string& file, std::uint64_t offset, std::string_view what) {
  return corrupt(
      file, offset,
      fmt::format("The vault's file {} is damaged at byte {}: {}. Restore the vault directory from "
                  "its backup and keep the damaged copy.",
                  file, offset, what));
}

std::unexpected<Error> page_missing(const std::string& path) {
  return corrupt(path, 0,
                 fmt::format("The vault's file {} is missing: the top table names it. Restore the vault "
                             "directory from its backup.",
                             path));
}

Status check_version(const std::string& file, std::uint32_t version, std::uint32_t newest) {
  if (version > newest)
    return fail(ErrorKind::invalid,
                fmt::format("The vault's file {} has format version {}; this release reads up to version {}. "
                            "Use the release that wrote it, or a newer one.",
                            file, version, newest));
  if (version == 0) return damaged(file, 8, "there is no format version 0");
  return {};
}

Result<ByteView> open_container(const std::string& file, ByteView bytes, std::string_view magic,
                                std::uint32_t newest) {
  constexpr std::size_t version_at = 8;
  constexpr std::size_t bytes_min = version_at + sizeof(std::uint32_t) + digest_bytes;
  if (bytes.size() < bytes_min)
    return damaged(file, bytes.size(), fmt::format("it ends there, {} bytes are the least", bytes_min));
  if (text(bytes.first(magic.size())) != magic)
    return damaged(file, 0, fmt::format("it does not begin with {}", magic));
  const auto content = bytes.first(bytes.size() - digest_bytes);
  const auto digest = crypto::sha256(content);
  if (!std::ranges::equal(digest, bytes.last(digest_bytes)))
    return damaged(file, content.size(), "the digest there is not that of the bytes before it");
  VESTIGE_CHECKED(check_version(file, load_le<std::uint32_t>(bytes.data() + version_at), newest));
  return content;
}

void close_container(Bytes& bytes) {
  const auto digest = crypto::sha256(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
}

}  // namespace vestige::vault
