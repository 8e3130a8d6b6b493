#include "trail/log/segment_file.h"

#include <fmt/format.h>

#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::trail {
namespace {

constexpr std::string_view open_ending = ".open";
constexpr std::size_t open_name_digits = 12;

}  // namespace

std::string open_segment_name(std::uint64_t first) { return fmt::format("{:012}{}", first, open_ending); }

bool is_open_segment_name(std::string_view name) {
  return name.size() == open_name_digits + open_ending.size() && name.ends_with(open_ending);
}

Result<std::unique_ptr<platform::File>> open_listed(platform::FileSystem& files, const std::string& path) {
  auto file = files.open_read_only(path);
  if (!file && file.error().kind == ErrorKind::not_found)
    return corrupt(path, 0,
                   fmt::format("{} is missing although the manifest lists it. Restore it from a backup",
                               files.describe(path)));
  return file;
}

// ---------------------------------------------------------------------------------------- PageRun

PageRun::PageRun(std::shared_ptr<platform::File> file, const Block16& file_id, const Key& key,
                 std::shared_ptr<const Schema> schema, std::uint64_t segment_first,
                 std::span<const ChunkRow> chunks, std::uint32_t first_number)
    : file_(std::move(file)), file_id_(file_id), key_(key), schema_(std::move(schema)) {
  for (std::uint32_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].type == ChunkType::page) {
      pages_.push_back({segment_first + chunks[i].first_row, chunks[i], first_number + i, std::nullopt});
    } else {
      CHECK(!pages_.empty());
      pages_.back().sections = chunks[i];
      pages_.back().sections_number = first_number + i;
    }
  }
  CHECK(!pages_.empty());
  first_ = pages_.front().first;
  end_ = pages_.back().first + pages_.back().chunk.rows;
}

std::shared_ptr<const PageRun> PageRun::with_index(std::shared_ptr<const PageIndex> index) const {
  auto indexed = std::make_shared<PageRun>(*this);
  indexed->index_ = std::move(index);
  return indexed;
}

std::size_t PageRun::page_of(std::uint64_t index) const {
  CHECK(index >= first_ && index < end_);
  const auto after = std::ranges::upper_bound(pages_, index, {}, &PagePlace::first);
  return static_cast<std::size_t>(after - pages_.begin()) - 1;
}

Error PageRun::at_page(const PagePlace& place, const ChunkRow& chunk, Error error) const {
  if (error.kind == ErrorKind::corrupt) error.where = Location{file_->path(), chunk.offset, place.first};
  return error;
}

Result<Bytes> PageRun::read_chunk(const PagePlace& place, const ChunkRow& chunk, std::uint32_t number) const {
  Bytes sealed(chunk.length);
  if (auto read = file_->read(chunk.offset, sealed); !read)
    return std::unexpected(at_page(place, chunk, std::move(read).error()));
  crypto::Aead aead(key_);
  auto plain = open_chunk(aead, file_id_, chunk, number, sealed);
  if (!plain) return std::unexpected(at_page(place, chunk, std::move(plain).error()));
  return plain;
}

Result<Page> PageRun::read_page(std::size_t number) const {
  const auto& place = pages_[number];
  VESTIGE_TRY(auto plain, read_chunk(place, place.chunk, place.number));
  auto page = Page::decode(*schema_, place.first, std::move(plain));
  if (!page) return std::unexpected(at_page(place, place.chunk, std::move(page).error()));
  if (page->rows() != place.chunk.rows)
    return std::unexpected(at_page(
        place, place.chunk, corrupt("", 0, "a page has another number of rows than its table says").error()));
  return page;
}

Result<std::vector<std::vector<Bytes>>> PageRun::read_sections(std::size_t number) const {
  const auto& place = pages_[number];
  if (!place.sections) return std::vector<std::vector<Bytes>>(place.chunk.rows);
  VESTIGE_TRY(const auto plain, read_chunk(place, *place.sections, place.sections_number));
  auto sections = decode_sections(plain, place.chunk.rows);
  if (!sections) return std::unexpected(at_page(place, *place.sections, std::move(sections).error()));
  return sections;
}

// ---------------------------------------------------------------------------------- SegmentWriter

