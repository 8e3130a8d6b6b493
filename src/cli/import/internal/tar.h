// The regular files of a tar archive (ustar, pax, GNU), one after the other, in bounded memory.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/import/internal/peek.h"

namespace vestige::cli::importing {

// Whether the bytes begin a tar archive.
bool looks_like_tar(std::string_view start);

struct TarMember {
  std::string name;
  std::unique_ptr<platform::ByteStream> content;  // of no use after the next call of TarReader::next()
};

// Not thread-safe. `stream` outlives it.
class TarReader {
 public:
  TarReader(platform::ByteStream& stream, std::string name);
  ~TarReader();
  // Empty at the end. What was not read of the last member is skipped.
  Result<std::optional<TarMember>> next();
  std::uint64_t skipped() const;  // links, devices and the like

  struct State;  // tar.cc

 private:
  std::shared_ptr<State> state_;
};

}  // namespace vestige::cli::importing
