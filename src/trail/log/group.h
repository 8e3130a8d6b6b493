// One group commit while it is being put together. Used by the committer only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "platform/entropy.h"
#include "trail/format/wal_format.h"
#include "trail/log/stream.h"
#include "trail/log/submission.h"

namespace vestige::trail {

// The seed of a stream's current page; renewed at every page border and at every start.
struct SeedState {
  std::uint64_t page = UINT64_MAX;
  Block16 seed{};
  std::vector<Block16> salts;  // of the page's indexes
};

// The marks of the log before the group.
struct KnownMarks {
  std::size_t count = 0;
  std::function<bool(const Mark&)> has;
};

class Group {
 public:
  Group(platform::Entropy& entropy, std::map<std::uint8_t, SeedState>& seeds, KnownMarks known_marks)
      : entropy_(entropy), seeds_(seeds), known_marks_(std::move(known_marks)) {}

  // Lets a submission decide and add. Its error is returned; then nothing was added. Where it sets more marks
  // than a log may have that is exhausted, and unavailable where the next group may take them.
  Status place(Stream& stream, Submission& submission);

  bool empty() const { return appends_.empty() && marks_.empty(); }
  std::size_t bytes() const { return bytes_; }
  const std::vector<Mark>& marks() const { return marks_; }
  std::uint64_t records() const;

  // The plain payload of the WAL frame; rows of publish() point into it.
  std::shared_ptr<const Bytes> encode();
  std::map<std::uint8_t, std::uint64_t> sizes_after() const;
  // After the frame is durable: makes the rows part of their streams.
  void publish(const std::shared_ptr<const Bytes>& payload);

 private:
  class StreamPlacement;
  struct Append {
    Stream* stream = nullptr;
    std::uint64_t first = 0;
    std::vector<SeedRun> seeds;
    Bytes records;  // encoded
    struct Row {
      std::uint64_t fingerprint;
      std::size_t at;  // of the record in `records`
      Hash leaf;
      std::shared_ptr<const KnownTokens> tokens;
    };
    std::vector<Row> rows;
    std::unordered_multimap<std::uint64_t, std::uint64_t> by_fingerprint;
    std::size_t payload_at = 0;  // of the records in the encoded payload
    std::optional<Snapshot> before;
  };

  Append& append_for(Stream& stream);
  // Of those from `first` on; the new ones are noted.
  Status admit_marks(std::size_t first);
  // Takes back the rows of an append from the one on that begins at `bytes`.
  void take_back(Append& append, std::size_t rows, std::size_t bytes);

  platform::Entropy& entropy_;
  std::map<std::uint8_t, SeedState>& seeds_;
  const KnownMarks known_marks_;
  std::set<std::pair<std::uint8_t, std::string>> new_marks_;
  std::map<std::uint8_t, Append> appends_;
  std::vector<Mark> marks_;
  std::size_t bytes_ = 0;
};

}  // namespace vestige::trail
