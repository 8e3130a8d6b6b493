// Properties: over TLS everything holds that holds without, a server whose certificate does not check out is
// never spoken to, and a failure names the address and what to do. A connection that the server closed while
// it was idle is opened anew without the caller noticing.
#include "http/client.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "http/testing/fixture.h"
#include "platform/process.h"

namespace vestige::http {
namespace {

using testing::RawClient;
using testing::Running;

// A directory with self-signed certificates, gone with it.
class Certificates {
 public:
  Certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vestige-tls-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    make("good", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    make("other", "subjectAltName=DNS:elsewhere.example");
  }
  ~Certificates() { std::filesystem::remove_all(directory_); }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  std::string certificate(const std::string& name) const { return directory_ + "/" + name + ".pem"; }
  std::string key(const std::string& name) const { return directory_ + "/" + name + ".key"; }
  ServerOptions options(const std::string& name) const {
    return {.tls_certificate_file = certificate(name), .tls_key_file = key(name)};
  }

 private:
  void make(const std::string& name, const std::string& names) {
    const auto made =
        platform::run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                               "ec_paramgen_curve:P-256", "-nodes", "-keyout", key(name), "-out",
                               certificate(name), "-days", "2", "-subj", "/CN=vestige", "-addext", names},
                              [](std::string_view) -> Status { return {}; });
    EXPECT_TRUE(made && *made == 0);
  }
  std::string directory_;
};

Client trusting(const Running& running, const std::string& host, const std::string& ca_file) {
  return Client({.url = "https://" + host + ":" + std::to_string(running.port()),
                 .ca_file = ca_file,
                 .timeout_seconds = 20});
}

TEST(Tls, EchoesOverOneVerifiedConnection) {
  const Certificates certificates;
  Running running(certificates.options("good"));
  std::mt19937 random(1);
  for (const char* host : {"localhost", "127.0.0.1"}) {
    auto client = trusting(running, host, certificates.certificate("good"));
    for (int i = 0; i < 50; ++i) {
      const std::string body(random() % 100'000, static_cast<char>('a' + i % 26));
      const auto response = client.send("POST", "/echo", body);
      ASSERT_TRUE(response.has_value()) << response.error().message;
      ASSERT_TRUE(response->body == body);
    }
  }
  EXPECT_EQ(running.server().figures().connections_total, 2u);
}

TEST(Tls, RefusesWhatDoesNotCheckOut) {
  const Certificates certificates;
  Running running(certificates.options("good"));
  Running other(certificates.options("other"));
  const auto message_of = [](Client client) {
    const auto response = client.send("GET", "/hello");
    return response ? "answered" : response.error().message;
  };
  EXPECT_NE(message_of(trusting(running, "localhost", "")).find("is not trusted"), std::string::npos);
  EXPECT_NE(
      message_of(trusting(running, "localhost", certificates.certificate("other"))).find("is not trusted"),
      std::string::npos);
  const auto wrong_name = message_of(trusting(other, "localhost", certificates.certificate("other")));
  EXPECT_NE(wrong_name.find("is not trusted"), std::string::npos) << wrong_name;
  EXPECT_NE(message_of(trusting(running, "localhost", "/none.pem")).find("/none.pem"), std::string::npos);
  EXPECT_EQ(other.server().figures().requests_total, 0u);
}

TEST(Tls, StreamsAndStops) {
  const Certificates certificates;
  Running running(certificates.options("good"));
  auto client = trusting(running, "127.0.0.1", certificates.certificate("good"));
  // Without a client that gets through, the producer below would wait for ever.
  ASSERT_TRUE(client.send("GET", "/hello"));
  std::thread producer([&] {
    const auto stream = running.held().take().stream();
    for (int i = 0; i < 100; ++i) stream->send("data: " + std::to_string(i) + "\n\n");
  });
  std::string received;
  const auto response = client.stream("/held", {}, [&](std::string_view piece) {
    received += piece;
    return true;
  });
  producer.join();
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_TRUE(received.ends_with("data: 99\n\n"));
  EXPECT_EQ(client.send("GET", "/hello")->body, "hello");
}

TEST(Tls, PlainBytesAndOldProtocolsGetNowhere) {
  const Certificates certificates;
  Running running(certificates.options("good"));
  RawClient client(running.port());
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_to_end().find("HTTP/1.1"), std::string::npos);
  EXPECT_EQ(running.server().figures().requests_total, 0u);
}

TEST(Tls, StartNamesTheFileThatIsWrong) {
  const Certificates certificates;
  platform::EventLoop loop(1);
  const Router router;
  const auto message_of = [&](const std::string& certificate, const std::string& key) {
    Server server(loop, {.port = 0, .tls_certificate_file = certificate, .tls_key_file = key}, router,
                  nullptr);
    const auto started = server.start();
    return started ? "started" : started.error().message;
  };
  EXPECT_NE(message_of(certificates.certificate("good"), certificates.key("other"))
                .find("does not belong to the certificate"),
            std::string::npos);
  std::ofstream(certificates.certificate("empty")) << "nothing";
  EXPECT_NE(message_of(certificates.certificate("empty"), certificates.key("good"))
                .find("empty.pem cannot be used"),
            std::string::npos);
}

