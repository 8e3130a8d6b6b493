// What the top table and a page have in common: magic at 0, version at 8, SHA-256 of all before it at the
// end.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/files.h"
#include "vault/format.h"

namespace vestige::vault {

// An error about damaged bytes: "FILE is damaged at byte N: what. What to do."
std::unexpected<Error> damaged(const std::string& file, std::uint64_t offset, std::string_view what);

// A page file that the top table names and that is not there.
std::unexpected<Error> page_missing(const std::string& path);

// Version at byte 8: refused with its own message where a newer release wrote it.
Status check_version(const std::string& file, std::uint32_t version, std::uint32_t newest = format_version);

// Gives the bytes before the digest where length, magic, digest and version are right.
Result<ByteView> open_container(const std::string& file, ByteView bytes, std::string_view magic,
                                std::uint32_t newest = format_version);

// Appends the digest of everything in `bytes`.
void close_container(Bytes& bytes);

Result<Top> read_top(platform::FileSystem& files, const Key& root);
// Empty where there is none; otherwise checked against the top table and under the journal key.
Result<Journal> read_journal(platform::FileSystem& files, const Top& top);

// check_container() of each kind of file.
Status check_top_container(ByteView bytes);
Status check_page_container(const std::string& path, ByteView bytes);

}  // namespace vestige::vault
