// Property: whatever bytes come, the server answers 4xx or closes; it never crashes, never gives a 5xx, and
// goes on serving others. Slow, silent and absent clients cost a bounded time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "http/testing/fixture.h"

namespace vestige::http {
namespace {

using namespace std::string_literals;
using testing::RawClient;
using testing::Running;

void expect_refused(std::uint16_t port, const std::string& bytes) {
  RawClient client(port);
  client.send(bytes);
  client.shutdown_sending();
  const auto answer = client.read_answer();
  EXPECT_TRUE(answer.status == 0 || (answer.status >= 400 && answer.status < 500))
      << bytes << "\n-> " << answer.head;
  client.read_to_end();
}

void expect_serving(std::uint16_t port) {
  RawClient client(port);
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "hello");
}

TEST(Hostile, MalformedRequestsAreRefused) {
  Running running;
  const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::string chunks = post + "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::string> inputs{
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s,
      "\0\0\0\0\0\0\0\0"s,
      "\r\n\r\n\r\n\r\n",
      "GET\r\n\r\n",
      "GET /hello\r\n\r\n",
      "GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /hello HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET /hello HTTP/1.9\r\nHost: x\r\n\r\n",
      "GET /hello http/1.1\r\nHost: x\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "G\x01T /hello HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET hello HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n",
      "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /hello?a=%0 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"s,
      "GET /hello HTTP/1.1\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
      "GET /hello HTTP/1.1\nHost: x\n\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost : x\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"s,
      "GET /hello HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
      post + "Content-Length: -1\r\n\r\n",
      post + "Content-Length: +5\r\n\r\nhello",
      post + "Content-Length: 5, 5\r\n\r\nhello",
      post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
      post + "Content-Length: 0x5\r\n\r\nhello",
      post + "Content-Length: 99999999999999999999999\r\n\r\n",
      post + "Content-Length: 18446744073709551615\r\n\r\n",
      post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
      "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      chunks + "zz\r\n",
      chunks + "-5\r\nhello\r\n0\r\n\r\n",
      chunks + "5 \r\nhello\r\n0\r\n\r\n",
      chunks + "5\nhello\n0\n\n",
      chunks + "5\r\nhelloworld\r\n0\r\n\r\n",
      chunks + "ffffffffffffffffff\r\n",
      chunks + "ffffffffffffffff\r\nhello",
      chunks + "1;" + std::string(5000, 'e') + "\r\nx\r\n0\r\n\r\n",
      chunks + "0\r\n" + std::string(20'000, 't') + "\r\n\r\n",
      chunks + "0\r\nA: b\nC: d\r\n\r\n",
      post + "Content-Length: 5\r\n\r\nhel",
      chunks + "5\r\nhel",
      "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /hello HTTP/1.1\r\nHost: x\r\n" + std::string(20'000, 'a') + ": b\r\n\r\n",
  };
  for (const auto& input : inputs) expect_refused(running.port(), input);
  expect_serving(running.port());
}

TEST(Hostile, DamagedRequestsNeverReachA5xx) {
  Running running;
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string whole =
      "POST /echo?a=%41 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"
      "Expect: 100-continue\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (std::size_t round = 0; round < testing::scaled(300); ++round) {
    auto bytes = whole;
    for (std::size_t i = 0; i < 1 + random() % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    RawClient client(running.port());
    client.send(bytes);
    client.shutdown_sending();
    const auto said = client.read_to_end();
    const auto last = said.rfind("HTTP/1.1 ", said.find("\r\nServer: "));
    const auto status = last == std::string::npos ? "" : said.substr(last + 9, 3);
    // 501 is what RFC 9112 asks for where a flip makes the coding an unknown one.
    ASSERT_TRUE(status < "5" || status == "501") << bytes << said;
  }
  expect_serving(running.port());
}

TEST(Hostile, ASlowRequestIsToldSo) {
  Running running({.request_timeout = std::chrono::seconds(1)});
  for (const char* start : {"GET /hel", "GET /hello HTTP/1.1\r\nHost: x\r\n",
                            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"}) {
    RawClient client(running.port());
    client.send(start);
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 408u) << start;
    EXPECT_TRUE(client.closed_by_server());
  }
}

TEST(Hostile, DrippingBytesBuysNoTime) {
  Running running({.request_timeout = std::chrono::seconds(1)});
  RawClient client(running.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  std::atomic<bool> over{false};
  std::thread dripping([&] { testing::eventually([&] { return over || !client.send("x"); }); });
  EXPECT_EQ(client.read_answer().status, 408u);
  over = true;
  dripping.join();
}

TEST(Hostile, AnIdleConnectionIsClosed) {
  Running running({.idle_timeout = std::chrono::seconds(1)});
  RawClient silent(running.port());
  RawClient once(running.port());
  once.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(once.read_answer().body, "hello");
  EXPECT_TRUE(once.closed_by_server());
  EXPECT_TRUE(silent.closed_by_server());
}

TEST(Hostile, AClientThatDoesNotReadIsLeft) {
  Running running({.write_timeout = std::chrono::seconds(1)});
  RawClient client(running.port(), 4096);
  client.send("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  running.held().take().respond(testing::text(std::string(32 << 20, 'x')));
  EXPECT_TRUE(testing::eventually([&] { return running.server().figures().connections_open == 0; }));
}

TEST(Hostile, DrippingReadsBuysNoTime) {
  Running running({.write_timeout = std::chrono::seconds(1), .answer_bytes_per_second_min = 64 << 20});
  RawClient client(running.port(), 4096);
  client.send("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  running.held().take().respond(testing::text(std::string(32 << 20, 'x')));
  EXPECT_TRUE(testing::eventually([&] {
    client.read_exactly(4096);
    return running.server().figures().connections_open == 0;
  }));
}

// Property: answers that wait for their readers have no more than their budget together, whoever reads gets
// his answer, and the room is there again once the slow ones have gone.
TEST(Hostile, SlowReadersOfLongAnswersShareABudget) {
  constexpr std::size_t long_answer = 16 << 20;  // more than a socket takes at once
  Running running({.answers_in_flight_bytes_max = 2 * long_answer});
  const auto ask = [&](RawClient& client, std::size_t bytes) {
    client.send("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    running.held().take().respond(testing::text(std::string(bytes, 'x')));
  };
  RawClient first(running.port(), 4096), second(running.port(), 4096), third(running.port(), 4096);
  ask(first, long_answer);
  ask(second, long_answer);
  ask(third, long_answer);
  EXPECT_TRUE(testing::eventually([&] { return running.server().figures().answers_cut_total == 1; }));
  EXPECT_LT(third.read_to_end().size(), long_answer);
  expect_serving(running.port());
  EXPECT_EQ(first.read_answer().body.size(), long_answer);
  RawClient fourth(running.port(), 4096);
  ask(fourth, long_answer);
  EXPECT_EQ(fourth.read_answer().body.size(), long_answer);
  EXPECT_EQ(second.read_answer().body.size(), long_answer);
  EXPECT_EQ(running.server().figures().answers_cut_total, 1u);
}

TEST(Hostile, AClientThatGoesWhileItIsServedHarmsNobody) {
  Running running;
  {
    RawClient client(running.port());
    client.send("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    auto responder = running.held().take();
    client.close();
    responder.respond(testing::text(std::string(1 << 20, 'x')));
  }
  expect_serving(running.port());
  EXPECT_TRUE(testing::eventually([&] { return running.server().figures().connections_open == 0; }));
}

}  // namespace
}  // namespace vestige::http
