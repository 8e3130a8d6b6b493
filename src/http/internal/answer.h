// What a handler and its connection share: the answer to one request, or the queue of one event stream.
// Handlers hold one end on any thread, the connection the other on its strand. Both outlive the connection
// where a handler keeps them; then they are closed and lead nowhere.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "http/internal/wakeup.h"
#include "http/server.h"

namespace vestige::http::internal {

// Bytes on their way to one client.
class StreamQueue {
 public:
  enum class Next { bytes, wait, ended, cut };

  StreamQueue(boost::asio::any_io_executor executor, std::size_t bytes_max)
      : bytes_max_(bytes_max), wakeup_(std::move(executor)) {}

  // The handler's end.
  bool send(std::string bytes);
  bool open() const;
  std::size_t unsent_bytes() const;
  // No more will be sent; what is queued still goes out.
  void end();
  // What is queued is dropped too: the client is gone, or too slow.
  void cut();

  // The connection's end. `on_cut` runs on its strand, so that a write to a client that does not read ends.
  void set_on_cut(std::function<void()> on_cut);
  // `bytes` fills `batch` with all that is queued.
  Next next(std::string& batch);
  void written(std::size_t bytes);
  void close();
  template <typename Token>
  auto async_wait(Token&& token) {
    return wakeup_.async_wait(std::forward<Token>(token));
  }

 private:
  const std::size_t bytes_max_;
  mutable Mutex mutex_;
  std::string queued_ GUARDED_BY(mutex_);
  std::size_t unsent_ GUARDED_BY(mutex_) = 0;  // queued, or taken and not yet written
  bool ended_ GUARDED_BY(mutex_) = false;
  bool cut_ GUARDED_BY(mutex_) = false;
  std::function<void()> on_cut_ GUARDED_BY(mutex_);
  Wakeup wakeup_;
};

class Answer final : public Responder::Sink {
 public:
  Answer(boost::asio::any_io_executor executor, std::size_t stream_bytes_max)
      : executor_(executor), stream_bytes_max_(stream_bytes_max), wakeup_(std::move(executor)) {}

  void respond(Response response) override;
  std::shared_ptr<EventStream> stream(Response head) override;

  // The connection's end.
  bool settled() const { return settled_.load(std::memory_order_acquire); }
  // After it settled; nothing where it was abandoned. The head of a stream's answer is a Response as well.
  std::optional<Response> take();
  std::shared_ptr<StreamQueue> queue();  // none where the answer is no stream
  // Settles it without an answer: the connection ends.
  void abandon();
  void close();
  template <typename Token>
  auto async_wait(Token&& token) {
    return wakeup_.async_wait(std::forward<Token>(token));
  }

 private:
  mutable Mutex mutex_;
  boost::asio::any_io_executor executor_ GUARDED_BY(mutex_);
  const std::size_t stream_bytes_max_;
  std::optional<Response> response_ GUARDED_BY(mutex_);
  std::shared_ptr<StreamQueue> queue_ GUARDED_BY(mutex_);
  std::atomic<bool> settled_{false};
  Wakeup wakeup_;
};

}  // namespace vestige::http::internal
