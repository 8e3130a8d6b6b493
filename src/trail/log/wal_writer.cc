#include "trail/log/wal_writer.h"

#include <fmt/format.h>

#include "base/check.h"

namespace vestige::trail {
namespace {

constexpr std::uint64_t spares_kept_max = 2;

std::string wal_path(std::uint64_t generation) {
  return platform::join(wal_directory, wal_file_name(generation));
}

std::unexpected<Error> stopped() {
  return fail(
      ErrorKind::unavailable,
      "writing has stopped because the disk failed a write or a sync; what it holds is unknown until the "
      "server is restarted and recovers. Reading goes on");
}

}  // namespace

WalWriter::WalWriter(platform::FileSystem& files, KeyWrapper& wrapper, platform::Entropy& entropy,
                     const Block16& data_id, const Options& options)
    : files_(files), wrapper_(wrapper), entropy_(entropy), data_id_(data_id), options_(options) {}

void WalWriter::set_options(const Options& options) {
  Lock lock(mutex_);
  options_ = options;
}

std::uint64_t WalWriter::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& file : open_) total += file.bytes;
  for (const auto& [path, bytes] : spares_) total += bytes;
  return total;
}

// A file of at least `bytes`, reserved but without a header, under a spare name.
Result<std::unique_ptr<platform::File>> WalWriter::take_spare(std::uint64_t bytes, std::string& name) {
  for (auto it = spares_.begin(); it != spares_.end(); ++it) {
    if (it->second < bytes) continue;
    name = it->first;
    VESTIGE_TRY(auto file, files_.open(name));
    spares_.erase(it);
    return file;
  }
  if (total_bytes() + bytes > options_.wal_bytes_max)
    return fail(
        ErrorKind::unavailable,
        fmt::format("the write-ahead log has reached wal_bytes_max = {} because sealing is behind; try again",
                    options_.wal_bytes_max));
  VESTIGE_TRY(const auto free, files_.free_bytes());
  if (free < bytes + options_.disk_reserve_bytes)
    return fail(
        ErrorKind::unavailable,
        fmt::format(
            "the disk is full: {} bytes are free at {}, {} are needed. Writes resume by themselves when "
            "there is space",
            free, files_.describe(""), bytes + options_.disk_reserve_bytes));
  name = platform::join(wal_directory, fmt::format("spare-{}.wal", ++spare_number_));
  if (files_.exists(name)) VESTIGE_CHECKED(files_.remove(name));
  VESTIGE_TRY(auto file, files_.create(name, platform::FileMode::shared_read));
  if (auto reserved = file->preallocate(bytes); !reserved) {
    file.reset();
    // Best effort: the next try removes it by name as well.
    if (auto removed = files_.remove(name); !removed) --spare_number_;
    return std::unexpected(std::move(reserved).error());
  }
  return file;
}

Status WalWriter::roll(std::uint64_t frame_bytes, WalFileKind kind, std::uint64_t generation) {
  const std::uint64_t bytes = std::max(options_.wal_file_bytes, wal_header_bytes + frame_bytes);
  std::string spare;
  VESTIGE_TRY(auto file, take_spare(bytes, spare));
  VESTIGE_TRY(const auto file_bytes, file->size());
  const Key key = entropy_.bytes<32>();
  WalHeader header{.kind = kind,
                   .generation = generation,
                   .first_sequence = next_sequence_,
                   .file_bytes = file_bytes,
                   .data_id = data_id_,
                   .previous = previous_,
                   .wrapped_key = {}};
  const auto wrapped = wrapper_.wrap(key, wal_key_context(data_id_, generation));
  CHECK(wrapped.size() == header.wrapped_key.size());
  std::ranges::copy(wrapped, header.wrapped_key.begin());
  VESTIGE_CHECKED(file->write(0, encode_wal_header(header)));
  VESTIGE_CHECKED(file->sync());
  VESTIGE_CHECKED(files_.rename(spare, wal_path(generation)));
  if (auto synced = files_.sync_directory(std::string(wal_directory)); !synced) {
    // The new file may exist from now on; a frame behind its back, in the old one, would contradict it.
    poisoned_ = true;
    return synced;
  }
  file_ = std::move(file);
  aead_ = std::make_unique<crypto::Aead>(key);
  open_.push_back({generation, file_bytes, wal_header_bytes,
                   open_.empty() ? std::map<std::uint8_t, std::uint64_t>{} : open_.back().sizes});
  offset_ = wal_header_bytes;
  return {};
}

Status WalWriter::start_root(std::uint64_t generation, std::uint64_t sequence) {
  Lock lock(mutex_);
  CHECK(open_.empty());
  next_sequence_ = sequence;
  previous_ = Hash{};
  return roll(0, WalFileKind::root, generation);
}

bool WalWriter::has_room(std::size_t plain_bytes) {
  Lock lock(mutex_);
  const auto frame = align_frame(frame_header_bytes + plain_bytes + crypto::tag_bytes);
  return !open_.empty() && offset_ + frame <= open_.back().bytes;
}

