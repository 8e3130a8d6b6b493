// Properties:
// - a request's answer is exactly what its handler gave, in the order of the requests, whatever the framing
//   (sized, chunked, compressed), the pieces it comes in, and how many connections there are;
// - every answer has the security headers, and every refusal of the server itself is a problem document;
// - a limit admits exactly its value and refuses one more.
#include "http/server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "http/testing/compress.h"
#include "http/testing/fixture.h"

namespace vestige::http {
namespace {

using testing::RawClient;
using testing::Running;

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % 7 ? 'a' + random() % 4 : random());
  return bytes;
}

std::string post(std::string_view path, std::string_view body, std::string_view fields = {}) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}", path, fields,
                     body.size(), body);
}

std::string chunked(std::mt19937& random, std::string_view body) {
  std::string out;
  while (!body.empty()) {
    const auto piece = body.substr(0, 1 + random() % 5000);
    body.remove_prefix(piece.size());
    out += fmt::format("{:x}{}\r\n{}\r\n", piece.size(), random() % 3 ? "" : ";name=\"value\"", piece);
  }
  return out + (random() % 2 ? "0\r\n\r\n" : "0\r\nX-Trailer: dropped\r\n\r\n");
}

void expect_problem(const RawClient::Answer& answer, unsigned status) {
  EXPECT_EQ(answer.status, status) << answer.head << answer.body;
  EXPECT_NE(answer.head.find("Content-Type: application/problem+json\r\n"), std::string::npos) << answer.head;
  EXPECT_NE(answer.body.find(fmt::format("\"status\":{}", status)), std::string::npos) << answer.body;
}

// One request of random framing and coding, that echoes `body`.
std::string random_request(std::mt19937& random, std::string_view body) {
  std::string fields;
  std::string sent(body);
  if (const auto coding = random() % 3; coding == 1) {
    fields = "Content-Encoding: gzip\r\n";
    sent = testing::gzip(body);
  } else if (coding == 2) {
    fields = "Content-Encoding: zstd\r\n";
    sent = testing::zstd(body);
  }
  if (random() % 2) return post("/echo", sent, fields);
  return "POST /echo HTTP/1.1\r\nHost: x\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" +
         chunked(random, sent);
}

void echo_many(std::uint16_t port, unsigned seed, std::size_t rounds, std::size_t body_bytes_max) {
  std::mt19937 random(seed);
  RawClient client(port);
  for (std::size_t round = 0; round < rounds; ++round) {
    // Several requests at once, cut anywhere.
    std::vector<std::string> bodies;
    std::string bytes;
    for (std::size_t i = 0; i < 1 + random() % 4; ++i) {
      bodies.push_back(random_bytes(random, random() % 3 ? random() % 200 : random() % body_bytes_max));
      bytes += random_request(random, bodies.back());
    }
    std::string_view left = bytes;
    while (!left.empty()) {
      const auto piece = left.substr(0, random() % 4 ? left.size() : 1 + random() % left.size());
      ASSERT_TRUE(client.send(piece)) << "seed " << seed;
      left.remove_prefix(piece.size());
    }
    for (const auto& body : bodies) {
      const auto answer = client.read_answer();
      ASSERT_EQ(answer.status, 200u) << "seed " << seed << answer.head << answer.body;
      ASSERT_TRUE(answer.body == body) << "seed " << seed << ", round " << round;
    }
  }
}

