// Property: every record of an input becomes exactly one event, in order and whole, whatever the compression
// and wherever the pieces of the input end; a damaged or truncated input ends in an error and never looks
// like a shorter one; the same input read again gives the same bytes.

#include "cli/import/reader.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

using testing::at;
using testing::read_all;
using testing::records_of;
using testing::tar_end;
using testing::tar_member;
using testing::TemporaryDirectory;
using testing::texts_of;

std::string gzipped(std::string_view content) {
  z_stream state{};
  EXPECT_EQ(::deflateInit2(&state, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&state, content.size()), '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  state.avail_in = static_cast<uInt>(content.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - state.avail_out);
  ::deflateEnd(&state);
  return out;
}

std::string zstd(std::string_view content) {
  std::string out(::ZSTD_compressBound(content.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), content.data(), content.size(), 3));
  return out;
}

std::string random_lines(std::mt19937_64& random, std::vector<std::string>& expected) {
  std::string content;
  const auto count = random() % 200;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (random() % 5 == 0) content += random() % 2 == 0 ? "\n" : " \t\r\n";
    // Long lines make lines that span the pieces in which an input is read.
    const auto size = random() % 50 == 0 ? random() % 300'000 : random() % 60;
    std::string line = "{\"fill\":\"";
    for (std::uint64_t k = 0; k < size; ++k) line += static_cast<char>('a' + random() % 26);
    line += "\",\"n\":" + std::to_string(i) + "}";
    content += line;
    expected.push_back(line);
    if (i + 1 < count || random() % 2 == 0) content += '\n';
  }
  return content;
}

// Cut into parts that are compressed on their own, as rotated and joined logs are.
template <typename Compress>
std::string in_parts(std::mt19937_64& random, std::string_view content, Compress compress) {
  std::string out;
  do {
    const auto size = std::min<std::size_t>(content.size(), random() % (content.size() + 1) + 1);
    out += compress(content.substr(0, size));
    content.remove_prefix(size);
  } while (!content.empty());
  return out;
}

