// A server on a free port of the loopback whose answers a test decides.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

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

inline http::Response answer(std::string body, unsigned status = 200) {
  return {.status = status, .body = std::move(body)};
}

}  // namespace vestige::cli::testing
