#include "http/internal/answer.h"

#include "base/check.h"

namespace vestige::http {
namespace internal {
namespace {

// The handler's end of a StreamQueue; the last copy ends the stream.
class StreamHandle final : public EventStream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamQueue> queue) : queue_(std::move(queue)) {}
  ~StreamHandle() override { queue_->end(); }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;

  bool send(std::string bytes) override { return queue_->send(std::move(bytes)); }
  bool open() const override { return queue_->open(); }
  std::size_t unsent_bytes() const override { return queue_->unsent_bytes(); }

 private:
  std::shared_ptr<StreamQueue> queue_;
};

}  // namespace

bool StreamQueue::send(std::string bytes) {
  if (bytes.empty()) return open();
  bool fits = false;
  {
    Lock lock(mutex_);
    if (ended_ || cut_) return false;
    fits = bytes.size() <= bytes_max_ - unsent_;
    if (fits) {
      unsent_ += bytes.size();
      queued_ = queued_.empty() ? std::move(bytes) : std::move(queued_) + bytes;
    }
  }
  if (!fits) {
    cut();
    return false;
  }
  wakeup_.notify();
  return true;
}

bool StreamQueue::open() const {
  Lock lock(mutex_);
  return !ended_ && !cut_;
}

std::size_t StreamQueue::unsent_bytes() const {
  Lock lock(mutex_);
  return unsent_;
}

void StreamQueue::end() {
  {
    Lock lock(mutex_);
    ended_ = true;
  }
  wakeup_.notify();
}

void StreamQueue::cut() {
  std::function<void()> on_cut;
  {
    Lock lock(mutex_);
    cut_ = true;
    on_cut = std::exchange(on_cut_, nullptr);
  }
  if (on_cut) wakeup_.run(std::move(on_cut));
  wakeup_.notify();
}

void StreamQueue::set_on_cut(std::function<void()> on_cut) {
  Lock lock(mutex_);
  on_cut_ = std::move(on_cut);
}

StreamQueue::Next StreamQueue::next(std::string& batch) {
  Lock lock(mutex_);
  if (cut_) return Next::cut;
  if (!queued_.empty()) {
    batch = std::move(queued_);
    queued_.clear();
    return Next::bytes;
  }
  return ended_ ? Next::ended : Next::wait;
}

void StreamQueue::written(std::size_t bytes) {
  Lock lock(mutex_);
  CHECK(bytes <= unsent_);
  unsent_ -= bytes;
}

void StreamQueue::close() {
  {
    Lock lock(mutex_);
    cut_ = true;
    queued_ = {};
    on_cut_ = nullptr;
  }
  wakeup_.close();
}

void Answer::respond(Response response) {
  {
    Lock lock(mutex_);
    if (settled()) return;  // abandoned: nobody is there to read it
    response_ = std::move(response);
    settled_.store(true, std::memory_order_release);
  }
  wakeup_.notify();
}

std::shared_ptr<EventStream> Answer::stream(Response head) {
  std::shared_ptr<StreamQueue> queue;
  {
    Lock lock(mutex_);
    queue = std::make_shared<StreamQueue>(executor_, stream_bytes_max_);
    if (settled()) {
      queue->close();
      return std::make_shared<StreamHandle>(std::move(queue));
    }
    response_ = std::move(head);
    queue_ = queue;
    settled_.store(true, std::memory_order_release);
  }
  wakeup_.notify();
  return std::make_shared<StreamHandle>(std::move(queue));
}

std::optional<Response> Answer::take() {
  Lock lock(mutex_);
  return std::exchange(response_, std::nullopt);
}

std::shared_ptr<StreamQueue> Answer::queue() {
  Lock lock(mutex_);
  return std::exchange(queue_, nullptr);
}

void Answer::abandon() {
  {
    Lock lock(mutex_);
    if (settled()) return;
    settled_.store(true, std::memory_order_release);
  }
  wakeup_.notify();
}

void Answer::close() {
  std::shared_ptr<StreamQueue> orphan;
  {
    Lock lock(mutex_);
    settled_.store(true, std::memory_order_release);
    executor_ = {};
    orphan = std::move(queue_);
  }
  if (orphan) orphan->close();
  wakeup_.close();
}

}  // namespace internal

Responder::Responder(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}

Responder::~Responder() {
  if (sink_)
    sink_->respond(
        problem(500,
                "The request was dropped without an answer; this is a defect of the server. Its log "
                "may say more."));
}

Responder::Responder(Responder&&) noexcept = default;

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    const Responder dropped(std::exchange(sink_, std::move(other.sink_)));
  }
  return *this;
}

void Responder::respond(Response response) {
  CHECK(sink_ != nullptr);  // exactly one answer
  std::exchange(sink_, nullptr)->respond(std::move(response));
}

std::shared_ptr<EventStream> Responder::stream(std::vector<std::pair<std::string, std::string>> headers,
                                               std::string content_type) {
  CHECK(sink_ != nullptr);  // exactly one answer
  return std::exchange(sink_, nullptr)
      ->stream({.status = 200, .content_type = std::move(content_type), .headers = std::move(headers)});
}

}  // namespace vestige::http