TEST(Lines, AreTheSameHoweverTheyAreStored) {
  const TemporaryDirectory directory;
  for (int round = 0; round < 15 * testing::test_scale(); ++round) {
    const std::uint64_t seed = 300 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::vector<std::string> expected;
    const auto content = random_lines(random, expected);
    for (const auto& stored : {content, in_parts(random, content, gzipped), in_parts(random, content, zstd),
                               gzipped(content) + std::string(1'000, '\0')}) {
      const auto reading = read_all("auto", directory.put("in", stored));
      ASSERT_EQ(reading.error, "");
      ASSERT_EQ(records_of(reading), expected);
    }
  }
}

TEST(Lines, ATruncatedInputIsNeverTakenForAShorterOne) {
  const TemporaryDirectory directory;
  std::mt19937_64 random(9);
  std::vector<std::string> expected;
  std::string content;
  while (content.size() < 3'000) content = random_lines(random, expected);
  for (const auto& whole : {gzipped(content), zstd(content), gzipped("{}\n") + gzipped(content)}) {
    const auto first_member = whole == gzipped("{}\n") + gzipped(content) ? gzipped("{}\n").size() : 0;
    for (int i = 0; i < 60 * testing::test_scale(); ++i) {
      // From the magic bytes on: fewer are plain text of their own.
      const auto size = 4 + random() % (whole.size() - 4);
      const auto reading = read_all("ndjson", directory.put("in", std::string_view(whole).substr(0, size)));
      if (size == first_member) continue;
      ASSERT_NE(reading.error.find("truncated"), std::string::npos) << size << ": " << reading.error;
      ASSERT_LE(reading.events.size(), expected.size() + 1);
    }
  }
}

TEST(Lines, DamageIsAnError) {
  const TemporaryDirectory directory;
  for (const auto& stored : {gzipped("{\"a\":1}\n"), zstd("{\"a\":1}\n")}) {
    EXPECT_EQ(read_all("ndjson", directory.put("in", stored)).error, "");
    EXPECT_NE(read_all("ndjson", directory.put("in", stored + "garbage behind")).error, "");
  }
  auto stored = gzipped(std::string(10'000, 'x'));
  stored[stored.size() - 6] ^= 1;  // in the checksum
  const auto reading = read_all("ndjson", directory.put("in", stored));
  EXPECT_NE(reading.error.find("damaged gzip data"), std::string::npos) << reading.error;
}

TEST(Lines, ATooLongLineIsNamedWithTheLimit) {
  const TemporaryDirectory directory;
  const std::string longest(line_bytes_max, 'x');
  EXPECT_EQ(read_all("dpkg", directory.put("in", longest + "\n" + longest)).events.size(), 2u);
  for (const char* end : {"x", "x\n", "xxxxxxxxxxxxxxx\n{}"}) {
    const auto reading = read_all("dpkg", directory.put("in", "{}\n\n" + longest + end));
    EXPECT_EQ(reading.events.size(), 1u);
    EXPECT_NE(reading.error.find("line 3"), std::string::npos) << reading.error;
    EXPECT_NE(reading.error.find("1048576"), std::string::npos) << reading.error;
  }
}

TEST(Lines, WhatCannotBeReadIsSaid) {
  const TemporaryDirectory directory;
  EXPECT_NE(read_all("ndjson", directory.path("absent")).error.find("absent"), std::string::npos);
  EXPECT_NE(read_all("ndjson", directory.path("")).error.find("is a directory"), std::string::npos);
  EXPECT_TRUE(read_all("auto", directory.put("empty", "")).events.empty());
  EXPECT_EQ(read_all("auto", directory.put("empty", "\n\n")).error, "");
}

class Pipe {
 public:
  explicit Pipe(std::string_view content) {
    EXPECT_EQ(::pipe(ends_), 0);
    EXPECT_EQ(::write(ends_[1], content.data(), content.size()), static_cast<ssize_t>(content.size()));
    ::close(ends_[1]);
  }
  ~Pipe() { ::close(ends_[0]); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int descriptor() const { return ends_[0]; }

 private:
  int ends_[2];
};

TEST(Lines, APipeIsReadAsStandardInputAndNeverTakenForAnEmptyFile) {
  const Pipe pipe("{\"a\":1}\n");
  const auto named = read_all("ndjson", "/proc/self/fd/" + std::to_string(pipe.descriptor()));
  EXPECT_NE(named.error.find("\"-\""), std::string::npos) << named.error;

  const Pipe input(gzipped("{\"a\":1}\n") + gzipped("{\"a\":2}\n"));
  const int before = ::dup(STDIN_FILENO);
  ::dup2(input.descriptor(), STDIN_FILENO);
  const auto reading = read_all("auto", "-");
  ::dup2(before, STDIN_FILENO);
  ::close(before);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(records_of(reading), (std::vector<std::string>{"{\"a\":1}", "{\"a\":2}"}));
}

TEST(Ndjson, EventsAreRecordsOfThemselves) {
  const TemporaryDirectory directory;
  const auto reading = read_all(
      "auto",
      directory.put("in", "\xEF\xBB\xBF{ \"kind\" : \"k\", \"action\":\"a\" }\r\n\n  \n{\"b\":1.50}"));
  ASSERT_EQ(reading.error, "");
  EXPECT_EQ(records_of(reading), (std::vector<std::string>{R"({"action":"a","kind":"k"})", "{\"b\":1.5}"}));
  EXPECT_EQ(texts_of(reading), (std::vector<std::string>{"", ""}));
  EXPECT_EQ(reading.events[0].where, "line 1");
  EXPECT_EQ(reading.events[1].where, "line 4");
  EXPECT_EQ(reading.format, "ndjson");
  const auto lossy = read_all("ndjson", directory.put("in", "{}\n{\"n\":9007199254740993}"));
  EXPECT_NE(lossy.error.find("line 2"), std::string::npos) << lossy.error;
}

TEST(Detection, IsByContent) {
  const TemporaryDirectory directory;
  const struct {
    std::string content, format;
  } cases[] = {
      {R"({"kind":"k","action":"a"})", "ndjson"},
      {R"([{"kind":"k","action":"a","detail":{}}])", "ndjson"},
      {R"({"kind":"k","action":"a","other":1})", "json"},
      {R"({"kind":"Event","verb":"get","auditID":"x"})", "k8s-audit"},
      {"\n { \n\"Records\":[{\"eventName\":\"x\",\"eventSource\":\"s3.amazonaws.com\"}]}", "cloudtrail"},
      {R"({"CreationTime":"x","Operation":"o","Workload":"w"})", "o365"},
      {"CreationDate,Operations,AuditData\n2026,x,\"{\"\"Operation\"\":\"\"x\"\"}\"\n", "o365"},
      {R"({"kind":"admin#reports#activity","id":{"time":"x"}})", "gws"},
      {R"({"log":{"kind":"Event","verb":"get","auditID":"x"}})", "json"},
      {"a,b\n1,2\n", "csv"},
      {"2025-06-24 14:36:25 startup archives unpack\n", "dpkg"},
      {"{ broken", "json"},
      {" \n", "json"},
  };
  for (const auto& [content, format] : cases)
    for (const auto& stored : {content, gzipped(content), tar_member("m", zstd(content), '0') + tar_end()})
      EXPECT_EQ(read_all("auto", directory.put("in", stored)).format, format) << content;
  const auto unknown = read_all("auto", directory.put("in", "hello\n"));
  for (const char* format : {"JSON", "CSV", "dpkg", "git"})
    EXPECT_NE(unknown.error.find(format), std::string::npos) << unknown.error;
}

TEST(Archives, MembersAreReadOneByOneAndNamedInMessages) {
  const TemporaryDirectory directory;
  const auto archive = tar_member("one.json.gz", gzipped(R"({"Records":[{"a":1},{"a":2}]})"), '0') +
                       tar_member("folder/", "", '5') + tar_member("two.csv", "b\n3\n", '0') + tar_end();
  const auto reading = read_all("json", directory.put("in.tar.zst", zstd(archive)));
  EXPECT_NE(reading.error.find("two.csv in"), std::string::npos) << "b is no JSON: " << reading.error;
  EXPECT_EQ(records_of(reading), (std::vector<std::string>{R"({"a":1})", R"({"a":2})"}));
  EXPECT_EQ(reading.events[1].where, "record 2 (line 1) of one.json.gz");
  const auto cut = read_all("json", directory.put("in.tar", archive.substr(0, 600)));
  EXPECT_NE(cut.error.find("truncated"), std::string::npos) << cut.error;
}

// Any JSON value, with numbers that a double cannot hold.
std::string random_json(std::mt19937_64& random, int depth) {
  static const char* const scalars[] = {"1",    "-2.5", "9007199254740993", "1e400",
                                        "true", "null", R"("t\u0000\n")",   "\"\""};
  if (depth == 0 || random() % 3 == 0) return scalars[random() % std::size(scalars)];
  const bool is_object = random() % 2 == 0;
  std::string text(1, is_object ? '{' : '[');
  for (std::uint64_t i = 0, count = random() % 4; i < count; ++i)
    text += fmt::format("{}{}{}", i > 0 ? "," : "", is_object ? fmt::format("\"k{}\":", i) : "",
                        random_json(random, depth - 1));
  return text + (is_object ? '}' : ']');
}

TEST(Records, ComeBackWholeExceptForNumbersThatAreNamed) {
  const TemporaryDirectory directory;
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30 * testing::test_scale(); ++round) {
    std::string content;
    std::vector<std::string> expected, lossless;
    for (auto count = random() % 10; count > 0; --count) {
      const auto text = "{\"action\":\"a\",\"r\":" + random_json(random, 4) + "}";
      content += text + (random() % 2 == 0 ? "\n" : " ");
      json::Parser parser;
      json::Document document;
      std::vector<std::string> paths;
      ASSERT_TRUE(parser.parse_lossless(text, document, paths));
      expected.push_back(json::canonical(document.root()));
      std::string list;
      for (const auto& path : paths) list += (list.empty() ? "[\"" : ",\"") + path + "\"";
      lossless.push_back(paths.empty() ? "" : list + "]");
    }
    const auto reading = read_all("json", directory.put("in", content));
    ASSERT_EQ(reading.error, "") << "seed " << seed << "\n" << content;
    ASSERT_EQ(records_of(reading), expected) << "seed " << seed;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(reading.events[i].lossless, lossless[i]) << "seed " << seed;
      ASSERT_EQ(at(reading.events[i].json, "action"), "\"a\"");
      ASSERT_EQ(at(reading.events[i].json, "detail/original"), "absent");
    }
  }
}

// What a collector put around an event, in any of the ways that collectors have.
TEST(Records, AreMappedByWhatStandsInsideOfThem) {
  const TemporaryDirectory directory;
  const std::string trail =
      R"({"eventSource":"s3.amazonaws.com","eventName":"PutObject","userIdentity":{"arn":"arn:ana"}})";
  const std::string pod = R"({"kind":"Event","verb":"create","auditID":"1","user":{"username":"ana"}})";
  std::string quoted, quoted_pod;
  json::append_quoted(quoted, trail);
  json::append_quoted(quoted_pod, pod);
  const struct {
    std::string content, action, actor;
  } cases[] = {
      {"{\"log\":" + trail + ",\"other\":1}", "PutObject", "arn:ana"},
      {"{\"source\":\"aws.s3\",\"detail-type\":\"x\",\"detail\":" + trail + "}", "PutObject", "arn:ana"},
      {"{\"message\":" + quoted + "}", "PutObject", "arn:ana"},
      {"{\"operationName\":\"x\",\"category\":\"kube-audit\",\"properties\":{\"log\":" + quoted_pod + "}}",
       "create", "ana"},
      {"{\"event\":{\"action\":\"did\",\"user\":\"ana\"}}", "did", "ana"},
      {"{\"message\":\"{ no JSON\",\"action\":\"did\",\"user\":\"ana\"}", "did", "ana"},
      {"RecordType,Operations,UserIds,AuditData\n1,x,y,\"{\"\"Operation\"\":\"\"Send\"\",\"\"UserId\"\":"
       "\"\"ana\"\"}\"\n",
       "Send", "ana"},
      {"Operations,UserIds,AuditData\nSend,ana,{cut off\n", "Send", "ana"},
  };
  for (const auto& [content, action, actor] : cases) {
    const auto reading = read_all("auto", directory.put("in", content));
    ASSERT_EQ(reading.events.size(), 1U) << content << reading.error;
    EXPECT_EQ(at(reading.events[0].json, "action"), "\"" + action + "\"") << content;
    EXPECT_EQ(at(reading.events[0].json, "sourceId"), "\"" + actor + "\"") << content;
  }
}

class InUtc : public ::testing::Test {
 protected:
  InUtc() { ::setenv("TZ", "UTC", 1); }
  ~InUtc() override { ::unsetenv("TZ"); }
};
using Dpkg = InUtc;

TEST_F(Dpkg, EachFormOfALine) {
  const TemporaryDirectory directory;
  const auto reading = read_all("dpkg", directory.put("in", R"(2025-06-24 14:36:25 startup archives unpack
2025-06-24 14:36:25 upgrade libc6:amd64 2.36-9+deb12u9 2.36-9+deb12u10
2025-06-24 14:36:26 install git:amd64 <none> 1:2.39.5-0+deb12u2
2025-06-24 14:36:26 purge old:all 1.0 <none>
2025-06-24 14:36:27 status half-configured git:amd64 1:2.39.5-0+deb12u2
2025-06-24 14:36:28 configure git:amd64 1:2.39.5-0+deb12u2 <none>
2025-06-24 14:36:28 trigproc libc-bin:amd64 2.36-9+deb12u10 <none>
2025-06-24 14:36:29 conffile /etc/a file.conf keep
2025-06-24 14:36:30 disappear gone:amd64 1 <none>
)"));
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 9u);
  EXPECT_TRUE(reading.notices.empty());
  const auto event = [&](std::size_t i, std::string_view path) { return at(reading.events[i].json, path); };
  EXPECT_EQ(event(0, "time"), "\"2025-06-24T14:36:25.000Z\"");
  EXPECT_EQ(event(0, "kind"), "\"data.change\"");
  EXPECT_EQ(event(0, "targetType"), "\"DPKG_RUN\"");
  EXPECT_EQ(event(0, "targetId"), "\"archives unpack\"");
  EXPECT_EQ(event(0, "sourceType"), "\"SYSTEM\"");
  EXPECT_EQ(event(0, "sourceId"), "\"dpkg\"");
  EXPECT_EQ(event(1, "action"), "\"UPDATED\"");
  EXPECT_EQ(event(1, "targetType"), "\"PACKAGE\"");
  EXPECT_EQ(event(1, "targetId"), "\"libc6:amd64\"");
  EXPECT_EQ(event(1, "changes"), R"([{"field":"version","new":"2.36-9+deb12u10","old":"2.36-9+deb12u9"}])");
  EXPECT_EQ(event(1, "detail"), R"({"verb":"upgrade"})");
  EXPECT_EQ(reading.events[1].record,
            R"("2025-06-24 14:36:25 upgrade libc6:amd64 2.36-9+deb12u9 2.36-9+deb12u10")");
  EXPECT_EQ(event(2, "action"), "\"CREATED\"");
  EXPECT_EQ(event(2, "changes"), R"([{"field":"version","new":"1:2.39.5-0+deb12u2","old":null}])");
  EXPECT_EQ(event(3, "action"), "\"DELETED\"");
  EXPECT_EQ(event(3, "changes"), R"([{"field":"version","new":null,"old":"1.0"}])");
  EXPECT_EQ(event(4, "action"), "\"STATUS_CHANGED\"");
  EXPECT_EQ(event(4, "targetId"), "\"git:amd64\"");
  EXPECT_EQ(event(4, "changes"), R"([{"field":"status","new":"half-configured"}])");
  EXPECT_EQ(event(5, "action"), "\"CONFIGURED\"");
  EXPECT_EQ(event(5, "changes"), "absent");
  EXPECT_EQ(event(6, "action"), "\"TRIGGERED\"");
  EXPECT_EQ(event(7, "action"), "\"CONFFILE_DECIDED\"");
  EXPECT_EQ(event(7, "targetId"), "\"/etc/a file.conf\"");
  EXPECT_EQ(event(8, "action"), "\"DELETED\"");
}

TEST_F(Dpkg, NoLineIsDropped) {
  const TemporaryDirectory directory;
  const auto reading = read_all("dpkg", directory.put("in",
                                                      "2025-06-24 14:36:25 startup archives unpack\n\n"
                                                      "2025-06-24 14:36:25 frobnicate a b c\n"
                                                      "2025-06-24 14:36:25 status installed\n"
                                                      "2025-13-24 14:36:25 status installed a 1\n"
                                                      "half a li\n"
                                                      " \n"
                                                      "\xff\xfe\n"));
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 7u);
  for (std::size_t i = 1; i < 7; ++i)
    EXPECT_EQ(at(reading.events[i].json, "action"), "\"UNRECOGNISED\"") << i;
  EXPECT_EQ(at(reading.events[1].json, "time"), "\"2025-06-24T14:36:25.000Z\"");
  EXPECT_EQ(at(reading.events[3].json, "time"), "absent");
  EXPECT_EQ(reading.events[4].record, "\"half a li\"");
  EXPECT_EQ(reading.events[6].record, "\"\uFFFD\uFFFD\"");
  EXPECT_EQ(at(reading.events[6].json, "detail"), "{\"notUtf8\":true}");
  ASSERT_EQ(reading.notices.size(), 1u);
  EXPECT_NE(reading.notices[0].find("6 of the 7"), std::string::npos) << reading.notices[0];
  EXPECT_NE(reading.notices[0].find("line 3"), std::string::npos) << reading.notices[0];
}

TEST_F(Dpkg, TheLogOfThisMachine) {
  const std::string path = "/var/log/dpkg.log";
  std::ifstream file(path);
  // Another system than Debian has no such log; the summary names the test as skipped.
  if (!file) GTEST_SKIP() << "there is no " << path;
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) lines += line.empty() ? 0 : 1;
  const auto reading = read_all("auto", path);
  ASSERT_EQ(reading.error, "");
  EXPECT_EQ(reading.events.size(), lines);
  EXPECT_EQ(reading.format, "dpkg");
  EXPECT_TRUE(reading.notices.empty()) << reading.notices[0];
  EXPECT_EQ(records_of(read_all("dpkg", path)), records_of(reading));
}

}  // namespace
}  // namespace vestige::cli::importing