TEST(Server, EchoesAnyFramingInOrderOnOneConnection) {
  Running running;
  echo_many(running.port(), std::random_device{}(), testing::scaled(400), 60'000);
}

TEST(Server, EchoesOnManyConnectionsAtOnce) {
  Running running;
  std::vector<std::thread> clients;
  for (unsigned i = 0; i < 64; ++i)
    clients.emplace_back(echo_many, running.port(), std::random_device{}(), testing::scaled(8), 20'000);
  for (auto& client : clients) client.join();
  const auto figures = running.server().figures();
  EXPECT_EQ(figures.connections_total, 64u);
  EXPECT_EQ(figures.responses_by_status.size(), 1u);
  EXPECT_EQ(figures.responses_by_status.at(200), figures.requests_total);
}

TEST(Server, AThousandRequestsOverTheClient) {
  Running running;
  auto client = running.client();
  std::mt19937 random(7);
  for (std::size_t i = 0; i < 1000; ++i) {
    const auto body = random_bytes(random, random() % 3000);
    const auto response = client.send("POST", "/echo", body);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    ASSERT_TRUE(response->body == body);
  }
  EXPECT_EQ(running.server().figures().connections_total, 1u);
}

TEST(Server, EveryAnswerHasTheSecurityHeaders) {
  Running running;
  RawClient client(running.port());
  for (const char* request :
       {"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost: x\r\n\r\n", "broken\r\n\r\n"}) {
    client.send(request);
    const auto answer = client.read_answer();
    for (const char* field :
         {"\r\nServer: vestige\r\n", "\r\nX-Content-Type-Options: nosniff\r\n",
          "\r\nDate: ", "\r\nCache-Control: no-store\r\n", "\r\nReferrer-Policy: no-referrer\r\n"})
      EXPECT_NE(answer.head.find(field), std::string::npos) << request << answer.head;
    EXPECT_EQ(answer.head.find("Content-Security-Policy: ") != std::string::npos, answer.body == "<p>")
        << answer.head;
  }
}

TEST(Server, HandlersCannotInjectHeaders) {
  Running running;
  RawClient client(running.port());
  client.send("GET /wicked HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.head.find("\r\nInjected"), std::string::npos);
  EXPECT_NE(answer.head.find("X-Value: a  Injected: yes\r\n"), std::string::npos) << answer.head;
  EXPECT_EQ(answer.head.find("Bad Name"), std::string::npos);
  EXPECT_NE(answer.head.find("Content-Length: 1\r\n"), std::string::npos);
  EXPECT_NE(answer.head.find("Cache-Control: max-age=60\r\n"), std::string::npos);
  EXPECT_EQ(answer.head.find("no-store"), std::string::npos);
}

TEST(Server, HeadAnswersLikeGetWithoutTheBody) {
  Running running;
  RawClient client(running.port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_answer(true).head.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_EQ(client.read_answer().body, "hello");
}

TEST(Server, KeepsConnectionsAsTheClientAsks) {
  Running running;
  RawClient closing(running.port());
  closing.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(closing.read_answer().head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(closing.closed_by_server());
  RawClient old(running.port());
  old.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(old.read_answer().head.find("Connection: keep-alive\r\n"), std::string::npos);
  old.send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_answer().body, "hello");
  EXPECT_TRUE(old.closed_by_server());
}

TEST(Server, ADroppedOrThrowingHandlerIsA500) {
  Running running;
  RawClient client(running.port());
  for (const char* path : {"/dropped", "/thrown"}) {
    client.send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    expect_problem(client.read_answer(), 500);
  }
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 200u);
}

TEST(Server, AnswersFromOtherThreadsStayInOrder) {
  Running running;
  RawClient client(running.port());
  client.send(post("/held", "1") + post("/echo", "2"));
  auto responder = running.held().take();
  std::thread([&] { responder.respond(testing::text("1")); }).join();
  EXPECT_EQ(client.read_answer().body, "1");
  EXPECT_EQ(client.read_answer().body, "2");
}

TEST(Server, SaysContinueOnlyToThoseWhoWait) {
  Running running;
  RawClient client(running.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ab");
  EXPECT_EQ(client.read_answer().body, "ab");
  client.send(post("/echo", "cd", "Expect: 100-continue\r\n"));
  EXPECT_EQ(client.read_answer().body, "cd");
  client.send(post("/echo", "ef", "Expect: 200-miracle\r\n"));
  expect_problem(client.read_answer(), 417);
}

TEST(Server, BodyLimitAdmitsItsValueAndNotOneMore) {
  Running running({.body_bytes_max = 70'000});
  std::mt19937 random(3);
  for (const std::size_t size : {70'000u, 70'001u}) {
    const std::string body(size, 'x');
    const unsigned expected = size == 70'000 ? 200 : 413;
    const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    for (const auto& request :
         {post("/echo", body), post("/echo", testing::gzip(body), "Content-Encoding: gzip\r\n"),
          post("/echo", testing::zstd(body), "Content-Encoding: zstd\r\n"),
          head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(random, body),
          head + "Content-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n" +
              chunked(random, testing::zstd(body))}) {
      RawClient client(running.port());
      client.send(request);
      const auto answer = client.read_answer();
      EXPECT_EQ(answer.status, expected) << request.substr(0, 150);
      if (expected == 413) expect_problem(answer, 413);
    }
  }
}

TEST(Server, RefusesALargeBodyBeforeItComes) {
  Running running({.body_bytes_max = 1000});
  RawClient client(running.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  expect_problem(client.read_answer(), 413);
}

TEST(Server, HeaderLimitAdmitsItsValueAndNotOneMore) {
  Running running({.header_bytes_max = 4000});
  for (const std::size_t size : {4000u, 4001u, 40'000u}) {
    const std::string start = "GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: ";
    for (const bool in_pieces : {false, true}) {
      RawClient client(running.port());
      const auto request = start + std::string(size - start.size() - 4, 'y') + "\r\n\r\n";
      const std::size_t cut = in_pieces ? 3000 : request.size();
      client.send(request.substr(0, cut));
      client.send(request.substr(cut));
      const auto answer = client.read_answer();
      EXPECT_EQ(answer.status, size == 4000 ? 200u : 431u) << size;
    }
  }
  // Many short fields, each taken as it comes, add up as well.
  RawClient client(running.port());
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 1000; ++i) client.send("A: b\r\n");
  EXPECT_EQ(client.read_answer().status, 431u);
}

TEST(Server, BombsStopAtTheLimit) {
  Running running({.body_bytes_max = 1 << 20});
  const std::string zeros(64 << 20, '\0');
  for (const auto& [coding, body] :
       {std::pair<std::string, std::string>{"gzip", testing::gzip(zeros)}, {"zstd", testing::zstd(zeros)}}) {
    RawClient client(running.port());
    client.send(post("/echo", body, "Content-Encoding: " + coding + "\r\n"));
    expect_problem(client.read_answer(), 413);
  }
}

TEST(Server, DamagedCompressedBodiesAreRefused) {
  Running running;
  std::mt19937 random(5);
  const auto plain = random_bytes(random, 5000);
  for (const auto& [coding, whole] :
       {std::pair<std::string, std::string>{"gzip", testing::gzip(plain)}, {"zstd", testing::zstd(plain)}}) {
    const auto fields = "Content-Encoding: " + coding + "\r\n";
    for (std::size_t round = 0; round < testing::scaled(20); ++round) {
      RawClient client(running.port());
      client.send(post("/echo", whole.substr(0, 1 + random() % (whole.size() - 1)), fields));
      expect_problem(client.read_answer(), 400);
    }
    RawClient trailing(running.port());
    trailing.send(post("/echo", whole + "not compressed", fields));
    expect_problem(trailing.read_answer(), 400);
    RawClient twice(running.port());
    twice.send(post("/echo", whole + whole, fields));
    EXPECT_TRUE(twice.read_answer().body == plain + plain) << coding;
  }
  for (const char* coding : {"deflate", "br", "gzip, gzip", "zstd, gzip"}) {
    RawClient client(running.port());
    client.send(post("/echo", "x", fmt::format("Content-Encoding: {}\r\n", coding)));
    const auto answer = client.read_answer();
    expect_problem(answer, 415);
    EXPECT_NE(answer.head.find("Accept-Encoding: gzip, zstd\r\n"), std::string::npos);
  }
}

TEST(Server, UnknownTransferCodingsAre501) {
  Running running;
  for (const char* coding : {"gzip", "gzip, chunked", "identity", "chunked;q=1", "xchunked"}) {
    RawClient client(running.port());
    client.send(fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {}\r\n\r\n", coding));
    expect_problem(client.read_answer(), 501);
  }
}

TEST(Server, TheGateRefusesBeforeTheBody) {
  std::atomic<int> judged{0};
  Running running({}, [&](const Request& request) -> std::optional<Response> {
    ++judged;
    if (request.header("authorization") == "yes") return std::nullopt;
    return problem(401, "Say who you are.");
  });
  RawClient client(running.port());
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_problem(client.read_answer(), 401);
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: yes\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "hello");
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  expect_problem(client.read_answer(), 401);
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(judged, 3);
}

TEST(Server, BodiesPastTheBudgetAreToldToComeBack) {
  Running running({.body_bytes_max = 3000, .bodies_in_flight_bytes_max = 4000});
  RawClient first(running.port());
  first.send(post("/held", std::string(3000, 'x')));
  auto responder = running.held().take();
  for (const bool in_chunks : {false, true}) {
    std::mt19937 random(1);
    RawClient second(running.port());
    const std::string body(1001, 'y');
    second.send(in_chunks ? "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                chunked(random, body)
                          : post("/echo", body));
    const auto answer = second.read_answer();
    expect_problem(answer, 503);
    EXPECT_NE(answer.head.find("Retry-After: "), std::string::npos);
  }
  RawClient third(running.port());
  third.send(post("/echo", std::string(1000, 'y')));
  EXPECT_EQ(third.read_answer().status, 200u);
  responder.respond(testing::text("done"));
  EXPECT_EQ(first.read_answer().body, "done");
  third.send(post("/echo", std::string(3000, 'y')));
  EXPECT_EQ(third.read_answer().status, 200u);
}

TEST(Server, ConnectionsPastTheCapAreTurnedAway) {
  Running running({.connections_max = 2});
  RawClient first(running.port());
  RawClient second(running.port());
  for (auto* client : {&first, &second}) {
    client->send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client->read_answer().status, 200u);
  }
  {
    RawClient third(running.port());
    third.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = third.read_answer();
    expect_problem(answer, 503);
    EXPECT_NE(answer.head.find("Retry-After: "), std::string::npos);
    EXPECT_TRUE(third.closed_by_server());
  }
  first.close();
  EXPECT_TRUE(testing::eventually([&] { return running.server().figures().connections_open == 1; }));
  RawClient fourth(running.port());
  fourth.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(fourth.read_answer().status, 200u);
}

TEST(Server, StartSaysWhatIsWrong) {
  Running running;
  platform::EventLoop loop(1);
  const Router router;
  const auto kind_of = [&](ServerOptions options) {
    Server server(loop, std::move(options), router, nullptr);
    const auto started = server.start();
    return started ? "started" : std::string(name_of(started.error().kind)) + ": " + started.error().message;
  };
  EXPECT_TRUE(kind_of({.port = running.port()}).starts_with("unavailable: Another program listens on port"));
  EXPECT_TRUE(kind_of({.address = "nowhere", .port = 0}).starts_with("invalid: \"nowhere\""));
  EXPECT_TRUE(
      kind_of({.address = "192.0.2.1", .port = 0}).starts_with("invalid: This machine has no address"));
  EXPECT_TRUE(
      kind_of({.port = 0, .tls_key_file = "k"}).starts_with("invalid: TLS needs a certificate and its key"));
  EXPECT_TRUE(kind_of({.port = 0, .tls_certificate_file = "/none", .tls_key_file = "/none"})
                  .starts_with("invalid: The TLS certificate /none"));
}

}  // namespace
}  // namespace vestige::http
