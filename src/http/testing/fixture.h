// A server on a free port of the loopback, with routes that the tests of this module share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "http/client.h"
#include "http/server.h"
#include "http/testing/raw_client.h"
#include "platform/event_loop.h"

namespace vestige::http::testing {

inline Response text(std::string body) {
  return {.status = 200, .content_type = "text/plain", .body = std::move(body)};
}

// Requests that are held until the test answers them.
class Held {
 public:
  void put(Responder responder) {
    Lock lock(mutex_);
    waiting_.push_back(std::move(responder));
    arrived_.notify_all();
  }
  Responder take() {
    Lock lock(mutex_);
    while (waiting_.empty()) arrived_.wait(mutex_);
    Responder first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }

 private:
  Mutex mutex_;
  Condition arrived_;
  std::deque<Responder> waiting_ GUARDED_BY(mutex_);
};

class Running {
 public:
  explicit Running(ServerOptions options = {}, Gate gate = nullptr) : loop_(2) {
    options.port = 0;
    add_routes();
    server_ = std::make_unique<Server>(loop_, std::move(options), router_, std::move(gate));
    const auto started = server_->start();
    EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().message);
    loop_.start();
  }
  ~Running() { server_->stop(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  std::uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  Held& held() { return held_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  Client client(int timeout_seconds = 20) {
    return Client({.url = url(), .timeout_seconds = timeout_seconds});
  }

 private:
  void add_routes() {
    router_.add("POST", "/echo", [](Request request, Responder responder) {
      responder.respond(text(std::move(request.body)));
    });
    router_.add("GET", "/hello", [](Request, Responder responder) { responder.respond(text("hello")); });
    router_.add("GET", "/page", [](Request, Responder responder) {
      responder.respond({.status = 200, .content_type = "text/html; charset=utf-8", .body = "<p>"});
    });
    router_.add("GET", "/dropped",
                [](Request, Responder responder) { const Responder gone = std::move(responder); });
    router_.add("GET", "/thrown", [](Request, Responder) { throw std::runtime_error("a handler's mishap"); });
    router_.add("POST", "/held", [this](Request, Responder responder) { held_.put(std::move(responder)); });
    router_.add("GET", "/held", [this](Request, Responder responder) { held_.put(std::move(responder)); });
    router_.add("GET", "/wicked", [](Request, Responder responder) {
      responder.respond({.status = 200,
                         .content_type = "text/plain",
                         .body = "x",
                         .headers = {{"X-Value", "a\r\nInjected: yes"},
                                     {"Bad Name", "b"},
                                     {"Content-Length", "99"},
                                     {"Cache-Control", "max-age=60"}}});
    });
    router_.add("GET", "/items/{id}", [](Request request, Responder responder) {
      responder.respond(text(request.captures["id"]));
    });
  }

  Held held_;  // outlives the loop, whose threads put into it
  platform::EventLoop loop_;
  Router router_;
  std::unique_ptr<Server> server_;
};

// How many rounds a randomised test runs, from VESTIGE_TEST_SCALE.
inline std::size_t scaled(std::size_t rounds) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  return scale ? rounds * std::max<std::size_t>(1, static_cast<std::size_t>(std::atoll(scale))) : rounds;
}

// The loop of a test never waits for a moment, only for a state; this gives the state 20 seconds to come.
inline bool eventually(const std::function<bool()>& state) {
  Mutex mutex;
  Condition never;
  for (int tries = 0; tries < 4000; ++tries) {
    if (state()) return true;
    Lock lock(mutex);
    never.wait_for(mutex, std::chrono::milliseconds(5));
  }
  return state();
}

}  // namespace vestige::http::testing
