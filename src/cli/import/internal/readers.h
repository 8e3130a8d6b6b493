// The readers behind open_reader().
#pragma once

#include "cli/import/internal/input.h"

namespace vestige::cli::importing {

std::unique_ptr<Reader> make_ndjson_reader(LineInput input);
std::unique_ptr<Reader> make_dpkg_reader(LineInput input, LineOccurrences* occurrences);
Result<std::unique_ptr<Reader>> open_git_reader(const std::string& directory, const std::string& repository);

// "2025-06-24 14:36:25 word": what every line of a dpkg log begins with.
bool looks_like_dpkg(std::string_view line);
// A byte order mark that some editors put before UTF-8.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace vestige::cli::importing
