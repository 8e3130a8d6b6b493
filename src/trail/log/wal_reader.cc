#include "trail/log/wal_reader.h"

#include <fmt/format.h>

#include "base/check.h"
#include "trail/log/wal_writer.h"

namespace vestige::trail {
namespace {

struct Found {
  FrameHeader header;
  Bytes header_bytes;
  Bytes payload;
};

class Reader {
 public:
  Reader(platform::FileSystem& files, const KeyWrapper* wrapper, const Block16& data_id, bool while_running,
         const std::function<Status(const WalFrame&, Bytes)>& on_group)
      : files_(files),
        wrapper_(wrapper),
        data_id_(data_id),
        while_running_(while_running),
        on_group_(on_group) {}

  Result<WalEnd> run(std::uint64_t root);

 private:
  Status sort_files(std::uint64_t root);
  Status open_file(std::uint64_t generation);
  Result<std::optional<Found>> read_frame(std::uint64_t offset);
  Status handle(const Found& found);
  Status read_frames();
  Status judge_end(bool continued);
  Result<bool> continues_in(std::uint64_t generation);
  std::unexpected<Error> damaged(std::uint64_t offset, std::string what) const {
    return corrupt(path_, offset, fmt::format("{}: {}", files_.describe(path_), what));
  }

  platform::FileSystem& files_;
  const KeyWrapper* wrapper_;
  const Block16& data_id_;
  const bool while_running_;
  const std::function<Status(const WalFrame&, Bytes)>& on_group_;

