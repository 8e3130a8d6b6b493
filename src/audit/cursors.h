// Where readers that follow the stream go on: a saved index by name. Saving makes no entry.
//
// Owner: app, one per stream. Thread-safe. A saved value is durable when save() says so, and the last one
// saved is there again after a restart or a crash. Kept as marks of the trail, so names are never given back:
// a stream has at most cursors_max of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "trail/log/log.h"

namespace vestige::audit {

// Whose cursors: the id of somebody who signed in, empty for those that all programs of the tenant share.
// Nobody reaches another's by any name.
using CursorOwner = std::string;

struct Cursor {
  std::string name;
  std::uint64_t next = 0;  // index of the first entry that was not read yet
  bool operator==(const Cursor&) const = default;
};

// 1 to cursor_name_bytes_max letters, digits, '.', '_' and '-'.
bool is_cursor_name(std::string_view name);

class Cursors {
 public:
  Cursors(trail::Log& log, trail::Stream& stream);

  std::optional<Cursor> find(const CursorOwner& owner, std::string_view name) const;
  std::vector<Cursor> list(const CursorOwner& owner) const;  // by name

  // `done` is called once, on the committer or at once. invalid: not a name, or past the end of the stream;
  // exhausted: cursors_max names are taken.
  using Done = std::function<void(Status)>;
  void save(const CursorOwner& owner, Cursor cursor, Done done);

 private:
  class Saving;
  Status reserve(const CursorOwner& owner, const Cursor& cursor);
  void saved(const std::string& place, std::uint64_t next);

  trail::Log& log_;
  trail::Stream& stream_;
  mutable Mutex mutex_;
  // By place_of() owner and name. Nothing: the name is taken, and its first value not durable yet.
  std::map<std::string, std::optional<std::uint64_t>, std::less<>> known_ GUARDED_BY(mutex_);
};

}  // namespace vestige::audit
