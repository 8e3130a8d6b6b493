#include "verify/internal/wal_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/encoding.h"
#include "crypto/aead.h"
#include "trail/format/page.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/entry_check.h"

namespace vestige::verify {
namespace {

constexpr std::string_view wal_directory = "wal";

std::string wal_path(std::uint64_t generation) {
  return platform::join(wal_directory, trail::wal_file_name(generation));
}

// What is needed to check entries of one stream.
struct StreamCheck {
  StreamCheck(VaultKeys& keys, const trail::StreamRecord& of)
      : stream(of),
        entries(of.tenant),
        sections(keys, of.full_name(), VaultReading::again),
        fingerprint(keys.fingerprint_key(of.tenant)) {}

  const trail::StreamRecord& stream;
  EntryChecker entries;
  ReceivedOrder received;
  SectionChecker sections;
  crypto::BlockPrf fingerprint;
};

class WalCheck {
 public:
  explicit WalCheck(const Scope& scope) : scope_(scope) {
    if (scope_.keys == nullptr) return;
    for (const auto& stream : scope_.manifest.streams)
      checks_.emplace(stream.number, std::make_unique<StreamCheck>(*scope_.keys, stream));
  }
  WalOutcome run();

 private:
  Status check_group(const trail::WalFrame& frame, ByteView plain);
  Status check_append(const trail::WalFrame& frame, const trail::AppendView& append);
  void check_record(const trail::WalFrame& frame, StreamCheck& check, WalStream& out,
                    const trail::RecordView& record, const Block16& salt);
  void check_end_mark(const trail::EndMark& mark);
  void check_reach();

