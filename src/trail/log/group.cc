#include "trail/log/group.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace vestige::trail {
namespace {

constexpr std::size_t append_head_bytes_max = 64;

// Reads one encoded record at `at`.
RecordView read_record_at(ByteView records, std::size_t at) {
  ByteReader in(records.subspan(at));
  RecordView record;
  record.fingerprint = in.u64();
  record.entry = in.sized();
  const auto blobs = in.varint();
  for (std::uint64_t i = 0; i < blobs; ++i) record.blobs.push_back(in.sized());
  CHECK(in.ok());
  return record;
}

}  // namespace

class Group::StreamPlacement final : public Placement {
 public:
  StreamPlacement(Group& group, Append& append) : group_(group), append_(append) {}

  Index next_index() const override { return Index{append_.first + append_.rows.size()}; }

  Block16 next_salt() override {
    const auto index = next_index().value;
    auto& state = group_.seeds_[append_.stream->number()];
    if (state.page != index / page_rows) {
      state.page = index / page_rows;
      group_.entropy_.fill(state.seed);
      state.salts.resize(page_rows);
      derive_salts(state.seed, state.page * page_rows, state.salts);
    }
    return state.salts[index % page_rows];
  }

  Result<std::vector<std::uint64_t>> seen(std::uint64_t fingerprint) override {
    VESTIGE_TRY(auto found, append_.stream->ids().find(fingerprint));
    const auto [from, to] = append_.by_fingerprint.equal_range(fingerprint);
    for (auto it = from; it != to; ++it) found.push_back(it->second);
    std::ranges::sort(found);
    return found;
  }

  Result<Record> read(Index index) override {
    if (index.value < append_.first) return append_.before->read(index.value);
    if (index >= next_index())
      return fail(ErrorKind::not_found, fmt::format("there is no entry {}", index.value));
    const auto view = read_record_at(append_.records, append_.rows[index.value - append_.first].at);
    Record record;
    record.entry = text(view.entry);
    for (const auto blob : view.blobs) record.blobs.emplace_back(blob.begin(), blob.end());
    return record;
  }

  Result<Hash> leaf(Index index) override {
    if (index.value < append_.first) return append_.before->leaf(index.value);
    if (index >= next_index())
      return fail(ErrorKind::not_found, fmt::format("there is no entry {}", index.value));
    return append_.rows[index.value - append_.first].leaf;
  }

  Hash add(std::uint64_t fingerprint, ByteView entry, std::span<const ByteView> blobs,
           std::shared_ptr<const KnownTokens> tokens) override {
    CHECK(entry.size() <= entry_bytes_max && blobs.size() <= blobs_max);
    const auto index = next_index().value;
    next_salt();  // the seed of this page exists even if the entry carries no salt
    const auto& seed = group_.seeds_[append_.stream->number()].seed;
    if (append_.seeds.empty() || append_.seeds.back().seed != seed) append_.seeds.push_back({0, seed});
    ++append_.seeds.back().count;
    const auto at = append_.records.size();
    encode_record(fingerprint, entry, blobs, append_.records);
    append_.rows.push_back({fingerprint, at, leaf_hash(entry), std::move(tokens)});
    append_.by_fingerprint.emplace(fingerprint, index);
    group_.bytes_ += append_.records.size() - at;
    return append_.rows.back().leaf;
  }

  void set_mark(std::string_view name, std::uint64_t value) override {
    CHECK(name.size() <= mark_name_bytes_max);
    group_.marks_.push_back({append_.stream->number(), std::string(name), value});
  }

 private:
  Group& group_;
  Append& append_;
};

Group::Append& Group::append_for(Stream& stream) {
  auto& append = appends_[stream.number()];
  if (append.stream == nullptr) {
    append.stream = &stream;
    append.before = stream.snapshot();
    append.first = append.before->size();
  }
  return append;
}

Status Group::place(Stream& stream, Submission& submission) {
  auto& append = append_for(stream);
  const auto rows = append.rows.size(), bytes = append.records.size();
  const auto marks = marks_.size();
  StreamPlacement placement(*this, append);
  auto status = submission.place(placement);
  if (!status) CHECK(append.rows.size() == rows && marks_.size() == marks);
  if (status) {
    status = admit_marks(marks);
    if (!status) take_back(append, rows, bytes);
  }
  if (append.rows.empty()) appends_.erase(stream.number());
  return status;
}

// What is written has to be read again: a manifest has all marks, a frame those of its group.
Status Group::admit_marks(std::size_t first) {
  std::set<std::pair<std::uint8_t, std::string>> fresh;
  for (std::size_t i = first; i < marks_.size(); ++i)
    if (!known_marks_.has(marks_[i])) fresh.emplace(marks_[i].stream, marks_[i].name);
  std::erase_if(fresh, [this](const auto& mark) { return new_marks_.contains(mark); });
  const bool log_has_room = known_marks_.count + new_marks_.size() + fresh.size() <= marks_max;
  if (log_has_room && marks_.size() <= marks_max) {
    new_marks_.merge(fresh);
    return {};
  }
  marks_.resize(first);
  if (log_has_room)
    return fail(
        ErrorKind::unavailable,
        fmt::format("one group takes at most {} places of captures and cursors; try again", marks_max));
  Error error{.kind = ErrorKind::exhausted,
              .message = fmt::format("the trail keeps at most {} places of captured partitions, cursors and "
                                     "erasures, and is full of them: no new one is taken",
                                     marks_max)};
  error.limit = fmt::format("marks_max = {}", marks_max);
  return std::unexpected(std::move(error));
}

void Group::take_back(Append& append, std::size_t rows, std::size_t bytes) {
  std::erase_if(append.by_fingerprint,
                [&](const auto& known) { return known.second >= append.first + rows; });
  for (auto gone = append.rows.size() - rows; gone > 0;) {
    auto& last = append.seeds.back();
    const auto here = std::min<std::uint64_t>(gone, last.count);
    gone -= here;
    last.count -= here;
    if (last.count == 0) append.seeds.pop_back();
  }
  append.rows.resize(rows);
  bytes_ -= append.records.size() - bytes;
  append.records.resize(bytes);
}

std::uint64_t Group::records() const {
  std::uint64_t records = 0;
  for (const auto& [number, append] : appends_) records += append.rows.size();
  return records;
}

std::shared_ptr<const Bytes> Group::encode() {
  auto payload = std::make_shared<Bytes>();
  payload->reserve(bytes_ + appends_.size() * append_head_bytes_max);
  ByteWriter(*payload).varint(appends_.size());
  for (auto& [number, append] : appends_) {
    encode_append(number, append.first, append.rows.size(), append.seeds, append.records, *payload);
    append.payload_at = payload->size() - append.records.size();
  }
  encode_marks(marks_, *payload);
  return payload;
}

std::map<std::uint8_t, std::uint64_t> Group::sizes_after() const {
  std::map<std::uint8_t, std::uint64_t> sizes;
  for (const auto& [number, append] : appends_) sizes[number] = append.first + append.rows.size();
  return sizes;
}

void Group::publish(const std::shared_ptr<const Bytes>& payload) {
  for (auto& [number, append] : appends_) {
    const auto records = ByteView(*payload).subspan(append.payload_at);
    std::vector<Stream::NewRow> rows;
    rows.reserve(append.rows.size());
    for (auto& row : append.rows) {
      auto view = read_record_at(records, row.at);
      rows.push_back({row.fingerprint, view.entry, std::move(view.blobs), row.leaf, std::move(row.tokens)});
    }
    append.stream->append(rows, append.seeds, payload);
  }
}

}  // namespace vestige::trail
