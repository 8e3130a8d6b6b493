// Chosen values of one entry for somebody without access. Format: docs/formats/disclosure.md.
#pragma once

#include <string>
#include <vector>

#include "audit/reader.h"

namespace vestige::audit {

// "/detail/phone", or "detail.phone" for one without a dot or slash in its names: as a JSON pointer. Empty
// where it is neither.
std::optional<std::string> parse_disclosed_path(std::string_view text);

// `paths` are JSON pointers. not_found where the reader sees no such event, invalid where a path names
// nothing in it, conflict where what it names may have been in a section that is gone, denied where the
// reader may not read it.
Result<std::string> disclose(Reader& reader, const Uuid& id, const std::vector<std::string>& paths,
                             const Visibility& visibility);

}  // namespace vestige::audit
