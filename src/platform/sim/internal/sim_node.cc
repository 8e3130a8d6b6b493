#include "platform/sim/internal/sim_node.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "platform/sim/sim_files.h"

namespace vestige::platform::sim {
namespace {

std::size_t index(std::uint64_t offset) { return static_cast<std::size_t>(offset); }

// Bytes between the end and `offset` read as zeros, as a hole in a real file does.
void put_bytes(Bytes& content, std::uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return;
  if (content.size() < offset + bytes.size()) content.resize(index(offset + bytes.size()));
  std::ranges::copy(bytes, content.begin() + static_cast<std::ptrdiff_t>(offset));
}

void undo(Bytes& content, const FileOperation& operation) {
  if (operation.kind == FileOperation::Kind::write) {
    content.resize(index(operation.old_size));
    put_bytes(content, operation.offset, operation.replaced);
  } else {
    content.resize(index(std::min(operation.offset, operation.old_size)));
    put_bytes(content, operation.offset, operation.replaced);
    content.resize(index(operation.old_size));
  }
}

void redo(Bytes& content, const FileOperation& operation) {
  if (operation.kind == FileOperation::Kind::write) {
    put_bytes(content, operation.offset, operation.written);
  } else {
    content.resize(index(operation.offset));
  }
}

// The part of an operation that a disk did before its power went; false where it has no part.
bool redo_torn(Bytes& content, const FileOperation& operation, Choices& choices) {
  if (operation.kind == FileOperation::Kind::write) {
    const auto size = operation.written.size();
    if (size < 2) return false;
    put_bytes(content, operation.offset,
              ByteView(operation.written).first(index(1 + choices.below(size - 1))));
    return true;
  }
  if (operation.offset < operation.old_size + 2 || content.size() + 2 > operation.offset) return false;
  content.resize(index(content.size() + 1 + choices.below(operation.offset - content.size() - 1)));
  return true;
}

// How much of the unsynced survives differs from crash to crash: with even odds alone, "everything but the
// last write" would hardly ever come up for a long log.
struct Odds {
  std::uint64_t keep_percent;
  std::uint64_t tear_percent;
};

Odds choose_odds(Choices& choices) {
  constexpr Odds moods[] = {{33, 33}, {90, 5}, {5, 5}, {10, 80}};
  return moods[choices.below(std::size(moods))];
}

using Names = std::map<std::string, NodePointer>;

void perform(Names& names, const NameOperation& operation) {
  for (const auto& [name, node] : operation.names) {
    if (node)
      names[name] = node;
    else
      names.erase(name);
  }
}

// Every directory that a name, durable or not, leads to; in an order that depends on names only.
void collect_directories(const NodePointer& directory, std::vector<NodePointer>& found,
                         std::set<const Node*>& seen) {
  if (!directory || !directory->is_directory || !seen.insert(directory.get()).second) return;
  found.push_back(directory);
  for (const auto& [name, node] : directory->durable) collect_directories(node, found, seen);
  for (const auto& operation : directory->name_log)
    for (const auto& [name, node] : operation.names) collect_directories(node, found, seen);
}

using Prefixes = std::map<const Node*, std::uint64_t>;  // the last operation of each directory that survives

// Extends the prefixes until no rename between two directories is cut in half.
void close_over(const NodePointer& start, Prefixes& prefixes) {
  std::vector<NodePointer> open{start};
  while (!open.empty()) {
    const auto directory = open.back();
    open.pop_back();
    for (const auto& operation : directory->name_log) {
      if (operation.id > prefixes[directory.get()]) break;
      const auto partner = operation.partner.lock();
      if (!partner || prefixes[partner.get()] >= operation.id) continue;
      prefixes[partner.get()] = operation.id;
      open.push_back(partner);
    }
  }
}

void crash_names(const std::vector<NodePointer>& directories, const CrashPolicy& policy, Choices& choices,
                 Probes& probes) {
  Prefixes prefixes;
  for (const auto& directory : directories) {
    const auto count = directory->name_log.size();
    if (!policy.keep_unsynced || count == 0) continue;
    const auto kept = choices.below(count + 1);
    if (kept > 0)
      prefixes[directory.get()] =
          std::max(prefixes[directory.get()], directory->name_log[index(kept - 1)].id);
  }
  for (const auto& directory : directories) close_over(directory, prefixes);
  for (const auto& directory : directories) {
    const auto before = directory->name_log.size();
    directory->sync_names(prefixes[directory.get()]);
    probes.names_lost += directory->name_log.size();
    probes.names_kept += before - directory->name_log.size();
    directory->name_log.clear();
    directory->now = directory->durable;
  }
}

void crash_files(const NodePointer& node, const CrashPolicy& policy, Choices& choices, Probes& probes,
                 std::set<const Node*>& seen) {
  if (!seen.insert(node.get()).second) return;
  node->locked = false;
  if (!node->is_directory) return node->crash_file(policy, choices, probes);
  for (const auto& [name, child] : node->now) crash_files(child, policy, choices, probes, seen);
}

std::uint64_t bytes_of(const Node& node, std::set<const Node*>& seen) {
  if (!seen.insert(&node).second) return 0;
  if (!node.is_directory) return node.content.size();
  std::uint64_t sum = 0;
  for (const auto& [name, child] : node.now) sum += bytes_of(*child, seen);
  return sum;
}

}  // namespace

std::uint64_t Choices::below(std::uint64_t bound) {
  CHECK(bound > 0);
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return (z ^ (z >> 31)) % bound;
}

void Node::write(std::uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return;
  FileOperation operation{.kind = FileOperation::Kind::write, .offset = offset, .old_size = content.size()};
  operation.written.assign(bytes.begin(), bytes.end());
  if (offset < content.size()) {
    const auto covered = std::min<std::uint64_t>(bytes.size(), content.size() - offset);
    const auto from = content.begin() + static_cast<std::ptrdiff_t>(offset);
    operation.replaced.assign(from, from + static_cast<std::ptrdiff_t>(covered));
  }
  redo(content, operation);
  file_log.push_back(std::move(operation));
}

void Node::resize(std::uint64_t size) {
  if (size == content.size()) return;
  FileOperation operation{.kind = FileOperation::Kind::resize, .offset = size, .old_size = content.size()};
  if (size < content.size())
    operation.replaced.assign(content.begin() + static_cast<std::ptrdiff_t>(size), content.end());
  redo(content, operation);
  file_log.push_back(std::move(operation));
}

void Node::sync() {
  using Fate = FileOperation::Fate;
  const bool clean =
      std::ranges::none_of(file_log, [](const auto& item) { return item.fate == Fate::abandoned; });
  if (clean) return file_log.clear();
  for (auto& operation : file_log)
    if (operation.fate == Fate::pending) operation.fate = Fate::synced;
}

void Node::abandon_unsynced() {
  for (auto& operation : file_log)
    if (operation.fate == FileOperation::Fate::pending) operation.fate = FileOperation::Fate::abandoned;
}

void Node::make_durable(Bytes whole) {
  content = std::move(whole);
  file_log.clear();
}

void Node::flip(std::uint64_t offset, unsigned bit) {
  CHECK(!is_directory && offset < content.size() && bit < 8);
  const auto mask = static_cast<std::uint8_t>(1U << bit);
  content[index(offset)] ^= mask;
  for (auto& operation : file_log) {
    const bool is_write = operation.kind == FileOperation::Kind::write;
    if (offset < operation.offset) continue;
    const auto at = index(offset - operation.offset);
    if (is_write && at < operation.written.size()) operation.written[at] ^= mask;
    if (at < operation.replaced.size()) operation.replaced[at] ^= mask;
  }
}

void Node::crash_file(const CrashPolicy& policy, Choices& choices, Probes& probes) {
  if (file_log.empty()) return;
  for (auto operation = file_log.rbegin(); operation != file_log.rend(); ++operation)
    undo(content, *operation);
  const auto odds = choose_odds(choices);
  for (const auto& operation : file_log) {
    if (operation.fate == FileOperation::Fate::synced) {
      redo(content, operation);
      continue;
    }
    const auto dice = choices.below(100);
    if (policy.keep_unsynced && dice < odds.keep_percent) {
      redo(content, operation);
      ++probes.writes_kept;
    } else if (policy.keep_unsynced && dice < odds.keep_percent + odds.tear_percent &&
               redo_torn(content, operation, choices)) {
      ++probes.writes_torn;
    } else {
      ++probes.writes_lost;
    }
  }
  file_log.clear();
}

void Node::change_names(NameOperation operation) {
  perform(now, operation);
  name_log.push_back(std::move(operation));
}

void Node::sync_names(std::uint64_t id) {
  auto end = name_log.begin();
  for (; end != name_log.end() && end->id <= id; ++end) perform(durable, *end);
  name_log.erase(name_log.begin(), end);
}

void sync_directory_names(const NodePointer& directory) {
  if (directory->name_log.empty()) return;
  Prefixes prefixes{{directory.get(), directory->name_log.back().id}};
  close_over(directory, prefixes);
  std::vector<NodePointer> touched{directory};
  std::set<const Node*> done;
  while (!touched.empty()) {
    const auto current = touched.back();
    touched.pop_back();
    if (!done.insert(current.get()).second) continue;
    const auto last = prefixes[current.get()];
    for (const auto& operation : current->name_log)
      if (auto partner = operation.partner.lock(); partner && operation.id <= last)
        touched.push_back(partner);
    current->sync_names(last);
  }
}

void crash_tree(const NodePointer& root, const CrashPolicy& policy, Probes& probes) {
  Choices choices(policy.seed);
  std::vector<NodePointer> directories;
  std::set<const Node*> seen;
  collect_directories(root, directories, seen);
  crash_names(directories, policy, choices, probes);
  std::set<const Node*> reached;
  crash_files(root, policy, choices, probes, reached);
}

std::uint64_t bytes_under(const Node& directory) {
  std::set<const Node*> seen;
  return bytes_of(directory, seen);
}

}  // namespace vestige::platform::sim
