// Properties: an event stream's bytes arrive whole and in order; it ends for the handler when the client goes
// or is too slow, and for the client when the handler lets go or the server stops. A stop lets running
// requests finish, ends what is idle, and is over within its time limit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "http/testing/fixture.h"

namespace vestige::http {
namespace {

using testing::eventually;
using testing::RawClient;
using testing::Running;

constexpr const char* get_held = "GET /held HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(Stream, ArrivesWholeAndInOrder) {
  Running running;
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::string sent;
  std::thread producer([&] {
    const auto stream = running.held().take().stream({{"X-Extra", "1"}});
    for (std::size_t i = 0; i < testing::scaled(500); ++i) {
      std::string piece =
          fmt::format("data: {}\n\n", std::string(random() % 2000, static_cast<char>('a' + i % 26)));
      sent += piece;
      // A producer waits for its client; the queue is what it may be ahead.
      ASSERT_TRUE(eventually([&] { return stream->unsent_bytes() < 1 << 20; }));
      ASSERT_TRUE(stream->send(std::move(piece)));
    }
  });
  auto client = running.client();
  std::string received;
  const auto response = client.stream("/held", {}, [&](std::string_view piece) {
    received += piece;
    return true;
  });
  producer.join();
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 200u);
  EXPECT_EQ(response->content_type, "text/event-stream");
  EXPECT_TRUE(received == sent);
}

TEST(Stream, HasTheHeadOfAnEventStream) {
  Running running;
  RawClient client(running.port());
  client.send(get_held);
  auto stream = running.held().take().stream();
  const auto head = client.read_until("\r\n\r\n");
  for (const char* field :
       {"HTTP/1.1 200 OK\r\n", "Content-Type: text/event-stream\r\n", "Cache-Control: no-store\r\n",
        "Transfer-Encoding: chunked\r\n", "Connection: close\r\n"})
    EXPECT_NE(head.find(field), std::string::npos) << head;
  EXPECT_TRUE(stream->send("data: 1\n\n"));
  EXPECT_EQ(client.read_exactly(14), "9\r\ndata: 1\n\n\r\n");
  stream.reset();
  EXPECT_EQ(client.read_to_end(), "0\r\n\r\n");
}

TEST(Stream, ToAnOldClientEndsWithTheConnection) {
  Running running;
  RawClient client(running.port());
  client.send("GET /held HTTP/1.0\r\n\r\n");
  auto stream = running.held().take().stream();
  stream->send("data: 1\n\n");
  stream.reset();
  const auto head = client.read_until("\r\n\r\n");
  EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(client.read_to_end(), "data: 1\n\n");
}

TEST(Stream, ToHeadIsItsHeadAlone) {
  Running running;
  RawClient client(running.port());
  client.send("HEAD /held HTTP/1.1\r\nHost: x\r\n\r\n");
  auto stream = running.held().take().stream();
  EXPECT_TRUE(client.read_to_end().ends_with("\r\n\r\n"));
  EXPECT_TRUE(eventually([&] { return !stream->open(); }));
}

TEST(Stream, NoticesThatTheClientHasGone) {
  Running running;
  RawClient client(running.port());
  client.send(get_held);
  const auto stream = running.held().take().stream();
  client.read_until("\r\n\r\n");
  EXPECT_TRUE(stream->open());
  client.close();
  EXPECT_TRUE(eventually([&] { return !stream->open(); }));
  EXPECT_FALSE(stream->send("data: late\n\n"));
  EXPECT_TRUE(eventually([&] { return running.server().figures().connections_open == 0; }));
}

TEST(Stream, ASlowReaderIsCut) {
  Running running({.stream_buffer_bytes_max = 100'000});
  RawClient client(running.port(), 4096);
  client.send(get_held);
  const auto stream = running.held().take().stream();
  client.read_until("\r\n\r\n");
  std::size_t accepted = 0;
  const std::string piece(10'000, 'x');
  while (accepted < (256u << 20) && stream->send(piece)) {
    accepted += piece.size();
    EXPECT_LE(stream->unsent_bytes(), 100'000u);
  }
  EXPECT_LT(accepted, 256u << 20);
  EXPECT_FALSE(stream->open());
  // Long before write_timeout would end it.
  EXPECT_TRUE(eventually([&] { return running.server().figures().connections_open == 0; }));
}

TEST(Stream, ClientMayLetGo) {
  Running running;
  std::thread producer([&] {
    const auto stream = running.held().take().stream();
    EXPECT_TRUE(eventually([&] { return !stream->send("data: x\n\n"); }));
  });
  auto client = running.client();
  int pieces = 0;
  const auto response = client.stream("/held", {}, [&](std::string_view) { return ++pieces < 3; });
  producer.join();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(pieces, 3);
}

TEST(Stop, LetsARunningRequestFinish) {
  Running running;
  RawClient client(running.port());
  RawClient idle(running.port());
  idle.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(idle.read_answer().body, "hello");
  client.send(get_held);
  auto responder = running.held().take();
  std::thread stopping([&] { running.server().stop(); });
  EXPECT_TRUE(idle.closed_by_server());
  responder.respond(testing::text("finished"));
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.body, "finished");
  EXPECT_NE(answer.head.find("Connection: close\r\n"), std::string::npos);
  stopping.join();
  EXPECT_FALSE(RawClient(running.port()).connected());
  EXPECT_EQ(running.server().figures().connections_open, 0u);
}

TEST(Stop, EndsStreams) {
  Running running;
  RawClient client(running.port());
  client.send(get_held);
  const auto stream = running.held().take().stream();
  stream->send("data: last\n\n");
  client.read_until("\r\n\r\n");
  running.server().stop();
  EXPECT_FALSE(stream->open());
  EXPECT_EQ(client.read_to_end(), "c\r\ndata: last\n\n\r\n0\r\n\r\n");
}

TEST(Stop, LeavesBehindWhatIsNotAnsweredInTime) {
  Running running({.drain_timeout = std::chrono::seconds(1)});
  RawClient client(running.port());
  client.send(get_held);
  auto responder = running.held().take();
  running.server().stop();
  EXPECT_EQ(running.server().figures().connections_open, 0u);
  EXPECT_TRUE(client.closed_by_server());
  responder.respond(testing::text("too late"));
}

TEST(Stop, AnswersAndStreamsOutliveTheServer) {
  std::optional<Responder> responder;
  std::shared_ptr<EventStream> stream;
  {
    Running running({.drain_timeout = std::chrono::seconds(0)});
    RawClient first(running.port());
    first.send(get_held);
    responder.emplace(running.held().take());
    RawClient second(running.port());
    second.send(get_held);
    stream = running.held().take().stream();
  }
  EXPECT_FALSE(stream->send("data: x\n\n"));
  EXPECT_FALSE(responder->stream()->open());
}

TEST(Stop, UnderLoadLosesNoAnswer) {
  Running running;
  std::atomic<bool> broken{false};
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&] {
      RawClient client(running.port());
      // Every answer either comes whole, or the connection closed before the request was taken.
      while (client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")) {
        const auto answer = client.read_answer();
        if (answer.status == 0) break;
        if (answer.body != "hello") broken = true;
        ++answered;
      }
    });
  EXPECT_TRUE(eventually([&] { return answered > 200; }));
  running.server().stop();
  for (auto& client : clients) client.join();
  EXPECT_FALSE(broken);
}

}  // namespace
}  // namespace vestige::http
