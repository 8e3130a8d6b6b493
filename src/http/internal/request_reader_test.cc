// Property: how bytes are cut into pieces changes nothing of the requests that are read from them, and what
// is not taken is the start of the next request.
#include "http/internal/request_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "http/testing/compress.h"
#include "http/testing/fixture.h"

namespace vestige::http::internal {
namespace {

// What is read from `bytes` when they come in pieces of 1 to `piece_max`, as one line for each request.
std::string read_all(std::string_view bytes, std::size_t piece_max, std::mt19937& random) {
  Budget budget(1 << 20);
  RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 4096}, budget);
  std::string seen;
  std::string buffer;
  reader.start();
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, 1 + random() % piece_max);
    bytes.remove_prefix(piece.size());
    buffer += piece;
    for (;;) {
      std::string_view left = buffer;
      const auto step = reader.feed(left);
      buffer.erase(0, buffer.size() - left.size());
      if (step == RequestReader::Step::need_more) break;
      if (step == RequestReader::Step::header_done) continue;
      if (step == RequestReader::Step::refused)
        return seen + "refused " + std::to_string(reader.refusal().status);
      seen += reader.request().method + " " + reader.request().path + " [" + reader.request().body + "]\n";
      reader.start();
    }
  }
  return seen + std::to_string(buffer.size()) + " left";
}

TEST(RequestReader, CutsChangeNothing) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string post = "POST /b HTTP/1.1\r\nHost: x\r\n";
  const std::string zipped = testing::gzip("zipped");
  const std::vector<std::pair<std::string, std::string>> examples{
      {get + get, "GET /a []\nGET /a []\n0 left"},
      {get + "\r\n" + get, "GET /a []\nGET /a []\n0 left"},
      {get + "\r\n\r\n" + get, "GET /a []\nrefused 400"},
      {post + "Content-Length: 2\r\n\r\nhi" + get, "POST /b [hi]\nGET /a []\n0 left"},
      {post + "Content-Length: 0\r\n\r\n" + get, "POST /b []\nGET /a []\n0 left"},
      {post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get, "POST /b []\nGET /a []\n0 left"},
      {post +
           "Transfer-Encoding: chunked\r\n\r\n2;e=\"1\"\r\nhi\r\n0a\r\n0123456789\r\n0\r\nHost: y\r\n\r\n" +
           get,
       "POST /b [hi0123456789]\nGET /a []\n0 left"},
      {post + "Content-Encoding: gzip\r\nContent-Length: " + std::to_string(zipped.size()) + "\r\n\r\n" +
           zipped + get,
       "POST /b [zipped]\nGET /a []\n0 left"},
      {post + "Transfer-Encoding: chunked\r\n\r\n2\r\nhixyz", "refused 400"},
      {post + "Content-Length: 4097\r\n\r\n", "refused 413"},
      {post + "A: " + std::string(1100, 'a'), "refused 431"},
  };
  for (const auto& [bytes, expected] : examples)
    for (std::size_t round = 0; round < testing::scaled(20); ++round)
      EXPECT_EQ(read_all(bytes, std::vector<std::size_t>{1, 2, 7, 5000}[round % 4], random), expected)
          << bytes;
}

TEST(RequestReader, TrailersDoNotBecomeHeaders) {
  Budget budget(1 << 20);
  RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 4096}, budget);
  reader.start();
  std::string_view bytes =
      "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: mine\r\n\r\n";
  EXPECT_EQ(reader.feed(bytes), RequestReader::Step::header_done);
  EXPECT_EQ(reader.feed(bytes), RequestReader::Step::complete);
  EXPECT_FALSE(reader.request().header("authorization").has_value());
}

TEST(RequestReader, ABodyIsInTheBudgetUntilTheNextRequest) {
  Budget budget(100);
  RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 4096}, budget);
  reader.start();
  std::string_view bytes = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  reader.feed(bytes);
  EXPECT_EQ(budget.available(), 100u);
  EXPECT_EQ(reader.feed(bytes), RequestReader::Step::complete);
  EXPECT_EQ(budget.available(), 95u);
  reader.start();
  EXPECT_EQ(budget.available(), 100u);
}

}  // namespace
}  // namespace vestige::http::internal
