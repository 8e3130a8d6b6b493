#include "trail/testing/sim_trail.h"

namespace vestige::trail::testing {
namespace {

const std::vector<StreamSpec> specs{{"acme", "events", true}, {"acme", "system", false}};
constexpr std::string_view signer_directory = "acme/events";

}  // namespace

Options small_options() {
  Options options;
  options.wal_file_bytes = 64 << 10;
  options.wal_bytes_max = 2 << 20;
  options.disk_reserve_bytes = 0;
  options.segment_rows_max = block_rows;
  options.head_bytes_max = 4 << 20;
  options.page_cache_bytes_max = 1 << 20;
  options.threads = false;
  return options;
}

void StreamModel::append(const Placed& placed) {
  index_of[placed.id] = entries.size();
  entries.push_back(placed);
  leaves.push_back(leaf_hash(view(placed.entry)));
  frontier.append(leaves.back());
  roots.push_back(frontier.root());
}

SimTrail::SimTrail(std::uint64_t seed, const Options& options) : options_(options), entropy_(seed) {
  models_[events_stream].name = "acme/events";
  models_[system_stream].name = "acme/system";
}

SimTrail::~SimTrail() {
  signer_.reset();
  log_.reset();
}

Status SimTrail::open() {
  log_.reset();
  files_ = disk_.open(std::string(data_root));
  auto log = Log::open({.files = *files_,
                        .clock = clock_,
                        .entropy = entropy_,
                        .wrapper = wrapper_,
                        .barrier = barrier_,
                        .schema = test_schema()},
                       options_, specs);
  if (!log) return std::unexpected(log.error());
  log_ = *std::move(log);
  resolve_streams();
  resolve_maybe();
  verify();
  return {};
}

Status SimTrail::open_signer() {
  signer_.reset();
  signer_files_ = signer_disk_.open("signer");
  VESTIGE_TRY(signer_, Signer::open(*signer_files_, entropy_, clock_, std::string(signer_directory),
                                    "log.example", log_->data_id(), log_->stream(events_stream).size()));
  VESTIGE_CHECKED(signer_->check(log_->stream(events_stream).snapshot()));
  if (!released_.empty()) {
    EXPECT_EQ(signer_->verifier_key().text(), released_key_->text());
    EXPECT_GE(signer_->signed_size(), released_.rbegin()->first) << "a released signature was forgotten";
  }
  return {};
}

std::optional<std::uint8_t> SimTrail::add_stream(const std::string& name) {
  const auto full_name = "late/" + name;
  const auto added = log_->add_stream({"late", name, true});
  const auto known =
      std::ranges::find_if(models_, [&](const auto& of) { return of.second.name == full_name; });
  if (!added) {
    EXPECT_TRUE(known == models_.end()) << "a stream that is there needs no adding";
    EXPECT_EQ(log_->stream("late", name), nullptr) << "a stream that was refused is shown";
    maybe_streams_.insert(full_name);
    return std::nullopt;
  }
  const auto number = (*added)->number();
  EXPECT_EQ((*added)->full_name(), full_name);
  EXPECT_EQ(log_->stream("late", name), *added);
  if (known != models_.end()) {
    EXPECT_EQ(known->first, number);
  } else {
    EXPECT_EQ((*added)->size(), 0U);
    EXPECT_FALSE(models_.contains(number)) << "a number was given twice";
    models_[number].name = full_name;
  }
  maybe_streams_.erase(full_name);
  return number;
}

std::vector<std::uint8_t> SimTrail::streams() const {
  std::vector<std::uint8_t> numbers;
  for (const auto& [number, model] : models_) numbers.push_back(number);
  return numbers;
}

bool SimTrail::submit(std::uint8_t stream, std::vector<Draft> drafts,
                      std::map<std::string, std::uint64_t> marks, bool refuse) {
  auto ticket = std::make_shared<Ticket>();
  ticket->stream = stream;
  ticket->drafts = std::move(drafts);
  ticket->marks = std::move(marks);
  ticket->refuse = refuse;
  if (!log_->submit(make_submission(ticket))) return false;
  queued_.push_back(std::move(ticket));
  return true;
}

bool SimTrail::submit_new(std::uint8_t stream, std::size_t rows, std::size_t padding) {
  std::vector<Draft> drafts;
  for (std::size_t i = 0; i < rows; ++i) drafts.push_back({.id = next_id++, .padding = padding});
  return submit(stream, std::move(drafts));
}

bool SimTrail::commit() {
  bool well = true;
  while (!queued_.empty()) {
    const auto committed = log_->commit_once();
    EXPECT_TRUE(committed && *committed);
    std::vector<std::shared_ptr<Ticket>> group;
    while (!queued_.empty() && queued_.front()->outcome) {
      group.push_back(queued_.front());
      queued_.erase(queued_.begin());
    }
    EXPECT_FALSE(group.empty()) << "a group was committed and nobody was told";
    if (group.empty()) return false;
    well = settle(group) && well;
  }
  return well;
}

// What place() told a submission is what the model would have told it.
void SimTrail::expect_placed(const Ticket& ticket, std::map<std::uint8_t, std::uint64_t>& sizes,
                             std::map<std::pair<std::uint8_t, std::uint64_t>, std::uint64_t>& ids) const {
  const auto& model = models_.at(ticket.stream);
  auto& size = sizes.try_emplace(ticket.stream, model.entries.size()).first->second;
  EXPECT_EQ(ticket.first, size);
  ASSERT_EQ(ticket.found.size(), ticket.drafts.size());
  std::size_t placed = 0;
  for (std::size_t i = 0; i < ticket.drafts.size(); ++i) {
    const auto id = ticket.drafts[i].id;
    if (const auto known = model.index_of.find(id); known != model.index_of.end()) {
      ASSERT_EQ(ticket.found[i], known->second);
    } else if (const auto in_group = ids.find({ticket.stream, id}); in_group != ids.end()) {
      ASSERT_EQ(ticket.found[i], in_group->second);
    } else {
      ASSERT_EQ(ticket.found[i], size);
      ASSERT_LT(placed, ticket.placed.size());
      ASSERT_EQ(ticket.placed[placed++].id, id);
      ids[{ticket.stream, id}] = size++;
    }
  }
  ASSERT_EQ(placed, ticket.placed.size());
}

// The tickets of one group, in order. False where writing it failed.
bool SimTrail::settle(const std::vector<std::shared_ptr<Ticket>>& tickets) {
  std::map<std::uint8_t, std::uint64_t> sizes;
  std::map<std::pair<std::uint8_t, std::uint64_t>, std::uint64_t> ids;
  Maybe group;
  bool failed = false;
  std::size_t marks_set = 0;
  auto marks_after = marks_;
  for (const auto& ticket : tickets) {
    EXPECT_EQ(ticket->settled_times, 1U);
    EXPECT_TRUE(ticket->placed_called);
    auto with_its_own = marks_after;
    for (const auto& [name, value] : ticket->marks) with_its_own[{ticket->stream, name}] = value;
    const bool log_is_full = with_its_own.size() > marks_max;
    if (ticket->place_status && (log_is_full || marks_set + ticket->marks.size() > marks_max))
      ticket->place_status =
          fail(log_is_full ? ErrorKind::exhausted : ErrorKind::unavailable, "too many marks");
    if (!ticket->place_status) {
      EXPECT_FALSE(*ticket->outcome);
      if (!*ticket->outcome) EXPECT_EQ(ticket->outcome->error().kind, ticket->place_status.error().kind);
      continue;
    }
    marks_after = std::move(with_its_own);
    marks_set += ticket->marks.size();
    failed = failed || !*ticket->outcome;
    expect_placed(*ticket, sizes, ids);
    auto& placed = group.placed[ticket->stream];
    placed.insert(placed.end(), ticket->placed.begin(), ticket->placed.end());
    for (const auto& [name, value] : ticket->marks) group.marks[{ticket->stream, name}] = value;
  }
  for (const auto& ticket : tickets)
    if (ticket->place_status) EXPECT_EQ(ticket->outcome->has_value(), !failed) << "one group, two outcomes";
  if (failed) {
    // Only the group whose write failed may be there after a restart; later ones were never written.
    if (log_->figures().writing_stopped && !maybe_) maybe_ = std::move(group);
    return false;
  }
  for (const auto& [stream, placed] : group.placed)
    for (const auto& one : placed) models_[stream].append(one);
  for (const auto& [key, value] : group.marks) marks_[key] = value;
  return true;
}

Status SimTrail::seal(bool everything) {
  for (;;) {
    VESTIGE_TRY(const bool more, log_->seal_once(everything));
    if (!more) return {};
  }
}

Status SimTrail::sign() {
  const auto snapshot = log_->stream(events_stream).snapshot();
  VESTIGE_TRY(const auto note, signer_->sign(snapshot));
  const auto checkpoint = verify_checkpoint(note, signer_->verifier_key());
  EXPECT_TRUE(checkpoint);
  if (!checkpoint) return std::unexpected(checkpoint.error());
  EXPECT_EQ(checkpoint->size, snapshot.size());
  const auto [place, fresh] = released_.try_emplace(checkpoint->size, checkpoint->root);
  EXPECT_EQ(place->second, checkpoint->root) << "a fork at size " << checkpoint->size;
  released_key_ = signer_->verifier_key();
  return {};
}

Status SimTrail::stop() {
  auto stopped = log_->stop();
  if (stopped) log_.reset();
  return stopped;
}

void SimTrail::crash(const platform::sim::CrashPolicy& policy) {
  disk_.crash(policy);
  log_.reset();
  queued_.clear();
}

void SimTrail::kill() {
  const auto files = disk_.snapshot();
  disk_.crash({.seed = 0, .keep_unsynced = false});
  log_.reset();
  queued_.clear();
  disk_.restore(files);
}

void SimTrail::crash_signer(const platform::sim::CrashPolicy& policy) {
  signer_disk_.crash(policy);
  signer_.reset();
}

// Those that were being added may be there, empty; all others are as they were.
void SimTrail::resolve_streams() {
  for (const auto* stream : log_->streams()) {
    const auto known = models_.find(stream->number());
    if (known != models_.end()) continue;
    EXPECT_TRUE(maybe_streams_.contains(stream->full_name())) << stream->full_name() << " was never added";
    EXPECT_EQ(stream->size(), 0U) << stream->full_name();
    models_[stream->number()].name = stream->full_name();
  }
  maybe_streams_.clear();
}

// Whole or absent: one answer for all streams and marks of the group that was being written.
void SimTrail::resolve_maybe() {
  if (!maybe_) return;
  std::optional<bool> present;
  const auto vote = [&](bool there, std::string_view what) {
    EXPECT_EQ(present.value_or(there), there) << "half of a group is there: " << what;
    present = there;
  };
  for (const auto& [stream, placed] : maybe_->placed)
    if (!placed.empty())
      vote(log_->stream(stream).size() > models_[stream].entries.size(), log_->stream(stream).full_name());
  for (const auto& [key, value] : maybe_->marks) {
    const auto before = marks_.find(key);
    if (before != marks_.end() && before->second == value) continue;
    vote(log_->mark(key.first, key.second) == value, "mark " + key.second);
  }
  if (present.value_or(false)) {
    for (const auto& [stream, placed] : maybe_->placed)
      for (const auto& one : placed) models_[stream].append(one);
    for (const auto& [key, value] : maybe_->marks) marks_[key] = value;
  }
  maybe_.reset();
}

void SimTrail::verify() {
  std::map<std::uint8_t, std::string> expected;
  std::map<std::uint8_t, std::string> found;
  for (const auto& [number, model] : models_) expected[number] = model.name;
  for (const auto* stream : log_->streams()) found[stream->number()] = stream->full_name();
  ASSERT_EQ(found, expected);
  for (const auto& [number, model] : models_) verify_stream(number);
  verify_marks();
  verify_released_notes();
}

void SimTrail::verify_marks() {
  for (const auto& [key, value] : marks_) EXPECT_EQ(log_->mark(key.first, key.second), value) << key.second;
  EXPECT_FALSE(log_->mark(events_stream, "never set"));
}

void SimTrail::verify_stream(std::uint8_t number) {
  const auto& model = models_[number];
  Stream& stream = log_->stream(number);
  const auto snapshot = stream.snapshot();
  ASSERT_EQ(snapshot.size(), model.entries.size()) << stream.full_name();
  ASSERT_EQ(snapshot.root(), model.roots.back()) << stream.full_name();
  std::uint64_t next = 0;
  const auto scanned = snapshot.scan(0, UINT64_MAX, Snapshot::Order::ascending, {},
                                     [&](const ScannedRow& row) -> Result<bool> {
                                       EXPECT_EQ(row.index, next);
                                       if (row.index != next || next >= model.entries.size()) return false;
                                       EXPECT_EQ(row.entry, model.entries[next].entry);
                                       VESTIGE_TRY(const auto blobs, row.blobs());
                                       EXPECT_EQ(blobs, model.entries[next].blobs);
                                       ++next;
                                       return true;
                                     });
  ASSERT_TRUE(scanned) << scanned.error().message;
  ASSERT_EQ(next, model.entries.size());
  for (std::size_t i = 0; i < model.entries.size(); i += 1 + model.entries.size() / 16) {
    const auto found = stream.ids().find(fingerprint_of(model.entries[i].id));
    ASSERT_TRUE(found);
    EXPECT_TRUE(std::ranges::find(*found, i) != found->end()) << "entry " << i;
  }
}

void SimTrail::verify_proofs(Random& random) {
  const auto& model = models_[events_stream];
  const auto snapshot = log_->stream(events_stream).snapshot();
  if (snapshot.size() == 0) return;
  const auto size = 1 + random.below(snapshot.size());
  const auto index = random.below(size);
  const auto root = snapshot.root_at(size);
  ASSERT_TRUE(root);
  EXPECT_EQ(*root, model.roots[size]);
  const auto leaf = snapshot.leaf(index);
  ASSERT_TRUE(leaf);
  EXPECT_EQ(*leaf, model.leaves[index]);
  const auto path = snapshot.inclusion(index, size);
  ASSERT_TRUE(path);
  EXPECT_TRUE(verify_inclusion(*leaf, index, size, *path, model.roots[size]));
  const auto from = random.below(size + 1);
  const auto consistency = snapshot.consistency(from, size);
  ASSERT_TRUE(consistency);
  EXPECT_TRUE(verify_consistency(from, model.roots[from], size, model.roots[size], *consistency));
  const auto record = snapshot.read(index);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->entry, model.entries[index].entry);
  EXPECT_EQ(record->blobs, model.entries[index].blobs);
}

void SimTrail::verify_released_notes() {
  const auto& model = models_[events_stream];
  for (const auto& [size, root] : released_) {
    ASSERT_LT(size, model.roots.size()) << "a signed entry is missing";
    EXPECT_EQ(model.roots[size], root) << "the tree forked at size " << size;
  }
  if (signer_) {
    const auto checked = signer_->check(log_->stream(events_stream).snapshot());
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

}  // namespace vestige::trail::testing
