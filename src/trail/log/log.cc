#include "trail/log/log.h"

#include <fmt/format.h>

#include <deque>

#include "base/check.h"
#include "platform/thread.h"
#include "trail/log/group.h"
#include "trail/log/log_state.h"

namespace vestige::trail {
namespace {

constexpr std::chrono::milliseconds sealer_pause{200};    // between looks when nothing is to do
constexpr std::chrono::milliseconds sealer_retry{1'000};  // after a failed step

}  // namespace

class Log::Impl {
 public:
  Impl(LogParts parts, const Options& options) : state_(std::move(parts), options) {
    state_.schema = std::make_shared<const Schema>(state_.parts.schema);
    sealer_ = std::make_unique<Sealer>(state_);
  }

  LogState& state() { return state_; }
  Sealer& sealer() { return *sealer_; }

  void start();
  Status submit(std::unique_ptr<Submission> submission);
  Result<Stream*> add_stream(const StreamSpec& spec);
  Status stop(Ending ending);
  Result<bool> commit_once();
  Status write_end_mark(bool clean);
  Result<bool> seal_once(bool everything);
  LogFigures figures() const;

 private:
  using Queue = std::deque<std::unique_ptr<Submission>>;

  void run_committer();
  void run_sealer();
  Queue take_group();
  void commit(Queue submissions);
  Status write_group(Group& group, std::shared_ptr<const Bytes>& payload);
  Status admit_bytes() const;
  bool under_wal_pressure();

  LogState state_;
  std::unique_ptr<Sealer> sealer_;

  mutable Mutex mutex_;
  Condition queued_;
  Condition sealer_wake_;
  Queue queue_ GUARDED_BY(mutex_);
  std::size_t queue_bytes_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool sealer_stopping_ GUARDED_BY(mutex_) = false;
  std::string sealing_problem_ GUARDED_BY(mutex_);

  // The committer's own.
  std::map<std::uint8_t, SeedState> seeds_;
  bool end_mark_due_ = false;