TEST(Client, OpensAStaleConnectionAnew) {
  Running running({.idle_timeout = std::chrono::seconds(1)});
  auto client = running.client();
  for (int i = 0; i < 2; ++i) {
    const auto response = client.send("POST", "/echo", "again");
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->body, "again");
    EXPECT_TRUE(testing::eventually([&] { return running.server().figures().connections_open == 0; }));
  }
  EXPECT_EQ(running.server().figures().connections_total, 2u);
}

TEST(Client, SendsWhatItIsGiven) {
  std::optional<Request> seen;
  Running running({}, [&](const Request& request) -> std::optional<Response> {
    seen = request;
    return std::nullopt;
  });
  Client client({.url = running.url() + "/items/", .bearer_token = "secret"});
  const auto response = client.send("GET", "/a%2Fb?x=1", {}, {}, {{"X-Mine", "yes"}});
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->body, "a/b");
  EXPECT_EQ(seen->header("authorization"), "Bearer secret");
  EXPECT_EQ(seen->header("x-mine"), "yes");
  EXPECT_EQ(seen->query_value("x"), "1");
  EXPECT_EQ(seen->peer_address, "127.0.0.1");
}

TEST(Client, ReadsARefusalThatComesBeforeTheBodyWasSent) {
  Running running({.body_bytes_max = 1000});
  auto client = running.client();
  const auto response = client.send("POST", "/echo", std::string(20 << 20, 'x'));
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 413u);
  EXPECT_EQ(client.send("GET", "/hello")->body, "hello");
}

TEST(Client, StopsAtItsLimit) {
  Running running;
  Client client({.url = running.url(), .body_bytes_max = 10});
  EXPECT_EQ(client.send("POST", "/echo", std::string(10, 'x'))->body.size(), 10u);
  EXPECT_EQ(client.send("POST", "/echo", std::string(11, 'x')).error().kind, ErrorKind::exhausted);
  EXPECT_EQ(client.send("GET", "/hello")->body, "hello");
}

TEST(Client, GivesUpOnSilence) {
  Running running;
  auto client = running.client(1);
  const auto response = client.send("GET", "/held");
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().kind, ErrorKind::unavailable);
  EXPECT_NE(response.error().message.find("nothing moved for 1 seconds"), std::string::npos)
      << response.error().message;
  running.held().take().respond(testing::text("late"));
}

TEST(Client, GivesUpWhenWhoeverWaitsIsToldTo) {
  Running running;
  unsigned asked = 0;
  Client client({.url = running.url(), .timeout_seconds = 60, .while_waiting = [&] { return ++asked < 3; }});
  const auto silent = client.send("GET", "/held");
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(asked, 3U);
  running.held().take().respond(testing::text("late"));
  // Of a stream that is idle as well, after a piece of it came.
  asked = 0;
  std::string heard;
  std::thread sending([&] { running.held().take().stream()->send("data"); });
  const auto idle = client.stream("/held", {}, [&](std::string_view piece) {
    heard += piece;
    return true;
  });
  sending.join();
  EXPECT_EQ(client.send("GET", "/hello")->body, "hello");
  EXPECT_LE(asked, 3U) << "what needs no waiting asks nobody";
}

TEST(Client, GivesUpOnAServerThatDrips) {
  Running running;
  Client client({.url = running.url(), .timeout_seconds = 20, .total_seconds = 1});
  std::atomic<bool> over = false;
  // A byte whenever the last one has left: there is progress all the time and no end.
  std::thread dripping([&] {
    const auto stream = running.held().take().stream();
    while (!over && stream->open())
      if (stream->unsent_bytes() == 0) stream->send("x");
  });
  const auto response = client.send("GET", "/held");
  over = true;
  dripping.join();
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().kind, ErrorKind::unavailable);
  EXPECT_NE(response.error().message.find("longer than 1 seconds"), std::string::npos)
      << response.error().message;
  EXPECT_EQ(client.send("GET", "/hello")->body, "hello");
}

TEST(Client, SaysWhatIsWrong) {
  std::uint16_t port = 0;
  {
    Running running;
    port = running.port();
  }
  const auto url = "http://127.0.0.1:" + std::to_string(port);
  Client nobody({.url = url});
  const auto refused = nobody.send("GET", "/");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
  EXPECT_NE(refused.error().message.find(url), std::string::npos);
  for (const char* wrong :
       {"", "localhost:8080", "ftp://a", "http://", "http://a/?b", "http://u:p@a/", "http://a:b"}) {
    Client client({.url = wrong});
    const auto response = client.send("GET", "/");
    ASSERT_FALSE(response.has_value()) << wrong;
    EXPECT_EQ(response.error().kind, ErrorKind::invalid) << wrong << response.error().message;
  }
}

}  // namespace
}  // namespace vestige::http
