// A server on a free port of the loopback whose answers a test decides.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "cli/internal/connection.h"
#include "http/server.h"
#include "platform/event_loop.h"

namespace vestige::cli::testing {

class ScriptedServer {
 public:
  // `add_routes` fills the router; its handlers run on the loop's one thread.
  explicit ScriptedServer(const std::function<void(http::Router&)>& add_routes) : loop_(1) {
    add_routes(router_);
    http::ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<http::Server>(loop_, options, router_, nullptr);
    const auto started = server_->start();
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    loop_.start();
  }
  ~ScriptedServer() { server_->stop(); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  ConnectionArguments connection() const { return {.url = url(), .key = "test-key"}; }

 private:
  platform::EventLoop loop_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

// Answers as it is told and notes what it was asked.
class Notes {
 public:
  // `noted` makes the note of a request.
  void add(http::Router& router, const char* method, const char* path, std::string body, unsigned status,
           std::function<std::string(const http::Request&)> noted) {
    router.add(method, path,
               [this, body = std::move(body), status, noted = std::move(noted)](const http::Request& request,
                                                                                http::Responder responder) {
                 const Lock lock(mutex_);
                 seen_.push_back(noted(request));
                 responder.respond({.status = status, .body = body});
               });
  }
  std::vector<std::string> seen() const {
    const Lock lock(mutex_);
    return seen_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> seen_ GUARDED_BY(mutex_);
};

inline http::Response answer(std::string body, unsigned status = 200) {
  return {.status = status, .body = std::move(body)};
}

}  // namespace vestige::cli::testing