  std::atomic<std::uint64_t> groups_{0};
  std::atomic<std::uint64_t> records_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::unique_ptr<platform::Thread> committer_thread_;
  std::unique_ptr<platform::Thread> sealer_thread_;
};

// ------------------------------------------------------------------------------------- submitting

Status Log::Impl::admit_bytes() const {
  std::uint64_t head = 0;
  for (const auto& stream : state_.streams.all()) head += stream->head_bytes();
  if (head > state_.options.head_bytes_max)
    return fail(ErrorKind::unavailable,
                fmt::format("sealing is behind: {} bytes wait in memory (head_bytes_max = {}); try again",
                            head, state_.options.head_bytes_max));
  return {};
}

Status Log::Impl::submit(std::unique_ptr<Submission> submission) {
  const auto bytes = submission->bytes_max();
  if (bytes > frame_payload_bytes_max / 2) {
    Error error{.kind = ErrorKind::exhausted,
                .message = fmt::format("one request may bring at most {} bytes of entries",
                                       frame_payload_bytes_max / 2)};
    error.limit = fmt::format("group_bytes_max = {}", frame_payload_bytes_max / 2);
    return std::unexpected(std::move(error));
  }
  VESTIGE_CHECKED(admit_bytes());
  Lock lock(mutex_);
  if (stopping_) return fail(ErrorKind::unavailable, "the server is stopping");
  if (queue_.size() >= queue_submissions_max || queue_bytes_ + bytes > queue_bytes_max)
    return fail(
        ErrorKind::unavailable,
        fmt::format(
            "too many writes are waiting (queue_submissions_max = {}, queue_bytes_max = {}); try again",
            queue_submissions_max, queue_bytes_max));
  queue_bytes_ += bytes;
  queue_.push_back(std::move(submission));
  queued_.notify_one();
  return {};
}

Result<Stream*> Log::Impl::add_stream(const StreamSpec& spec) {
  {
    Lock lock(mutex_);
    if (stopping_) return fail(ErrorKind::unavailable, "the server is stopping");
  }
  return state_.add_stream(spec);
}

// ------------------------------------------------------------------------------------- committing

// Takes submissions until a group is full.
Log::Impl::Queue Log::Impl::take_group() {
  Lock lock(mutex_);
  Queue group;
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    const auto more = queue_.front()->bytes_max();
    if (!group.empty() && bytes + more > group_bytes_target) break;
    bytes += more;
    queue_bytes_ -= more;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

Status Log::Impl::write_group(Group& group, std::shared_ptr<const Bytes>& payload) {
  VESTIGE_CHECKED(state_.parts.barrier.before_commit());
  payload = group.encode();
  auto sizes = state_.sizes();
  for (const auto& [stream, size] : group.sizes_after()) sizes[stream] = size;
  return state_.wal->append(FrameKind::group, *payload, sizes, WalWriter::Sync::yes);
}

void Log::Impl::commit(Queue submissions) {
  Group group(state_.parts.entropy, seeds_, state_.known_marks());
  std::vector<Status> outcomes;
  outcomes.reserve(submissions.size());
  for (auto& submission : submissions)
    outcomes.push_back(group.place(state_.stream(submission->stream()), *submission));

  if (!group.empty()) {
    std::shared_ptr<const Bytes> payload;
    if (auto written = write_group(group, payload); written) {
      group.publish(payload);
      state_.take_marks(group.marks());
      ++groups_;
      records_ += group.records();
      end_mark_due_ = true;
    } else {
      // Submissions that placed nothing fail as well: they may have found their ids in this very group.
      for (auto& outcome : outcomes)
        if (outcome) outcome = std::unexpected(written.error());
      // What was derived from seeds of this group was never released; fresh ones follow.
      seeds_.clear();
    }
  }
  for (std::size_t i = 0; i < submissions.size(); ++i) {
    if (!outcomes[i]) ++refused_;
    submissions[i]->settled(std::move(outcomes[i]));
  }
}

Result<bool> Log::Impl::commit_once() {
  auto group = take_group();
  if (group.empty()) return false;
  commit(std::move(group));
  return true;
}

Status Log::Impl::write_end_mark(bool clean) {
  EndMark mark{.sizes = {}, .clean = clean};
  const auto sizes = state_.sizes();
  for (const auto& [stream, size] : sizes) mark.sizes.push_back({stream, size});
  VESTIGE_CHECKED(
      state_.wal->append(FrameKind::end_mark, encode_end_mark(mark), sizes, WalWriter::Sync::yes));
  end_mark_due_ = false;
  return {};
}

void Log::Impl::run_committer() {
  for (;;) {
    bool idle = false;
    {
      Lock lock(mutex_);
      while (queue_.empty() && !stopping_) {
        if (!end_mark_due_) {
          queued_.wait(mutex_);
        } else if (!queued_.wait_for(mutex_, state_.options.end_mark_after) && queue_.empty()) {
          idle = true;
          break;
        }
      }
      if (queue_.empty() && stopping_) return;
    }
    if (idle) {
      // Only a courtesy to the next start; without room for it the log is as safe as before.
      if (auto marked = write_end_mark(false); !marked) end_mark_due_ = false;
      continue;
    }
    commit(take_group());
  }
}

// ---------------------------------------------------------------------------------------- sealing

bool Log::Impl::under_wal_pressure() { return state_.wal->bytes() > state_.options.wal_bytes_max / 4 * 3; }

Result<bool> Log::Impl::seal_once(bool everything) { return sealer_->step(everything); }

void Log::Impl::run_sealer() {
  for (;;) {
    {
      Lock lock(mutex_);
      if (sealer_stopping_) return;
    }
    state_.wal->prepare_spare();
    const auto worked = sealer_->step(under_wal_pressure());
    Lock lock(mutex_);
    sealing_problem_ = worked ? std::string() : worked.error().message;
    if (worked && *worked) continue;
    if (!sealer_stopping_) sealer_wake_.wait_for(mutex_, worked ? sealer_pause : sealer_retry);
  }
}

void Log::Impl::start() {
  if (!state_.options.threads) return;
  committer_thread_ = std::make_unique<platform::Thread>("committer", [this] { run_committer(); });
  sealer_thread_ = std::make_unique<platform::Thread>("sealer", [this] { run_sealer(); });
}

Status Log::Impl::stop(Ending ending) {
  {
    Lock lock(mutex_);
    if (stopping_) return {};
    stopping_ = true;
    sealer_stopping_ = true;
    queued_.notify_all();
    sealer_wake_.notify_all();
  }
  if (committer_thread_) committer_thread_->join();
  if (sealer_thread_) sealer_thread_->join();
  for (auto group = take_group(); !group.empty(); group = take_group()) commit(std::move(group));
  if (ending == Ending::cut_short) return write_end_mark(false);
  auto marked = write_end_mark(true);
  if (!marked && marked.error().kind == ErrorKind::unavailable) {
    // The write-ahead log is full: what is sealed now makes room for the mark.
    bool more = true;
    while (more) {
      VESTIGE_TRY(more, sealer_->step(true));
    }
    marked = write_end_mark(true);
  }
  VESTIGE_CHECKED(std::move(marked));
  VESTIGE_CHECKED(state_.wal->finish());
  // Segments under construction are in the WAL; their files are left-overs for the next start.
  for (const auto& stream : state_.streams.all()) {
    VESTIGE_TRY(const auto entries, state_.parts.files.list(stream->directory()));
    for (const auto& entry : entries)
      if (is_open_segment_name(entry.name))
        VESTIGE_CHECKED(state_.parts.files.remove(platform::join(stream->directory(), entry.name)));
  }
  return {};
}

LogFigures Log::Impl::figures() const {
  LogFigures figures{.groups = groups_.load(),
                     .records = records_.load(),
                     .refused = refused_.load(),
                     .wal_bytes = state_.wal->bytes(),
                     .head_bytes = 0,
                     .segments_sealed = sealer_->segments_sealed(),
                     .queued = 0,
                     .writing_stopped = state_.wal->poisoned(),
                     .sealing_problem = {}};
  for (const auto& stream : state_.streams.all()) figures.head_bytes += stream->head_bytes();
  Lock lock(mutex_);
  figures.queued = queue_.size();
  figures.sealing_problem = sealing_problem_;
  return figures;
}

// ------------------------------------------------------------------------------------------- Log

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Log::~Log() {
  // As stop(); where that fails, the log is left as a crash would leave it.
  if (auto stopped = impl_->stop(Log::Ending::in_order); !stopped) return;
}

Result<std::unique_ptr<Log>> Log::open(LogParts parts, const Options& options,
                                       const std::vector<StreamSpec>& specs) {
  VESTIGE_CHECKED(options.check());
  for (const auto& spec : specs) CHECK(is_stream_name(spec.tenant) && is_stream_name(spec.name));
  auto impl = std::make_unique<Impl>(std::move(parts), options);
  VESTIGE_CHECKED(recover(impl->state(), impl->sealer(), specs));
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

const RecoveryReport& Log::recovery() const { return impl_->state().recovery; }
const Block16& Log::data_id() const { return impl_->state().data_id; }
UnixMs Log::created() const { return impl_->state().created; }

Stream* Log::stream(std::string_view tenant, std::string_view name) {
  return impl_->state().streams.find(tenant, name);
}

Stream& Log::stream(std::uint8_t number) { return impl_->state().stream(number); }

std::vector<Stream*> Log::streams() {
  std::vector<Stream*> out;
  for (const auto& stream : impl_->state().streams.all()) out.push_back(stream.get());
  return out;
}

Result<Stream*> Log::add_stream(const StreamSpec& spec) { return impl_->add_stream(spec); }

void Log::start() { impl_->start(); }
Status Log::submit(std::unique_ptr<Submission> submission) { return impl_->submit(std::move(submission)); }

std::optional<std::uint64_t> Log::mark(std::uint8_t stream, const std::string& name) const {
  const auto& state = impl_->state();
  Lock lock(state.marks_mutex);
  const auto found = state.marks.find({stream, name});
  return found == state.marks.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::pair<std::string, std::uint64_t>> Log::marks(std::uint8_t stream,
                                                              std::string_view prefix) const {
  const auto& state = impl_->state();
  Lock lock(state.marks_mutex);
  std::vector<std::pair<std::string, std::uint64_t>> found;
  for (auto at = state.marks.lower_bound({stream, std::string(prefix)});
       at != state.marks.end() && at->first.first == stream && at->first.second.starts_with(prefix); ++at)
    found.emplace_back(at->first.second, at->second);
  return found;
}

Status Log::stop(Ending ending) { return impl_->stop(ending); }
Result<bool> Log::commit_once() { return impl_->commit_once(); }
Status Log::write_end_mark() { return impl_->write_end_mark(false); }
Status Log::forget(const Forgotten& forgotten) { return impl_->sealer().forget(forgotten); }
std::optional<std::uint64_t> Log::oldest_sealed_generation() const {
  return impl_->sealer().oldest_sealed_generation();
}

Result<bool> Log::seal_once(bool everything) { return impl_->seal_once(everything); }
LogFigures Log::figures() const { return impl_->figures(); }

}  // namespace vestige::trail