SegmentWriter::SegmentWriter(platform::FileSystem& files, std::string directory,
                             std::shared_ptr<const Schema> schema, std::uint64_t first, const Key& key)
    : files_(files),
      directory_(std::move(directory)),
      schema_(std::move(schema)),
      first_(first),
      key_(key),
      aead_(key) {}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(
    platform::FileSystem& files, KeyWrapper& wrapper, platform::Entropy& entropy, const Block16& data_id,
    const std::string& directory, const std::string& stream, std::shared_ptr<const Schema> schema,
    std::uint64_t first) {
  const Key key = entropy.bytes<32>();
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(files, directory, schema, first, key));
  writer->file_id_ = entropy.bytes<16>();
  SegmentHeader header{.file_id = writer->file_id_,
                       .data_id = data_id,
                       .first = first,
                       .wrapped_key = {},
                       .stream = stream,
                       .schema = *schema};
  const auto wrapped = wrapper.wrap(key, segment_key_context(header.file_id));
  CHECK(wrapped.size() == header.wrapped_key.size());
  std::ranges::copy(wrapped, header.wrapped_key.begin());
  const auto block = encode_segment_header(header);
  writer->header_hash_ = crypto::sha256(block);

  const auto path = platform::join(directory, open_segment_name(first));
  if (files.exists(path)) VESTIGE_CHECKED(files.remove(path));
  VESTIGE_TRY(writer->file_, files.create(path, platform::FileMode::shared_read));
  VESTIGE_CHECKED(writer->file_->write(0, block));
  writer->offset_ = block.size();
  return writer;
}

Result<ChunkRow> SegmentWriter::write_chunk(ChunkType type, std::uint32_t number, std::uint32_t rows,
                                            ByteView plain, std::uint64_t offset) {
  const auto sealed = seal_chunk(aead_, file_id_, type, number, rows_, plain);
  VESTIGE_CHECKED(file_->write(offset, sealed));
  return ChunkRow{type, rows_, rows, offset, sealed.size(), crypto::sha256(sealed)};
}

Status SegmentWriter::add_page(std::uint32_t rows, ByteView page_plain, ByteView sections_plain) {
  CHECK(rows > 0 && rows <= page_rows && rows_ + rows <= segment_rows_limit);
  const auto number = static_cast<std::uint32_t>(chunks_.size());
  VESTIGE_TRY(const auto page, write_chunk(ChunkType::page, number, rows, page_plain, offset_));
  auto end = offset_ + page.length;
  std::optional<ChunkRow> sections;
  if (!sections_plain.empty()) {
    VESTIGE_TRY(sections, write_chunk(ChunkType::sections, number + 1, rows, sections_plain, end));
    end += sections->length;
  }
  chunks_.push_back(page);
  if (sections) chunks_.push_back(*sections);
  rows_ += rows;
  offset_ = end;
  return {};
}

std::shared_ptr<const PageRun> SegmentWriter::run_from(std::size_t chunk) const {
  return std::make_shared<PageRun>(file_, file_id_, key_, schema_, first_, std::span(chunks_).subspan(chunk),
                                   static_cast<std::uint32_t>(chunk));
}

std::shared_ptr<const PageRun> SegmentWriter::take_run() {
  auto run = run_from(taken_);
  taken_ = chunks_.size();
  return run;
}

std::shared_ptr<const PageRun> SegmentWriter::whole_run() const { return run_from(0); }

// Writes and syncs a file under its temporary name.
Result<FileDigest> SegmentWriter::write_beside(const std::string& path, ByteView content,
                                               const Hash& digest) {
  const auto temporary = path + std::string(temporary_ending);
  if (files_.exists(temporary)) VESTIGE_CHECKED(files_.remove(temporary));
  VESTIGE_TRY(auto file, files_.create(temporary, platform::FileMode::shared_read));
  VESTIGE_CHECKED(file->write(0, content));
  VESTIGE_CHECKED(file->sync());
  return FileDigest{content.size(), digest};
}

