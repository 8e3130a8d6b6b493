// Small files that the operator names: read whole, or replaced whole.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::cli {

inline constexpr std::uint64_t verifier_key_bytes_max = 16 << 10;

// Without line ends and blanks at its end.
std::string trimmed(std::string text);

// At most `size_max` bytes. Messages carry the path as the operator wrote it.
Result<std::string> read_local(const std::string& path, std::uint64_t size_max);
// The same; a file that is not there is a wrong command line (invalid).
Result<std::string> named_file(const std::string& path, std::uint64_t size_max);
Status write_local(const std::string& path, std::string_view content);

// A log's verifier key as an operator gives it: "<name>+<8 hex digits>+<base64>" itself, or a file that holds
// it.
Result<std::string> read_verifier_key(const std::string& given);

}  // namespace vestige::cli
