#include "verify/internal/pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <set>

#include "platform/thread.h"
#include "verify/internal/api_keys.h"
#include "verify/internal/erasures.h"
#include "verify/internal/file_census.h"
#include "verify/internal/head_check.h"
#include "verify/internal/keys.h"
#include "verify/internal/segment_check.h"
#include "verify/internal/tree_check.h"
#include "verify/internal/wal_check.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

std::uint64_t listed_bytes(const trail::Manifest& manifest) {
  std::uint64_t bytes = 0;
  for (const auto& stream : manifest.streams)
    for (const auto& record : stream.segments)
      bytes += record.segment.bytes + record.hashes.bytes + record.ids.bytes;
  return bytes;
}

class Pass {
 public:
  Pass(const Inputs& inputs, const Options& options, const trail::Manifest& manifest, Problems& problems)
      : inputs_(inputs),
        options_(options),
        manifest_(manifest),
        problems_(problems),
        progress_(options, listed_bytes(manifest)) {}
  Result<PassOutcome> run(const std::function<bool()>& outdated);

 private:
  Status read_vault();
  void check_stream(const trail::StreamRecord& stream, const StoredHead& head, const WalOutcome& wal);
  void check_segments(const trail::StreamRecord& stream, TreeCheck& tree, StreamReport& report);
  std::vector<SegmentOutcome> check_batch(const trail::StreamRecord& stream,
                                          std::span<const trail::SegmentRecord> records);
  void settle_waiting_sections();
  void settle_stream(SectionTally& tally, const Authorities& authorities, StreamReport& report);
  void check_api_keys_file();
  void check_names(const WalOutcome& wal);
  void note_scope();

  const Inputs& inputs_;
  const Options& options_;
  const trail::Manifest& manifest_;
  Problems& problems_;
  Progress progress_;
  PassOutcome out_;
  std::unique_ptr<VaultKeys> keys_;  // null: none, or the vault is damaged
  std::optional<Scope> scope_;
  std::map<std::uint8_t, SectionTally> sections_;  // by stream
  std::vector<std::string> left_overs_;
};

// With the root key everything is read; damage then leaves us without keys. Without it containers are
// checked.
Status Pass::read_vault() {
  if (inputs_.vault == nullptr) return {};
  progress_.add(0, "vault");
  if (inputs_.root_key == nullptr) {
    check_vault_containers(*inputs_.vault, options_.while_running, problems_, left_overs_);
    return {};
  }
  auto keys = VaultKeys::read(*inputs_.vault, *inputs_.root_key, options_.while_running);
  if (!keys) {
    const auto& error = keys.error();
    if (error.kind == ErrorKind::denied) return std::unexpected(error);
    problems_.add_error(Part::vault,
                        "vault/" + (error.where ? error.where->file : std::string(vault::top_path)), error);
    return {};
  }
  keys_ = *std::move(keys);
  for (const auto& path : keys_->image().foreign)
    problems_.add(Part::foreign, "vault/" + path, 0, "no file of this name belongs here");
  if (!options_.while_running)
    for (const auto& path : keys_->image().left_overs) left_overs_.push_back("vault/" + path);
  return {};
}

std::vector<SegmentOutcome> Pass::check_batch(const trail::StreamRecord& stream,
                                              std::span<const trail::SegmentRecord> records) {
  std::vector<SegmentOutcome> outcomes(records.size());
  std::vector<std::unique_ptr<platform::Thread>> threads;
  for (std::size_t i = 1; i < records.size(); ++i)
    threads.push_back(std::make_unique<platform::Thread>("verify", [this, &stream, &outcomes, records, i] {
      outcomes[i] = check_segment(*scope_, stream, records[i]);
    }));
  outcomes[0] = check_segment(*scope_, stream, records[0]);
  for (auto& thread : threads) thread->join();
  return outcomes;
}

