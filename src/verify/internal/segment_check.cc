#include "verify/internal/segment_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/digest.h"
#include "trail/format/page.h"
#include "trail/format/segment_format.h"
#include "trail/format/sidecar_format.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/entry_check.h"
#include "verify/internal/page_check.h"
#include "verify/internal/sidecar_check.h"

namespace vestige::verify {
namespace {

// A hash file or id run is read whole: at most 16 MB and a little.
constexpr std::uint64_t companion_bytes_max =
    trail::hash_file_header_bytes +
    (std::uint64_t{trail::segment_rows_limit} + trail::segment_rows_limit / 256 + 2) * sizeof(Hash);

// With a digest that is wrong the rest may still tell which leaf is.
Result<trail::HashFile> decode_despite_digest(Bytes bytes) {
  if (bytes.size() < sizeof(Hash)) return corrupt("", 0, "");
  const auto content = ByteView(bytes).first(bytes.size() - sizeof(Hash));
  std::ranges::copy(crypto::sha256(content), bytes.end() - sizeof(Hash));
  return trail::decode_hash_file(bytes);
}

class SegmentCheck {
 public:
  SegmentCheck(const Scope& scope, const trail::StreamRecord& stream, const trail::SegmentRecord& record)
      : scope_(scope), stream_(stream), record_(record) {}
  SegmentOutcome run();

 private:
  std::string path(std::string_view ending) const {
    return platform::join(stream_directory(stream_),
                          trail::range_file_name(record_.first, record_.end, ending));
  }
  void wrong(std::uint64_t offset, std::string reason) {
    out_.problems.add(Part::segment, segment_path_, offset, std::move(reason));
  }
  // The whole file, held against the manifest; empty where it does not hold up to that.
  std::optional<Bytes> read_companion(Part part, const std::string& path, const trail::FileDigest& listed);
  void check_hash_file();
  void check_id_run();
  bool take_ids(const trail::IdRun& run, const std::string& path);
  bool open();
  bool open_header();
  void check_chunks();
  bool read_chunk(std::uint32_t number);
  std::optional<Bytes> open_chunk(std::uint32_t number);

