#include "platform/sim/sim_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/mutex.h"
#include "platform/sim/internal/sim_node.h"

namespace vestige::platform::sim {
namespace {

std::unexpected<Error> io_failure(const std::string& what, std::string_view why) {
  return fail(ErrorKind::io, fmt::format("{}: {}", what, why));
}
std::unexpected<Error> absent(const std::string& what) {
  return fail(ErrorKind::not_found, fmt::format("{}: No such file or directory", what));
}

std::string name_of_path(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Null where the path leads nowhere. "" is the directory itself.
NodePointer find(NodePointer at, std::string_view path) {
  while (at && !path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    if (!at->is_directory) return nullptr;
    const auto child = at->now.find(std::string(path.substr(0, slash)));
    at = child == at->now.end() ? nullptr : child->second;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return at;
}

bool is_within(const Node& directory, const Node* wanted) {
  if (&directory == wanted) return true;
  return std::ranges::any_of(directory.now, [&](const auto& item) {
    return item.second->is_directory && is_within(*item.second, wanted);
  });
}

using Fault = SimDisk::Fault;

// Everything that the disk, its views and its open files share.
struct Disk {
  explicit Disk(std::uint64_t bytes) : capacity(bytes) {}

  Mutex mutex;
  NodePointer root GUARDED_BY(mutex) = std::make_shared<Node>(true);
  std::set<std::string> view_roots GUARDED_BY(mutex);
  std::uint64_t capacity GUARDED_BY(mutex);
  std::uint64_t used GUARDED_BY(mutex) = 0;
  std::uint64_t generation GUARDED_BY(mutex) = 0;
  bool powered GUARDED_BY(mutex) = true;
  std::uint64_t call_count GUARDED_BY(mutex) = 0;
  std::uint64_t calls_until_fault GUARDED_BY(mutex) = 0;  // 0: no fault is planned
  Fault planned_fault GUARDED_BY(mutex) = Fault::io_error;
  std::string failing_syncs GUARDED_BY(mutex);
  std::uint64_t last_name_operation GUARDED_BY(mutex) = 0;
  Probes probes GUARDED_BY(mutex);

  Status alive(std::uint64_t of_generation, const std::string& what) REQUIRES(mutex) {
    if (!powered) return io_failure(what, "the simulated disk has no power");
    if (generation != of_generation) return io_failure(what, "the handle was opened before a crash");
    return {};
  }

  // Counts a mutating call and fails it where that was asked for.
  Status admit(std::uint64_t of_generation, const std::string& what) REQUIRES(mutex) {
    VESTIGE_CHECKED(alive(of_generation, what));
    ++call_count;
    if (calls_until_fault == 0 || --calls_until_fault > 0) return {};
    ++probes.failures_injected;
    if (planned_fault == Fault::disk_full)
      return fail(ErrorKind::unavailable, fmt::format("{}: No space left on device", what));
    if (planned_fault == Fault::power_loss) powered = false;
    return io_failure(what, powered ? "an injected failure" : "the simulated disk lost its power");
  }

  void change_names(const NodePointer& directory, std::map<std::string, NodePointer> names) REQUIRES(mutex) {
    directory->change_names({.id = ++last_name_operation, .names = std::move(names), .partner = {}});
  }

  void make_directories(const NodePointer& from, std::string_view path) REQUIRES(mutex) {
    auto at = from;
    while (!path.empty()) {
      const auto slash = std::min(path.find('/'), path.size());
      const auto name = std::string(path.substr(0, slash));
      if (!at->now.contains(name)) {
        change_names(at, {{name, std::make_shared<Node>(true)}});
        sync_directory_names(at);
      }
      at = at->now.at(name);
      CHECK(at->is_directory);
      path.remove_prefix(std::min(slash + 1, path.size()));
    }
  }

  // The size that a file may reach before the disk is full.
  std::uint64_t room_for(const Node& node) REQUIRES(mutex) {
    return node.content.size() + (capacity > used ? capacity - used : 0);
  }

  void count_bytes() REQUIRES(mutex) { used = bytes_under(*root); }

  void put(const std::string& path, ByteView content) REQUIRES(mutex) {
    const auto parent = parent_of(path);
    make_directories(root, parent);
    const auto directory = find(root, parent);
    auto node = find(root, path);
    if (!node) {
      node = std::make_shared<Node>(false);
      change_names(directory, {{name_of_path(path), node}});
    }
    CHECK(!node->is_directory);
    sync_directory_names(directory);
    node->make_durable(Bytes(content.begin(), content.end()));
    count_bytes();
  }
};

void collect_files(const Node& directory, const std::string& prefix, std::map<std::string, Bytes>& files) {
  for (const auto& [name, node] : directory.now) {
    const auto path = join(prefix, name);
    if (node->is_directory)
      collect_files(*node, path, files);
    else
      files[path] = node->content;
  }
}

// What a view and its files need to find the disk and to know whether they outlived a crash.
struct Handle {
  std::shared_ptr<Disk> disk;
  std::uint64_t generation;
};

class SimFile final : public File {
 public:
  SimFile(Handle handle, NodePointer node, std::string path, std::string shown, bool writable)
      : handle_(std::move(handle)),
        node_(std::move(node)),
        path_(std::move(path)),
        shown_(std::move(shown)),
        writable_(writable) {}

  Status read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, shown_));
    if (out.empty()) return {};
    const auto size = node_->content.size();
    if (offset > size || out.size() > size - offset) {
      const auto end = std::max<std::uint64_t>(offset, size);
      const auto missing = out.size() - (end - offset);
      return corrupt(path_, end, fmt::format("{} ends at byte {}, {} bytes too early", shown_, end, missing));
    }
    std::memcpy(out.data(), node_->content.data() + offset, out.size());
    return {};
  }