void Pass::check_segments(const trail::StreamRecord& stream, TreeCheck& tree, StreamReport& report) {
  const std::size_t batch = std::clamp(options_.threads, 1U, limits::threads_max);
  const std::span records(stream.segments);
  for (std::size_t at = 0; at < records.size(); at += batch) {
    const auto some = records.subspan(at, std::min(batch, records.size() - at));
    const auto outcomes = check_batch(stream, some);
    for (std::size_t i = 0; i < some.size(); ++i) {
      problems_.merge(outcomes[i].problems);
      out_.notes.insert(out_.notes.end(), outcomes[i].notes.begin(), outcomes[i].notes.end());
      report.entries_checked += outcomes[i].entries_checked;
      sections_[stream.number].merge(outcomes[i].sections);
      tree.add_segment(some[i], outcomes[i]);
    }
  }
}

void Pass::check_stream(const trail::StreamRecord& stream, const StoredHead& head, const WalOutcome& wal) {
  const auto checked = check_head(head,
                                  {.signer_is_there = inputs_.signer != nullptr,
                                   .stopped_in_order = wal.clean && !options_.while_running,
                                   .verifier_keys = options_.verifier_keys},
                                  stream, manifest_.data_id, problems_, out_.notes);
  const auto in_wal = wal.streams.find(stream.number);
  const WalStream* const unsealed = in_wal == wal.streams.end() ? nullptr : &in_wal->second;
  StreamReport report;
  report.name = stream.full_name();
  report.signed_size = checked.signed_size;
  TreeCheck tree(stream, unsealed, checked.roots, problems_);
  check_segments(stream, tree, report);
  tree.finish(wal.whole, wal.last_file, out_.notes);
  if (unsealed != nullptr) {
    report.entries_checked += unsealed->entries_checked;
    sections_[stream.number].merge(unsealed->sections);
  }
  report.size = tree.size();
  report.root = tree.root();
  if (stream.proofs && inputs_.signer != nullptr && !head.state && !head.checkpoint && report.size > 0)
    problems_.add(Part::signer_state, state_path(stream), 0,
                  "the signer's state is missing, and the log has entries");
  out_.streams.push_back(std::move(report));
}

// Which sections are erased and which are missing, tenant by tenant (verify.h).
void Pass::settle_waiting_sections() {
  if (!keys_) return;
  std::map<std::string, ErasuresSeen> seen;
  for (const auto& stream : manifest_.streams) seen[stream.tenant].merge(sections_[stream.number].erasures);
  for (const auto& [tenant, erasures] : seen)
    check_erasures(erasures, tenant, *keys_, options_.while_running, problems_, out_.notes);
  for (std::size_t i = 0; i < manifest_.streams.size(); ++i) {
    const auto& stream = manifest_.streams[i];
    auto& tally = sections_[stream.number];
    settle_stream(tally, Authorities(seen[stream.tenant], stream.tenant, *keys_), out_.streams[i]);
    out_.streams[i].sections = tally.counts;
  }
}

void Pass::settle_stream(SectionTally& tally, const Authorities& authorities, StreamReport& report) {
  std::map<std::uint64_t, std::uint64_t> by_entry;
  const Problem* first = nullptr;
  for (const auto& [refs, waiting] : tally.waiting) {
    if (const auto entry = authorities.erased_by(refs)) {
      tally.counts.erased += waiting.count;
      by_entry[*entry] += waiting.count;
      continue;
    }
    tally.counts.missing += waiting.count;
    if (first == nullptr || waiting.first.bad.index < first->bad.index) first = &waiting.first;
  }
  if (first != nullptr) problems_.add(*first);
  for (const auto& [entry, sections] : by_entry)
    if (report.erased_by.size() < limits::erasures_listed_max) report.erased_by.push_back({entry, sections});
}