  const Scope& scope_;
  const trail::StreamRecord& stream_;
  const trail::SegmentRecord& record_;
  const std::string segment_path_ = path(trail::segment_ending);
  SegmentOutcome out_;
  Expected expected_;
  SealedSidecarCheck sidecar_{scope_, path(trail::sidecar_ending(trail::SidecarKind::sealed)), record_,
                              out_.problems, out_.notes};
  std::unique_ptr<platform::File> file_;
  std::uint64_t file_bytes_ = 0;
  trail::SegmentEnd end_;
  trail::SegmentHeader header_;
  std::optional<crypto::Aead> aead_;  // set where entries can be read
  Bytes chunk_;
};

std::optional<Bytes> SegmentCheck::read_companion(Part part, const std::string& path,
                                                  const trail::FileDigest& listed) {
  auto bytes = platform::read_file(scope_.data, path, companion_bytes_max);
  if (!bytes) {
    out_.problems.add_error(part, path, bytes.error());
    return std::nullopt;
  }
  scope_.progress.add(bytes->size(), path);
  if (bytes->size() != listed.bytes)
    out_.problems.add(
        part, path, std::min<std::uint64_t>(bytes->size(), listed.bytes),
        fmt::format("the file has {} bytes, the manifest lists {}", bytes->size(), listed.bytes));
  return *std::move(bytes);
}

void SegmentCheck::check_hash_file() {
  const auto file_path = path(trail::hashes_ending);
  expected_.hashes_path = file_path;
  const auto bytes = read_companion(Part::hashes, file_path, record_.hashes);
  if (!bytes) return;
  auto file = trail::decode_hash_file(*bytes);
  const bool is_whole = file.has_value();
  if (!is_whole) {
    out_.problems.add_error(Part::hashes, file_path, file.error());
    file = decode_despite_digest(*bytes);
    if (!file) return;
  }
  expected_.hash_file_is_listed =
      is_whole && std::ranges::equal(ByteView(*bytes).last(sizeof(Hash)), record_.hashes.digest) &&
      bytes->size() == record_.hashes.bytes;
  if (is_whole && !expected_.hash_file_is_listed)
    out_.problems.add(Part::hashes, file_path, bytes->size() - sizeof(Hash),
                      "this is not the hash file that the manifest lists");
  if (file->first != record_.first || file->end != record_.end)
    return out_.problems.add(Part::hashes, file_path, 16, "the file is of other entries than its name says");
  expected_.leaves = std::move(file->leaves);
  if (expected_.hash_file_is_listed) {
    out_.tile_roots = std::move(file->tile_roots);
    out_.has_tile_roots = true;
  }
}

// Brings the fingerprints into the order of the entries; each entry has one.
bool SegmentCheck::take_ids(const trail::IdRun& run, const std::string& path) {
  std::vector<bool> seen(run.entries.size());
  expected_.fingerprints.resize(run.entries.size());
  for (const auto& entry : run.entries) {
    if (seen[entry.offset]) {
      out_.problems.add_entry(Part::ids, stream_.number, record_.first + entry.offset, path,
                              trail::id_header_bytes, "the run names one entry twice and another not at all");
      return false;
    }
    seen[entry.offset] = true;
    expected_.fingerprints[entry.offset] = entry.fingerprint;
  }
  return true;
}

void SegmentCheck::check_id_run() {
  const auto file_path = path(trail::ids_ending);
  expected_.ids_path = file_path;
  const auto bytes = read_companion(Part::ids, file_path, record_.ids);
  if (!bytes) return;
  const auto run = trail::decode_id_run(*bytes);
  if (!run) return out_.problems.add_error(Part::ids, file_path, run.error());
  if (!std::ranges::equal(ByteView(*bytes).last(sizeof(Hash)), record_.ids.digest))
    out_.problems.add(Part::ids, file_path, bytes->size() - sizeof(Hash),
                      "this is not the id run that the manifest lists");
  if (run->first != record_.first || run->end != record_.end)
    return out_.problems.add(Part::ids, file_path, 16, "the run is of other entries than its name says");
  if (!take_ids(*run, file_path)) expected_.fingerprints.clear();
}

// False where the file's chunks cannot be found.
bool SegmentCheck::open() {
  auto file = scope_.data.open_read_only(segment_path_);
  if (!file) {
    out_.problems.add_error(Part::segment, segment_path_, file.error());
    return false;
  }
  file_ = *std::move(file);
  const auto size = file_->size();
  if (!size) {
    out_.problems.add_error(Part::segment, segment_path_, size.error());
    return false;
  }
  file_bytes_ = *size;
  if (file_bytes_ != record_.segment.bytes) {
    wrong(std::min(file_bytes_, record_.segment.bytes),
          fmt::format("the file has {} bytes, the manifest lists {}", file_bytes_, record_.segment.bytes));
    if (file_bytes_ < trail::segment_header_bytes + trail::segment_trailer_bytes) return false;
  }
  Bytes trailer(trail::segment_trailer_bytes);
  Bytes table;
  auto status = file_->read(file_bytes_ - trailer.size(), trailer);
  const auto about = trail::decode_segment_trailer(trailer, file_bytes_);
  if (status && about) {
    table.resize(std::size_t{about->chunks} * trail::chunk_row_bytes);
    status = file_->read(about->table_offset, table);
  }
  auto end = !status ? std::unexpected(status.error())
             : about ? trail::decode_segment_end(table, trailer, file_bytes_)
                     : std::unexpected(about.error());
  if (!end) {
    out_.problems.add_error(Part::segment, segment_path_, end.error());
    return false;
  }
  end_ = *std::move(end);
  scope_.progress.add(file_bytes_ - end_.table_offset, segment_path_);
  if (end_.digest != record_.segment.digest)
    wrong(end_.table_offset, "this is not the segment that the manifest lists");
  return true;
}

// Whether the header is right and, with keys, the entries can be read.
bool SegmentCheck::open_header() {
  Bytes block(trail::segment_header_bytes);
  if (auto read = file_->read(0, block); !read) {
    out_.problems.add_error(Part::segment, segment_path_, read.error());
    return false;
  }
  scope_.progress.add(block.size(), segment_path_);
  if (crypto::sha256(block) != end_.header_hash) {
    wrong(0, "the header does not match its hash");
    return false;
  }
  auto header = trail::decode_segment_header(block);
  if (!header) {
    out_.problems.add_error(Part::segment, segment_path_, header.error());
    return false;
  }
  header_ = *std::move(header);
  if (header_.data_id != scope_.manifest.data_id) {
    wrong(32, "the file belongs to another data directory");
    return false;
  }
  if (header_.first != record_.first || end_.rows != record_.end - record_.first ||
      header_.stream != stream_.full_name()) {
    wrong(48, "the file holds other entries than its name says");
    return false;
  }
  if (scope_.keys == nullptr) return true;
  const auto key = scope_.keys->unwrap(header_.wrapped_key, trail::segment_key_context(header_.file_id));
  if (!key) {
    wrong(56, "the file's key does not unwrap: " + key.error().message);
    return false;
  }
  aead_.emplace(*key);
  return true;
}

bool SegmentCheck::read_chunk(std::uint32_t number) {
  const auto& row = end_.chunks[number];
  const auto index = record_.first + row.first_row;
  const auto add = [&](std::string reason) {
    out_.problems.add_entry(Part::segment, stream_.number, index, segment_path_, row.offset,
                            std::move(reason));
  };
  chunk_.resize(row.length);
  const auto read = file_->read(row.offset, chunk_);
  if (!read) add(read.error().message);
  if (!read) return false;
  scope_.progress.add(row.length, segment_path_);
  if (crypto::sha256(chunk_) == row.hash) return true;
  add(fmt::format("chunk {} does not match its hash in the segment's table", number));
  return false;
}

// Reads, checks and, with keys, decrypts a chunk; empty where any of it fails or there are no keys.
std::optional<Bytes> SegmentCheck::open_chunk(std::uint32_t number) {
  if (!read_chunk(number) || !aead_) return std::nullopt;
  const auto& row = end_.chunks[number];
  auto plain = trail::open_chunk(*aead_, header_.file_id, row, number, chunk_);
  if (plain) return *std::move(plain);
  out_.problems.add_entry(Part::segment, stream_.number, record_.first + row.first_row, segment_path_,
                          row.offset, plain.error().message);
  return std::nullopt;
}

void SegmentCheck::check_chunks() {
  std::optional<PageCheck> pages;
  if (aead_)
    pages.emplace(*scope_.keys, stream_, record_, header_.schema, expected_, segment_path_, sidecar_,
                  out_.problems);
  for (std::uint32_t number = 0; number < end_.chunks.size(); ++number) {
    const auto& row = end_.chunks[number];
    auto page = open_chunk(number);
    std::optional<Bytes> sections;
    const bool has_sections =
        number + 1 < end_.chunks.size() && end_.chunks[number + 1].type == trail::ChunkType::sections;
    if (has_sections) sections = open_chunk(++number);
    if (pages && !page) sidecar_.take_page(has_sections, nullptr);
    if (!pages || !page) continue;
    pages->check(row, *std::move(page), has_sections, sections);
    scope_.progress.add(0, segment_path_, row.rows);
  }
  if (!pages) return;
  pages->finish(out_);
  sidecar_.finish();
}

SegmentOutcome SegmentCheck::run() {
  check_hash_file();
  check_id_run();
  check_clear_sidecar(scope_, path(trail::sidecar_ending(trail::SidecarKind::clear)), record_, out_.problems);
  if (open()) {
    open_header();
    check_chunks();
  }
  if (expected_.hash_file_is_listed) out_.leaves = std::move(expected_.leaves);
  return std::move(out_);
}

}  // namespace

SegmentOutcome check_segment(const Scope& scope, const trail::StreamRecord& stream,
                             const trail::SegmentRecord& record) {
  return SegmentCheck(scope, stream, record).run();
}

}  // namespace vestige::verify