Result<SegmentRecord> SegmentWriter::close(std::span<const Hash> leaves, std::span<const Hash> tile_roots,
                                           std::span<const IdEntry> ids) {
  CHECK(leaves.size() == rows_ && ids.size() == rows_);
  const auto end = first_ + rows_;
  const auto path = [&](std::string_view ending) {
    return platform::join(directory_, range_file_name(first_, end, ending));
  };
  SegmentRecord record{.first = first_, .end = end, .segment = {}, .hashes = {}, .ids = {}};

  if (pages_in_doubt_)
    return fail(
        ErrorKind::unavailable,
        fmt::format("sealing has stopped because the disk failed a sync of {}; its entries are safe in "
                    "the write-ahead log. Restart the server to build the segment anew",
                    files_.describe(file_->path())));
  const auto tail = encode_segment_end(chunks_, offset_, rows_, header_hash_, record.segment.digest);
  if (files_.exists(platform::join(directory_, open_segment_name(first_)))) {
    VESTIGE_CHECKED(file_->write(offset_, tail));
    if (auto synced = file_->sync(); !synced) {
      pages_in_doubt_ = true;
      return std::unexpected(std::move(synced).error());
    }
  }
  record.segment.bytes = offset_ + tail.size();

  Hash digest;
  const auto hashes = encode_hash_file(first_, leaves, tile_roots, digest);
  VESTIGE_TRY(record.hashes, write_beside(path(hashes_ending), hashes, digest));
  const auto run = encode_id_run(first_, end, ids, digest);
  VESTIGE_TRY(record.ids, write_beside(path(ids_ending), run, digest));

  for (const auto ending : {hashes_ending, ids_ending})
    VESTIGE_CHECKED(files_.rename(path(ending) + std::string(temporary_ending), path(ending)));
  // Last, so that a .seg is never seen without its companions. Repeating close() finds it renamed already.
  if (const auto open = platform::join(directory_, open_segment_name(first_)); files_.exists(open))
    VESTIGE_CHECKED(files_.rename(open, path(segment_ending)));
  VESTIGE_CHECKED(files_.sync_directory(directory_));
  // From now on damage is reported under the new name.
  VESTIGE_TRY(file_, files_.open_read_only(path(segment_ending)));
  return record;
}

Result<std::shared_ptr<const PageRun>> open_segment(platform::FileSystem& files, const KeyWrapper& wrapper,
                                                    const std::string& directory, const std::string& stream,
                                                    const SegmentRecord& record) {
  const auto path = platform::join(directory, range_file_name(record.first, record.end, segment_ending));
  const auto damaged = [&](const Error& error) {
    return corrupt(path, error.where ? error.where->offset : 0,
                   fmt::format("{}: {}", files.describe(path), error.message));
  };
  VESTIGE_TRY(std::shared_ptr<platform::File> file, open_listed(files, path));
  VESTIGE_TRY(const auto bytes, file->size());
  if (bytes != record.segment.bytes)
    return corrupt(path, std::min(bytes, record.segment.bytes),
                   fmt::format("{} has {} bytes, the manifest says {}", files.describe(path), bytes,
                               record.segment.bytes));
  if (bytes < segment_header_bytes + segment_trailer_bytes)
    return corrupt(path, bytes, fmt::format("{} is too short for a segment", files.describe(path)));
  Bytes block(segment_header_bytes);
  Bytes trailer(segment_trailer_bytes);
  VESTIGE_CHECKED(file->read(0, block));
  VESTIGE_CHECKED(file->read(bytes - trailer.size(), trailer));
  const auto about = decode_segment_trailer(trailer, bytes);
  if (!about) return damaged(about.error());
  Bytes table(std::size_t{about->chunks} * chunk_row_bytes);
  VESTIGE_CHECKED(file->read(about->table_offset, table));
  const auto end = decode_segment_end(table, trailer, bytes);
  if (!end) return damaged(end.error());
  if (end->digest != record.segment.digest)
    return corrupt(path, end->table_offset,
                   fmt::format("{} is not the segment that the manifest lists", files.describe(path)));
  if (crypto::sha256(block) != end->header_hash)
    return corrupt(path, 0, fmt::format("{}: the header does not match its hash", files.describe(path)));
  const auto header = decode_segment_header(block);
  if (!header) return damaged(header.error());
  if (header->first != record.first || end->rows != record.end - record.first || header->stream != stream)
    return corrupt(path, 48, fmt::format("{} holds other entries than its name says", files.describe(path)));
  const auto key = wrapper.unwrap(header->wrapped_key, segment_key_context(header->file_id));
  if (!key)
    return corrupt(path, 56,
                   fmt::format("{}: its key does not unwrap: {}", files.describe(path), key.error().message));
  return std::make_shared<const PageRun>(std::move(file), header->file_id, *key,
                                         std::make_shared<const Schema>(header->schema), record.first,
                                         std::span<const ChunkRow>(end->chunks), 0);
}

}  // namespace vestige::trail