  Status write(std::uint64_t offset, ByteView bytes) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    if (auto admitted = admit(disk); !admitted) {
      if (disk.alive(handle_.generation, shown_) && writable_)
        put(disk, offset, bytes.first(bytes.size() / 2));
      return admitted;
    }
    const auto end = offset + bytes.size();
    const auto room = disk.room_for(*node_);
    if (bytes.empty() || end <= std::max<std::uint64_t>(room, node_->content.size())) {
      put(disk, offset, bytes);
      return {};
    }
    if (offset < room) put(disk, offset, bytes.first(static_cast<std::size_t>(room - offset)));
    return disk_full();
  }

  Status preallocate(std::uint64_t size) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(admit(disk));
    if (size <= node_->content.size()) return {};
    if (size > disk.room_for(*node_)) return disk_full();
    resize(disk, size);
    return {};
  }

  Status truncate(std::uint64_t size) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(admit(disk));
    // A real disk would make a hole here; the twin counts holes as used, so that capacity bounds memory.
    if (size > node_->content.size() && size > disk.room_for(*node_)) return disk_full();
    resize(disk, size);
    return {};
  }

  Status sync() override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    auto admitted = disk.admit(handle_.generation, shown_);
    if (admitted && !disk.failing_syncs.empty() && shown_.find(disk.failing_syncs) != std::string::npos) {
      ++disk.probes.failures_injected;
      admitted = io_failure(shown_, "an injected failure of sync");
    }
    if (admitted)
      node_->sync();
    else if (disk.alive(handle_.generation, shown_))
      node_->abandon_unsynced();
    return admitted;
  }

  Result<std::uint64_t> size() override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, shown_));
    return node_->content.size();
  }

  const std::string& path() const override { return path_; }

 private:
  Status admit(Disk& disk) REQUIRES(disk.mutex) {
    VESTIGE_CHECKED(disk.admit(handle_.generation, shown_));
    if (!writable_) return io_failure(shown_, "opened for reading only");
    return {};
  }
  std::unexpected<Error> disk_full() const {
    return fail(ErrorKind::unavailable, fmt::format("writing {}: No space left on device", shown_));
  }
  void put(Disk& disk, std::uint64_t offset, ByteView bytes) REQUIRES(disk.mutex) {
    const auto before = node_->content.size();
    node_->write(offset, bytes);
    disk.used += node_->content.size() - before;
  }
  void resize(Disk& disk, std::uint64_t size) REQUIRES(disk.mutex) {
    const auto before = node_->content.size();
    node_->resize(size);
    disk.used += node_->content.size() - before;
  }

  Handle handle_;
  NodePointer node_;
  std::string path_;
  std::string shown_;
  bool writable_;
};

class SimLock final : public DirectoryLock {
 public:
  SimLock(Handle handle, NodePointer node) : handle_(std::move(handle)), node_(std::move(node)) {}
  ~SimLock() override {
    const Lock lock(handle_.disk->mutex);
    // After a crash the name may be locked by the next life already.
    if (handle_.disk->generation == handle_.generation) node_->locked = false;
  }
  SimLock(const SimLock&) = delete;
  SimLock& operator=(const SimLock&) = delete;

 private:
  Handle handle_;
  NodePointer node_;
};

class SimFileSystem final : public FileSystem {
 public:
  SimFileSystem(Handle handle, std::string root) : handle_(std::move(handle)), root_(std::move(root)) {}