  WalEnd end_;
  std::vector<std::uint64_t> generations_;  // of files from the root on
  std::string path_;
  std::unique_ptr<platform::File> file_;
  std::uint64_t file_bytes_ = 0;
  WalHeader header_;
  std::optional<crypto::Aead> aead_;
  std::uint64_t offset_ = 0;
  Hash previous_{};
  bool last_is_clean_mark_ = false;
  struct Uncut {
    std::string file;
    std::uint64_t offset;
  };
  std::optional<Uncut> uncut_;  // the first file that goes on behind its last frame and has a successor
};

Status Reader::sort_files(std::uint64_t root) {
  const auto entries = files_.list(std::string(wal_directory));
  if (!entries && entries.error().kind != ErrorKind::not_found) return std::unexpected(entries.error());
  if (entries)
    for (const auto& entry : *entries)
      if (const auto generation = parse_wal_file_name(entry.name))
        (*generation < root ? end_.stale : generations_).push_back(*generation);
  std::ranges::sort(generations_);
  if (generations_.empty() || generations_.front() != root)
    return corrupt(platform::join(wal_directory, wal_file_name(root)), 0,
                   fmt::format("{} is missing: the manifest names it as the start of the write-ahead log",
                               files_.describe(platform::join(wal_directory, wal_file_name(root)))));
  return {};
}

Status Reader::open_file(std::uint64_t generation) {
  path_ = platform::join(wal_directory, wal_file_name(generation));
  VESTIGE_TRY(file_, files_.open_read_only(path_));
  VESTIGE_TRY(file_bytes_, file_->size());
  if (file_bytes_ < wal_header_bytes) return damaged(file_bytes_, "the file is shorter than its header");
  Bytes block(wal_header_bytes);
  VESTIGE_CHECKED(file_->read(0, block));
  auto header = decode_wal_header(block);
  if (!header)
    return damaged(header.error().where ? header.error().where->offset : 0, header.error().message);
  if (header->generation != generation) return damaged(16, "the header's generation is not the file's name");
  if (header->data_id != data_id_) return damaged(40, "the file belongs to another data directory");
  if (file_bytes_ > header->file_bytes)
    return damaged(header->file_bytes, "bytes stand behind the file's end");
  header_ = *header;
  if (wrapper_ != nullptr) {
    const auto key = wrapper_->unwrap(header_.wrapped_key, wal_key_context(data_id_, generation));
    if (!key) return damaged(96, "its key does not unwrap: " + key.error().message);
    aead_.emplace(*key);
  }
  return {};
}

Result<std::optional<Found>> Reader::read_frame(std::uint64_t offset) {
  if (offset + frame_header_bytes > file_bytes_) return std::optional<Found>{};
  Found found;
  found.header_bytes.resize(frame_header_bytes);
  VESTIGE_CHECKED(file_->read(offset, found.header_bytes));
  const auto header = decode_frame_header(found.header_bytes);
  if (!header || header->generation != header_.generation) return std::optional<Found>{};
  if (align_frame(frame_header_bytes + header->payload_bytes) > file_bytes_ - offset)
    return std::optional<Found>{};
  // Padding is read with the payload: it is zero, or the frame is not valid.
  Bytes rest(align_frame(frame_header_bytes + header->payload_bytes) - frame_header_bytes);
  VESTIGE_CHECKED(file_->read(offset + frame_header_bytes, rest));
  const auto padding = ByteView(rest).subspan(header->payload_bytes);
  if (std::ranges::any_of(padding, [](auto byte) { return byte != 0; })) return std::optional<Found>{};
  rest.resize(header->payload_bytes);
  if (!frame_hash_matches(found.header_bytes, rest, *header)) return std::optional<Found>{};
  found.header = *header;
  found.payload = std::move(rest);
  return std::optional(std::move(found));
}

Status Reader::handle(const Found& found) {
  last_is_clean_mark_ = false;
  if (!aead_) return {};
  auto plain = open_frame(found.header_bytes, found.payload, found.header, *aead_);
  if (!plain) return damaged(offset_, plain.error().message);
  if (found.header.kind == FrameKind::end_mark) {
    auto mark = decode_end_mark(*plain);
    if (!mark) return damaged(offset_, mark.error().message);
    last_is_clean_mark_ = mark->clean;
    end_.last_end_mark = *std::move(mark);
    return {};
  }
  return on_group_(WalFrame{found.header, path_, offset_}, *std::move(plain));
}

Status Reader::read_frames() {
  offset_ = wal_header_bytes;
  previous_ = header_.previous;
  end_.next_sequence = header_.first_sequence;
  for (;;) {
    VESTIGE_TRY(const auto found, read_frame(offset_));
    if (!found || found->header.sequence != end_.next_sequence) return {};
    if (found->header.previous != previous_)
      return damaged(offset_ + 32, "the frame does not follow the one before it");
    VESTIGE_CHECKED(handle(*found));
    previous_ = found->header.hash;
    ++end_.next_sequence;
    // Without keys the kind alone tells an end mark, not whether it is a clean one.
    if (!aead_) last_is_clean_mark_ = found->header.kind == FrameKind::end_mark;
    offset_ += align_frame(frame_header_bytes + found->header.payload_bytes);
  }
}

// Whether the file of `generation` goes on where the one just read ended.
Result<bool> Reader::continues_in(std::uint64_t generation) {
  const auto path = platform::join(wal_directory, wal_file_name(generation));
  VESTIGE_TRY(const auto file, files_.open_read_only(path));
  Bytes block(wal_header_bytes);
  if (auto read = file->read(0, block); !read)
    return corrupt(path, 0, fmt::format("{}: the file is shorter than its header", files_.describe(path)));
  const auto header = decode_wal_header(block);
  if (!header) return corrupt(path, 0, fmt::format("{}: {}", files_.describe(path), header.error().message));
  if (header->kind == WalFileKind::root) return false;
  if (header->first_sequence != end_.next_sequence || header->previous != previous_)
    return damaged(offset_, fmt::format("frame {} is missing or changed: the log goes on with frame {} in {}",
                                        end_.next_sequence, header->first_sequence, files_.describe(path)));
  return true;
}

// The log ended at offset_ in this file: torn, clean, or damaged?
Status Reader::judge_end(bool continued) {
  if (continued) {
    if (offset_ == file_bytes_) return {};
    if (file_bytes_ < header_.file_bytes)
      return damaged(offset_, "the file was cut by a clean stop, but does not end with its last frame");
    if (!uncut_) uncut_ = Uncut{path_, offset_};
    return {};
  }
  if (file_bytes_ < header_.file_bytes) {
    if (!last_is_clean_mark_ || offset_ != file_bytes_)
      return damaged(
          offset_,
          "the file was cut by a clean stop, but does not end with the clean end mark: its end, or the "
          "file that follows it, is gone");
    return {};
  }
  if (while_running_) return {};
  for (auto at = offset_; at + frame_header_bytes <= file_bytes_; at += wal_alignment) {
    VESTIGE_TRY(const auto later, read_frame(at));
    if (later && later->header.sequence > end_.next_sequence)
      return damaged(offset_,
                     fmt::format("frame {} is damaged: frame {} behind it is whole, so this is no torn tail",
                                 end_.next_sequence, later->header.sequence));
  }
  return {};
}

Result<WalEnd> Reader::run(std::uint64_t root) {
  VESTIGE_CHECKED(sort_files(root));
  for (std::size_t i = 0; i < generations_.size(); ++i) {
    const auto generation = generations_[i];
    VESTIGE_CHECKED(open_file(generation));
    VESTIGE_CHECKED(read_frames());
    end_.chain.push_back(generation);
    end_.last_generation = generation;
    bool continued = false;
    if (i + 1 < generations_.size()) {
      VESTIGE_TRY(continued, continues_in(generations_[i + 1]));
      if (continued && generations_[i + 1] != generation + 1)
        return damaged(offset_, fmt::format("the file of generation {} is missing", generation + 1));
    }
    VESTIGE_CHECKED(judge_end(continued));
    if (!continued) {
      end_.attempts.assign(generations_.begin() + static_cast<std::ptrdiff_t>(i) + 1, generations_.end());
      break;
    }
  }
  // Without keys an idle end mark looks like a clean one, but only a clean stop cuts the file behind it.
  end_.clean = last_is_clean_mark_ && (aead_ || file_bytes_ < header_.file_bytes);
  if (end_.clean && uncut_ && file_bytes_ < header_.file_bytes)
    return corrupt(uncut_->file, uncut_->offset,
                   fmt::format("{}: bytes stand behind the last frame, and a clean stop leaves none",
                               files_.describe(uncut_->file)));
  return std::move(end_);
}

}  // namespace

Result<WalEnd> read_wal(platform::FileSystem& files, const KeyWrapper* wrapper, const Block16& data_id,
                        std::uint64_t root_generation, bool while_running,
                        const std::function<Status(const WalFrame&, Bytes plain)>& on_group) {
  return Reader(files, wrapper, data_id, while_running, on_group).run(root_generation);
}

}  // namespace vestige::trail