  const Scope& scope_;
  std::map<std::uint8_t, std::unique_ptr<StreamCheck>> checks_;
  WalOutcome out_;
};

Status WalCheck::check_group(const trail::WalFrame& frame, ByteView plain) {
  out_.last_file = frame.file;
  scope_.progress.add(0, frame.file);
  const auto group = trail::decode_group(plain);
  if (!group) return corrupt(frame.file, frame.offset, group.error().message);
  for (const auto& append : group->appends) VESTIGE_CHECKED(check_append(frame, append));
  for (const auto& mark : group->marks)
    if (!checks_.contains(mark.stream))
      return corrupt(frame.file, frame.offset,
                     fmt::format("a mark is of stream {}, which the manifest does not have", mark.stream));
  return {};
}

Status WalCheck::check_append(const trail::WalFrame& frame, const trail::AppendView& append) {
  const auto found = checks_.find(append.stream);
  if (found == checks_.end())
    return corrupt(frame.file, frame.offset,
                   fmt::format("entries are of stream {}, which the manifest does not have", append.stream));
  auto& check = *found->second;
  const auto [place, added] = out_.streams.try_emplace(append.stream);
  auto& out = place->second;
  if (added) out.first = std::min(append.first, check.stream.sealed_size);
  if (append.first != out.end()) {
    out_.problems.add_entry(Part::wal, append.stream, out.end(), frame.file, frame.offset,
                            fmt::format("the log goes on with entry {} of {}, and {} should follow",
                                        append.first, check.stream.full_name(), out.end()));
    return corrupt(frame.file, frame.offset, "");
  }
  out.appends.push_back({append.first, frame.header.generation, frame.offset});
  std::vector<Block16> salts(append.records.size());
  std::size_t at = 0;
  for (const auto& run : append.seeds) {
    trail::derive_salts(run.seed, append.first + at, std::span(salts).subspan(at, run.count));
    at += run.count;
  }
  for (std::size_t i = 0; i < salts.size(); ++i) check_record(frame, check, out, append.records[i], salts[i]);
  return {};
}

void WalCheck::check_record(const trail::WalFrame& frame, StreamCheck& check, WalStream& out,
                            const trail::RecordView& record, const Block16& salt) {
  const auto index = out.end();
  out.leaves.push_back(trail::leaf_hash(record.entry));
  // What segments hold is held against them, leaf by leaf.
  if (index < check.stream.sealed_size) return;
  const auto wrong = [&](std::string reason) {
    out_.problems.add_entry(Part::wal, check.stream.number, index, frame.file, frame.offset,
                            std::move(reason));
  };
  ++out.entries_checked;
  EntryFacts facts;
  if (auto reason = check.entries.check(text(record.entry), facts)) return wrong(*std::move(reason));
  if (facts.salt != to_base64(salt))
    wrong(
        "the entry's salt is not the one that its seed gives for this index: the entry is at another place "
        "than where it was written, or was changed");
  if (!check.received.take(facts.received_at)) wrong("the entry was received before the one in front of it");
  const auto fingerprint = check.fingerprint(facts.id.bytes);
  if (load_le<std::uint64_t>(fingerprint.data()) != record.fingerprint)
    wrong("the record has another fingerprint than the entry's id gives");
  if (auto reason = check.sections.check(facts, record.blobs,
                                         {Part::wal, check.stream.number, index, frame.file, frame.offset}))
    wrong(*std::move(reason));
}

// The log held so many entries once.
void WalCheck::check_end_mark(const trail::EndMark& mark) {
  for (const auto& [number, marked] : mark.sizes) {
    const auto check = checks_.find(number);
    if (check == checks_.end()) continue;
    const auto found = out_.streams.find(number);
    const auto sealed = check->second->stream.sealed_size;
    const auto size = found == out_.streams.end() ? sealed : std::max(sealed, found->second.end());
    if (size < marked)
      out_.problems.add_entry(Part::wal, number, size, out_.last_file, 0,
                              fmt::format("the log ends with a mark of {} entries of {}, and {} are there",
                                          marked, check->second->stream.full_name(), size));
  }
}

// What segments hold was in the log before; a log that begins in front of that and ends in front of it was
// cut.
void WalCheck::check_reach() {
  for (const auto& [number, stream] : out_.streams) {
    const auto& about = checks_.at(number)->stream;
    if (stream.leaves.empty() || stream.end() >= about.sealed_size) continue;
    out_.problems.add_entry(
        Part::wal, number, stream.end(), out_.last_file, 0,
        fmt::format("the log ends before entries of {} that are in segments already: its end was "
                    "cut off",
                    about.full_name()));
  }
}

WalOutcome WalCheck::run() {
  scope_.progress.add(0, wal_directory);
  auto end = trail::read_wal(
      scope_.data, scope_.keys, scope_.manifest.data_id, scope_.manifest.wal_root, scope_.while_running,
      [this](const trail::WalFrame& frame, Bytes plain) { return check_group(frame, plain); });
  for (auto& [number, check] : checks_) {
    auto& out = out_.streams[number];
    if (out.leaves.empty()) out.first = check->stream.sealed_size;
    out.first_received = check->received.first();
    out.sections = check->sections.tally();
  }
  if (!end) {
    // A gap was reported with its entry where it was found.
    if (!end.error().message.empty())
      out_.problems.add(Part::wal, end.error().where ? end.error().where->file : std::string(wal_directory),
                        end.error().where ? end.error().where->offset : 0, end.error().message);
    return std::move(out_);
  }
  out_.whole = true;
  out_.clean = end->clean;
  out_.last_file = wal_path(end->last_generation);
  if (end->last_end_mark) check_end_mark(*end->last_end_mark);
  check_reach();
  out_.chain = std::move(end->chain);
  out_.attempts = std::move(end->attempts);
  out_.stale = std::move(end->stale);
  return std::move(out_);
}

}  // namespace

WalOutcome check_wal(const Scope& scope) { return WalCheck(scope).run(); }

Location place_of(const WalStream& stream, std::uint64_t index) {
  const auto after = std::ranges::upper_bound(stream.appends, index, {}, &WalStream::Append::first);
  if (after == stream.appends.begin()) return {};
  const auto& append = *std::prev(after);
  return {wal_path(append.generation), append.offset, index};
}

}  // namespace vestige::verify