  Result<std::unique_ptr<File>> open(const std::string& path) override { return open_existing(path, true); }
  Result<std::unique_ptr<File>> open_read_only(const std::string& path) override {
    return open_existing(path, false);
  }

  Result<std::unique_ptr<File>> create(const std::string& path, FileMode) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.admit(handle_.generation, describe(path)));
    VESTIGE_TRY(const auto parent, parent_directory(disk, path));
    if (look_up(disk, path))
      return fail(ErrorKind::conflict, fmt::format("{} exists already", describe(path)));
    auto node = std::make_shared<Node>(false);
    disk.change_names(parent, {{name_of_path(path), node}});
    return std::make_unique<SimFile>(handle_, std::move(node), path, describe(path), true);
  }

  Status rename(const std::string& from, const std::string& to) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    const auto what = fmt::format("renaming {} to {}", describe(from), describe(to));
    VESTIGE_CHECKED(disk.admit(handle_.generation, what));
    VESTIGE_TRY(const auto source, parent_directory(disk, from));
    VESTIGE_TRY(const auto target, parent_directory(disk, to));
    const auto moved = look_up(disk, from);
    if (!moved) return absent(what);
    const auto replaced = look_up(disk, to);
    if (replaced == moved) return {};
    if (replaced && replaced->is_directory != moved->is_directory)
      return io_failure(what, moved->is_directory ? "Not a directory" : "Is a directory");
    if (replaced && replaced->is_directory && !replaced->now.empty())
      return io_failure(what, "Directory not empty");
    if (moved->is_directory && is_within(*moved, target.get())) return io_failure(what, "Invalid argument");
    if (source == target) {
      disk.change_names(source, {{name_of_path(from), nullptr}, {name_of_path(to), moved}});
    } else {
      const auto id = ++disk.last_name_operation;
      target->change_names({.id = id, .names = {{name_of_path(to), moved}}, .partner = source});
      source->change_names({.id = id, .names = {{name_of_path(from), nullptr}}, .partner = target});
    }
    disk.count_bytes();
    return {};
  }

  Status remove(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    const auto what = fmt::format("removing {}", describe(path));
    VESTIGE_CHECKED(disk.admit(handle_.generation, what));
    VESTIGE_TRY(const auto parent, parent_directory(disk, path));
    const auto node = look_up(disk, path);
    if (!node) return absent(what);
    if (node->is_directory) return io_failure(what, "Is a directory");
    disk.change_names(parent, {{name_of_path(path), nullptr}});
    disk.count_bytes();
    return {};
  }

  Status make_directories(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    const auto what = fmt::format("making the directory {}", describe(path));
    VESTIGE_CHECKED(disk.admit(handle_.generation, what));
    const auto root = look_up(disk, "");
    if (!root) return absent(what);
    for (auto piece = path; !piece.empty(); piece = parent_of(piece))
      if (const auto node = look_up(disk, piece); node && !node->is_directory)
        return io_failure(what, "Not a directory");
    disk.make_directories(root, path);
    return {};
  }

  Status sync_directory(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.admit(handle_.generation, fmt::format("syncing the directory {}", describe(path))));
    VESTIGE_TRY(const auto directory, existing_directory(disk, path));
    sync_directory_names(directory);
    return {};
  }

  Result<std::vector<Entry>> list(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, describe(path)));
    VESTIGE_TRY(const auto directory, existing_directory(disk, path));
    std::vector<Entry> entries;
    for (const auto& [name, node] : directory->now) entries.push_back({name, node->is_directory});
    return entries;
  }

  bool exists(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    return !path.empty() && disk.alive(handle_.generation, path) && look_up(disk, path) != nullptr;
  }

  Result<std::uint64_t> free_bytes() override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, root_));
    return disk.capacity > disk.used ? disk.capacity - disk.used : 0;
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, describe(path)));
    VESTIGE_TRY(const auto parent, parent_directory(disk, path));
    auto node = look_up(disk, path);
    if (!node) {
      node = std::make_shared<Node>(false);
      disk.change_names(parent, {{name_of_path(path), node}});
    }
    if (node->is_directory) return io_failure(describe(path), "Is a directory");
    if (node->locked)
      return fail(ErrorKind::conflict, fmt::format("another vestige server is using {}", root_));
    node->locked = true;
    return std::make_unique<SimLock>(handle_, std::move(node));
  }

  Result<bool> is_locked(const std::string& path) override {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, describe(path)));
    const auto node = look_up(disk, path);
    return node && node->locked;
  }

  std::string describe(const std::string& path) const override {
    return path.empty() ? root_ : join(root_, path);
  }

 private:
  NodePointer look_up(Disk& disk, const std::string& path) const REQUIRES(disk.mutex) {
    return find(disk.root, describe(path));
  }
  Result<NodePointer> existing_directory(Disk& disk, const std::string& path) const REQUIRES(disk.mutex) {
    auto node = look_up(disk, path);
    if (!node) return absent(describe(path));
    if (!node->is_directory) return io_failure(describe(path), "Not a directory");
    return node;
  }
  Result<NodePointer> parent_directory(Disk& disk, const std::string& path) const REQUIRES(disk.mutex) {
    if (path.empty()) return absent(describe(path));
    return existing_directory(disk, parent_of(path));
  }
  Result<std::unique_ptr<File>> open_existing(const std::string& path, bool writable) {
    auto& disk = *handle_.disk;
    const Lock lock(disk.mutex);
    VESTIGE_CHECKED(disk.alive(handle_.generation, describe(path)));
    VESTIGE_TRY(const auto parent, parent_directory(disk, path));
    auto node = look_up(disk, path);
    if (!node) return absent(fmt::format("opening {}", describe(path)));
    if (node->is_directory) return io_failure(describe(path), "Is a directory");
    return std::make_unique<SimFile>(handle_, std::move(node), path, describe(path), writable);
  }

  Handle handle_;
  std::string root_;
};

}  // namespace

