// Property: a request reaches the handler of the pattern that a plain comparison of segments picks, with its
// captures decoded, and no other; what matches no pattern is 404, a known path with another method 405.
#include <gtest/gtest.h>

#include <random>

#include "http/server.h"
#include "http/testing/fixture.h"

namespace vestige::http {
namespace {

struct Recorder final : Responder::Sink {
  void respond(Response given) override { response = std::move(given); }
  std::shared_ptr<EventStream> stream(Response) override { return nullptr; }
  Response response{.status = 0, .content_type = {}};
};

Response ask(const Router& router, std::string method, std::string path, std::string encoded = {}) {
  const auto sink = std::make_shared<Recorder>();
  Request request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.encoded_path = std::move(encoded);
  router.handle(std::move(request), Responder(sink));
  return sink->response;
}

std::string allow_of(const Response& response) {
  for (const auto& [name, value] : response.headers)
    if (name == "Allow") return value;
  return {};
}

// Answers with the pattern and what it captured.
void add(Router& router, const std::string& method, const std::string& pattern) {
  router.add(method, pattern, [pattern](Request request, Responder responder) {
    std::string body = pattern;
    for (const auto& [name, value] : request.captures) body += " " + name + "=" + value;
    responder.respond(testing::text(std::move(body)));
  });
}

using Segments = std::vector<std::string>;

Segments split(const std::string& path) {
  Segments segments{""};
  for (const char c : path.substr(1)) {
    if (c == '/') {
      segments.emplace_back();
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

bool is_capture(const std::string& segment) { return segment.starts_with('{'); }

// The rank of a pattern for a path: smaller wins; empty where it does not match.
std::optional<std::string> rank(const Segments& pattern, const Segments& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::string rank;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (is_capture(pattern[i]) ? path[i].empty() || path[i] == "." || path[i] == ".." : pattern[i] != path[i])
      return std::nullopt;
    rank += is_capture(pattern[i]) ? '1' : '0';
  }
  return rank;
}

TEST(Router, PicksWhatAPlainComparisonPicks) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::vector<std::string> words{"a", "b", "..", ""};
  for (std::size_t round = 0; round < testing::scaled(300); ++round) {
    Router router;
    std::set<std::string> patterns;
    while (patterns.size() < 6) {
      std::string pattern;
      const auto depth = 1 + random() % 3;
      for (std::size_t i = 0; i < depth; ++i)
        pattern += random() % 2 ? "/{c" + std::to_string(i) + "}" : "/" + words[random() % 2];
      if (patterns.insert(pattern).second) add(router, "GET", pattern);
    }
    for (int i = 0; i < 40; ++i) {
      std::string path;
      const auto depth = 1 + random() % 3;
      for (std::size_t k = 0; k < depth; ++k) path += "/" + words[random() % words.size()];
      std::optional<std::pair<std::string, std::string>> best;
      for (const auto& pattern : patterns)
        if (const auto at = rank(split(pattern), split(path)); at && (!best || *at < best->first))
          best = {*at, pattern};
      const auto response = ask(router, "GET", path);
      ASSERT_EQ(response.status, best ? 200u : 404u) << path;
      if (best) ASSERT_EQ(response.body.substr(0, response.body.find(' ')), best->second) << path;
    }
  }
}

TEST(Router, CapturesKeepAnEncodedSlashInTheirSegment) {
  Router router;
  add(router, "GET", "/records/{type}/{id}");
  EXPECT_EQ(ask(router, "GET", "/records/order/a/b", "/records/order/a%2Fb").body,
            "/records/{type}/{id} id=a/b type=order");
  EXPECT_EQ(ask(router, "GET", "/records/order/a/b").status, 404u);
  EXPECT_EQ(ask(router, "GET", "/records/order/..", "/records/order/%2e%2e").status, 404u);
}

TEST(Router, RestTakesWhatIsLeftAndNothingHidden) {
  Router router;
  add(router, "GET", "/tiles/{name}/{rest...}");
  add(router, "GET", "/tiles/{name}/checkpoint");
  EXPECT_EQ(ask(router, "GET", "/tiles/x/0/1/2").body, "/tiles/{name}/{rest...} name=x rest=0/1/2");
  EXPECT_EQ(ask(router, "GET", "/tiles/x/checkpoint").body, "/tiles/{name}/checkpoint name=x");
  for (const char* path :
       {"/tiles/x", "/tiles/x/", "/tiles/x/0//1", "/tiles/x/../y", "/tiles//0", "tiles", ""})
    EXPECT_EQ(ask(router, "GET", path).status, 404u) << path;
}

TEST(Router, OtherMethodsAreToldWhichOnesThereAre) {
  Router router;
  add(router, "GET", "/a");
  add(router, "PUT", "/a");
  add(router, "POST", "/b");
  EXPECT_EQ(ask(router, "POST", "/a").status, 405u);
  EXPECT_EQ(allow_of(ask(router, "POST", "/a")), "GET, HEAD, OPTIONS, PUT");
  EXPECT_EQ(ask(router, "get", "/a").status, 405u);
  EXPECT_EQ(ask(router, "HEAD", "/a").status, 200u);
  EXPECT_EQ(ask(router, "HEAD", "/b").status, 405u);
  EXPECT_EQ(ask(router, "OPTIONS", "/b").status, 204u);
  EXPECT_EQ(allow_of(ask(router, "OPTIONS", "/b")), "OPTIONS, POST");
  EXPECT_EQ(allow_of(ask(router, "OPTIONS", "*")), "GET, HEAD, OPTIONS, POST, PUT");
  EXPECT_EQ(ask(router, "OPTIONS", "/nowhere").status, 404u);
  EXPECT_EQ(router.routes().size(), 3u);
}

}  // namespace
}  // namespace vestige::http