Status WalWriter::append(FrameKind kind, ByteView plain, const std::map<std::uint8_t, std::uint64_t>& sizes,
                         Sync sync) {
  Lock lock(mutex_);
  return append_locked(kind, plain, sizes, sync);
}

Status WalWriter::append_locked(FrameKind kind, ByteView plain,
                                const std::map<std::uint8_t, std::uint64_t>& sizes, Sync sync) {
  if (poisoned_) return stopped();
  const auto frame_bytes = align_frame(frame_header_bytes + plain.size() + crypto::tag_bytes);
  if (offset_ + frame_bytes > open_.back().bytes) {
    // A file is left only when all in it is durable.
    if (sync == Sync::no) {
      if (auto synced = file_->sync(); !synced) {
        poisoned_ = true;
        return synced;
      }
    }
    if (auto rolled = roll(frame_bytes, WalFileKind::continues, open_.back().generation + 1); !rolled) {
      // Only a full disk, met before the new file has its name, leaves things as they were.
      if (rolled.error().kind != ErrorKind::unavailable) poisoned_ = true;
      return rolled;
    }
  }
  const Hash hash =
      encode_frame(kind, open_.back().generation, next_sequence_, previous_, plain, *aead_, frame_);
  auto written = file_->write(offset_, frame_);
  if (written && sync == Sync::yes) written = file_->sync();
  if (!written) {
    poisoned_ = true;
    return written;
  }
  offset_ += frame_bytes;
  open_.back().end = offset_;
  ++next_sequence_;
  previous_ = hash;
  for (const auto& [stream, size] : sizes) open_.back().sizes[stream] = size;
  return {};
}

Status WalWriter::sync_all() {
  Lock lock(mutex_);
  if (poisoned_) return stopped();
  if (auto synced = file_->sync(); !synced) {
    poisoned_ = true;
    return synced;
  }
  return {};
}

std::uint64_t WalWriter::oldest_needed(const std::map<std::uint8_t, std::uint64_t>& sealed_sizes) {
  Lock lock(mutex_);
  CHECK(!open_.empty());
  for (std::size_t i = 0; i + 1 < open_.size(); ++i)
    for (const auto& [stream, size] : open_[i].sizes) {
      const auto sealed = sealed_sizes.find(stream);
      if (sealed == sealed_sizes.end() || sealed->second < size) return open_[i].generation;
    }
  return open_.back().generation;
}

Status WalWriter::recycle_below(std::uint64_t generation) {
  Lock lock(mutex_);
  while (open_.size() > 1 && open_.front().generation < generation) {
    const auto path = wal_path(open_.front().generation);
    // Only files of the usual size are worth keeping.
    if (spares_.size() < spares_kept_max && open_.front().bytes == options_.wal_file_bytes) {
      const auto spare = platform::join(wal_directory, fmt::format("spare-{}.wal", ++spare_number_));
      VESTIGE_CHECKED(files_.rename(path, spare));
      spares_[spare] = open_.front().bytes;
    } else {
      VESTIGE_CHECKED(files_.remove(path));
    }
    open_.erase(open_.begin());
  }
  return files_.sync_directory(std::string(wal_directory));
}

void WalWriter::prepare_spare() {
  std::string name;
  std::uint64_t bytes = 0;
  {
    Lock lock(mutex_);
    bytes = options_.wal_file_bytes;
    if (poisoned_ || !spares_.empty() || offset_ < open_.back().bytes / 2) return;
    const auto free = files_.free_bytes();
    if (!free || *free < bytes + options_.disk_reserve_bytes ||
        total_bytes() + bytes > options_.wal_bytes_max)
      return;
    name = platform::join(wal_directory, fmt::format("spare-{}.wal", ++spare_number_));
  }
  // Writing it takes a while, and nobody else uses this name.
  auto file = files_.create(name, platform::FileMode::shared_read);
  if (!file) return;
  if (!(*file)->preallocate(bytes)) {
    file->reset();
    // What cannot be removed now goes at the next start.
    [[maybe_unused]] const auto removed = files_.remove(name);
    return;
  }
  Lock lock(mutex_);
  spares_[name] = bytes;
}

Status WalWriter::finish() {
  Lock lock(mutex_);
  if (poisoned_) return stopped();
  // The last file last: only its cut says that the stop was a clean one.
  for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
    VESTIGE_TRY(const auto file, files_.open(wal_path(open_[i].generation)));
    VESTIGE_CHECKED(file->truncate(open_[i].end));
    VESTIGE_CHECKED(file->sync());
  }
  VESTIGE_CHECKED(file_->truncate(offset_));
  VESTIGE_CHECKED(file_->sync());
  for (const auto& [path, bytes] : spares_) VESTIGE_CHECKED(files_.remove(path));
  spares_.clear();
  return files_.sync_directory(std::string(wal_directory));
}

std::uint64_t WalWriter::root_generation() {
  Lock lock(mutex_);
  CHECK(!open_.empty());
  return open_.front().generation;
}

std::uint64_t WalWriter::bytes() {
  Lock lock(mutex_);
  return total_bytes();
}

bool WalWriter::poisoned() {
  Lock lock(mutex_);
  return poisoned_;
}

}  // namespace vestige::trail