struct SimDisk::State : Disk {
  using Disk::Disk;
};

SimDisk::SimDisk(std::uint64_t capacity_bytes) : state_(std::make_shared<State>(capacity_bytes)) {}
SimDisk::~SimDisk() = default;

std::unique_ptr<FileSystem> SimDisk::open(const std::string& root) {
  const Lock lock(state_->mutex);
  state_->make_directories(state_->root, root);
  state_->view_roots.insert(root);
  return std::make_unique<SimFileSystem>(Handle{.disk = state_, .generation = state_->generation}, root);
}

void SimDisk::crash(const CrashPolicy& policy) {
  const Lock lock(state_->mutex);
  ++state_->generation;
  ++state_->probes.crashes;
  state_->powered = true;
  state_->calls_until_fault = 0;
  crash_tree(state_->root, policy, state_->probes);
  state_->count_bytes();
}

std::uint64_t SimDisk::calls() const {
  const Lock lock(state_->mutex);
  return state_->call_count;
}

void SimDisk::reset_calls() {
  const Lock lock(state_->mutex);
  state_->call_count = 0;
}

void SimDisk::fail_call(std::uint64_t n, Fault fault) {
  const Lock lock(state_->mutex);
  state_->calls_until_fault = n;
  state_->planned_fault = fault;
}

void SimDisk::fail_syncs_of(const std::string& part) {
  const Lock lock(state_->mutex);
  state_->failing_syncs = part;
}

void SimDisk::set_capacity(std::uint64_t bytes) {
  const Lock lock(state_->mutex);
  state_->capacity = bytes;
}

std::uint64_t SimDisk::used_bytes() const {
  const Lock lock(state_->mutex);
  return state_->used;
}

std::map<std::string, Bytes> SimDisk::snapshot() const {
  const Lock lock(state_->mutex);
  std::map<std::string, Bytes> files;
  collect_files(*state_->root, "", files);
  return files;
}

void SimDisk::restore(const std::map<std::string, Bytes>& files) {
  const Lock lock(state_->mutex);
  state_->root = std::make_shared<Node>(true);
  for (const auto& [path, content] : files) state_->put(path, content);
  for (const auto& root : state_->view_roots) state_->make_directories(state_->root, root);
  state_->count_bytes();
}

void SimDisk::flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
  const Lock lock(state_->mutex);
  const auto node = find(state_->root, path);
  CHECK(node);
  node->flip(offset, bit);
}

void SimDisk::put(const std::string& path, ByteView content) {
  const Lock lock(state_->mutex);
  state_->put(path, content);
}

void SimDisk::erase(const std::string& path) {
  const Lock lock(state_->mutex);
  const auto directory = find(state_->root, parent_of(path));
  CHECK(directory && directory->is_directory && directory->now.contains(name_of_path(path)));
  state_->change_names(directory, {{name_of_path(path), nullptr}});
  sync_directory_names(directory);
  state_->count_bytes();
}

Probes SimDisk::probes() const {
  const Lock lock(state_->mutex);
  return state_->probes;
}

}  // namespace vestige::platform::sim
