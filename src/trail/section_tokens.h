// What sealed content is found by, and the keys under which that is kept. Both are given to the trail by its
// constructor: it knows neither what is sealed nor for whom.
//
// Sealed content can lose its keys. A *generation* counts how often that has happened: what was made at a
// generation may tell of content that is lost at every later one.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "trail/log/page_index.h"

namespace vestige::trail {

// Thread-safe.
class SectionTokens {
 public:
  virtual ~SectionTokens() = default;
  virtual std::uint64_t generation() const = 0;
  // Appends what the blobs of an entry are found by, as far as they can be opened; repeated ones too.
  // corrupt where a blob that has its keys cannot be opened. `stream` is "<tenant>/<name>".
  virtual Status describe(std::string_view stream, std::string_view entry, const std::vector<Bytes>& blobs,
                          std::vector<Token>& tokens) = 0;
};

// Keys of sidecars of sealed content. They are with whoever implements this and nowhere else. Thread-safe.
class SidecarKeys {
 public:
  virtual ~SidecarKeys() = default;
  struct Kept {
    Block16 file{};
    Key key{};
    std::uint64_t generation = 0;  // the file tells of nothing that was lost before
  };
  virtual std::optional<Kept> find(const Block16& file) const = 0;
  // Destroys one and takes another in, in one step that is durable when it returns. May be repeated.
  virtual Status replace(const std::optional<Block16>& destroyed, const std::optional<Kept>& added) = 0;
  // The file tells of nothing that was lost before this generation. Durable with the next change.
  virtual void settle(const Block16& file, std::uint64_t generation) = 0;
  // Destroys the keys of all files but these, durably.
  virtual Status retain(std::span<const Block16> files) = 0;
};

}  // namespace vestige::trail
