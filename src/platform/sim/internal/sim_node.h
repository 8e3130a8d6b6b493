// The files and directories of a SimDisk, each with the operations that no sync has made durable yet.
//
// Invariants:
// 1. A file's `content` is what a reader sees now. Undoing `log` from its end to its start gives the content
//    that was durable when the log was last empty.
// 2. A directory's `now` is `durable` with the operations of `log` applied in order.
// 3. Both halves of a rename between two directories carry the same id, and both survive or neither does.
// Not thread-safe: SimDisk's mutex guards every node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace vestige::platform::sim {

struct CrashPolicy;
struct Probes;

// splitmix64: the same choices for the same seed on every machine.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound);  // bound > 0
 private:
  std::uint64_t state_;
};

struct FileOperation {
  enum class Kind { write, resize };
  enum class Fate {
    pending,    // durable with the next successful sync
    synced,     // durable, kept in the log only because an abandoned operation stands before it
    abandoned,  // a sync failed: no later sync makes it durable, though readers see it
  };
  Kind kind;
  Fate fate = Fate::pending;
  std::uint64_t offset = 0;    // write: where; resize: the new size
  Bytes written{};             // write: the new bytes
  Bytes replaced{};            // write: the bytes that stood there; resize: the tail that was cut off
  std::uint64_t old_size = 0;  // of the file before the operation
};

struct Node;
using NodePointer = std::shared_ptr<Node>;

struct NameOperation {
  std::uint64_t id = 0;
  std::map<std::string, NodePointer> names;  // null: the name is removed
  std::weak_ptr<Node> partner;               // the other directory of a rename between two
};

struct Node {
  explicit Node(bool directory) : is_directory(directory) {}

  const bool is_directory;
  bool locked = false;

  // Of a file.
  Bytes content;
  std::vector<FileOperation> file_log;
  void write(std::uint64_t offset, ByteView bytes);
  void resize(std::uint64_t size);
  void sync();
  void abandon_unsynced();
  void make_durable(Bytes whole);
  void flip(std::uint64_t offset, unsigned bit);
  // Content becomes what a power loss leaves.
  void crash_file(const CrashPolicy& policy, Choices& choices, Probes& probes);

  // Of a directory.
  std::map<std::string, NodePointer> now;
  std::map<std::string, NodePointer> durable;
  std::vector<NameOperation> name_log;
  void change_names(NameOperation operation);
  // Makes every operation up to `id` durable.
  void sync_names(std::uint64_t id);
};

// Makes all names of `directory` durable, and what must come with them (invariant 3).
void sync_directory_names(const NodePointer& directory);

// Leaves of the tree under `root` what a power loss leaves.
void crash_tree(const NodePointer& root, const CrashPolicy& policy, Probes& probes);

// Bytes of all files under `directory`, each counted once.
std::uint64_t bytes_under(const Node& directory);

}  // namespace vestige::platform::sim