void Pass::check_api_keys_file() {
  const std::string name = "api-keys";
  const auto bytes = platform::read_file(inputs_.data, name, limits::api_keys_bytes_max);
  if (!bytes && bytes.error().kind == ErrorKind::not_found) return;
  const auto status = bytes ? check_api_keys(*bytes) : std::unexpected(bytes.error());
  if (!status) problems_.add_error(Part::api_keys, name, status.error());
}

void Pass::check_names(const WalOutcome& wal) {
  Census census{*scope_, wal, {}, problems_, left_overs_};
  if (keys_ && wal.whole)
    for (std::size_t i = 0; i < manifest_.streams.size(); ++i)
      census.sizes[manifest_.streams[i].number] = out_.streams[i].size;
  census.count_data();
  if (inputs_.signer != nullptr) census.count_signer(*inputs_.signer);
}

void Pass::note_scope() {
  std::vector<std::string> notes;
  if (keys_)
    notes.emplace_back("Every entry was decrypted and its leaf hash recomputed.");
  else if (inputs_.root_key != nullptr && inputs_.vault != nullptr)
    notes.emplace_back("The vault is damaged, so no entry could be decrypted: only containers were checked.");
  else
    notes.emplace_back(
        "Containers only: without the root key no entry was decrypted, and entries that are in no segment "
        "yet were "
        "not counted.");
  if (inputs_.signer == nullptr)
    notes.emplace_back(
        options_.verifier_keys.empty()
            ? "The signer's directory was not given: signatures of checkpoints were not checked."
            : "The signer's directory was not given: checkpoints were held against the given keys "
              "alone.");
  if (inputs_.vault == nullptr)
    notes.emplace_back("The vault's directory was not given: it was not checked.");
  for (const auto& path : left_overs_)
    notes.push_back(fmt::format(
        "{} is left over from an interrupted write; the server removes it when it starts.", path));
  notes.insert(notes.end(), out_.notes.begin(), out_.notes.end());
  if (notes.size() > limits::notes_max) notes.resize(limits::notes_max);
  out_.notes = std::move(notes);
}

Result<PassOutcome> Pass::run(const std::function<bool()>& outdated) {
  std::vector<StoredHead> heads;
  for (const auto& stream : manifest_.streams)
    heads.push_back(read_head(inputs_.data, inputs_.signer, stream, problems_));
  VESTIGE_CHECKED(read_vault());
  scope_.emplace(inputs_.data, manifest_, keys_.get(), options_.while_running, progress_);
  const auto wal = check_wal(*scope_);
  problems_.merge(wal.problems);
  if (!wal.problems.empty() && outdated())
    return PassOutcome{.ended_early = true, .streams = {}, .notes = {}};
  for (std::size_t i = 0; i < heads.size(); ++i) check_stream(manifest_.streams[i], heads[i], wal);
  settle_waiting_sections();
  check_api_keys_file();
  check_names(wal);
  note_scope();
  return std::move(out_);
}

}  // namespace

Status check_manifest(const trail::Manifest& manifest) {
  std::set<std::uint8_t> numbers;
  std::set<std::string> names;
  for (const auto& stream : manifest.streams) {
    if (!numbers.insert(stream.number).second || !names.insert(stream.full_name()).second)
      return corrupt("", 0, fmt::format("the manifest lists the stream {} twice", stream.full_name()));
    if (stream.frontier.size() != static_cast<std::size_t>(std::popcount(stream.sealed_size)))
      return corrupt("", 0, fmt::format("the frontier of {} does not fit its size", stream.full_name()));
  }
  for (const auto& mark : manifest.marks)
    if (!numbers.contains(mark.stream))
      return corrupt("", 0,
                     fmt::format("a mark is of stream {}, which the manifest does not list", mark.stream));
  return {};
}

Result<PassOutcome> run_pass(const Inputs& inputs, const Options& options, const trail::Manifest& manifest,
                             Problems& problems, const std::function<bool()>& outdated) {
  return Pass(inputs, options, manifest, problems).run(outdated);
}

}  // namespace vestige::verify
