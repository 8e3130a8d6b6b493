// Property: every commit of HEAD becomes exactly one event, parents before children, that says what git says
// about it, whatever the names, messages and the user's settings are; a history that cannot be read whole is
// an error.

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "cli/import/reader.h"
#include "cli/import/testing/sources.h"
#include "platform/process.h"

namespace vestige::cli::importing {
namespace {

using testing::at;
using testing::read_all;
using testing::TemporaryDirectory;
using testing::texts_of;

class Repository {
 public:
  explicit Repository(std::vector<std::string> init_options = {}) {
    std::vector<std::string> argv{"git", "init", "-q", "-b", "main"};
    argv.insert(argv.end(), init_options.begin(), init_options.end());
    argv.push_back(path());
    EXPECT_EQ(run(argv), 0);
  }
  std::string path() const { return directory_.path("project"); }
  std::string git(std::vector<std::string> rest, int expected_status = 0) const {
    std::vector<std::string> argv{"git", "-C", path()};
    for (const char* setting : {"user.name=Ada", "user.email=ada@example.org", "commit.gpgSign=false"}) {
      argv.emplace_back("-c");
      argv.emplace_back(setting);
    }
    argv.insert(argv.end(), rest.begin(), rest.end());
    EXPECT_EQ(run(argv), expected_status) << rest[0];
    if (output_.ends_with('\n')) output_.pop_back();
    return output_;
  }
  void put(const std::string& name, std::string_view content) const {
    std::ofstream(path() + "/" + name, std::ios::binary) << content;
  }
  std::string commit(const std::string& message) const {
    git({"add", "-A"});
    git({"commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message});
    return git({"rev-parse", "HEAD"});
  }
  testing::Reading read(const ReaderOptions& options = {}) const { return read_all("git", path(), options); }

 private:
  int run(const std::vector<std::string>& argv) const {
    output_.clear();
    return platform::run_program(argv,
                                 [this](std::string_view piece) -> Status {
                                   output_ += piece;
                                   return {};
                                 })
        .value_or(-1);
  }
  TemporaryDirectory directory_;
  mutable std::string output_;
};

const std::string blob_of_one = "d00491fd7e5bb6fa28c517a0bb32b8b506539d4d";  // "1\n"

TEST(Git, RootChangeRenameDeletionAndMerge) {
  const Repository repository;
  repository.put("a", "1\n");
  const auto root = repository.commit("the root");
  repository.git({"mv", "a", "b"});
  const auto renamed = repository.commit("rename\n\nwith a body");
  repository.git({"checkout", "-q", "-b", "side", root});
  repository.put("s", "side\n");
  const auto side = repository.commit("side");
  repository.git({"checkout", "-q", "main"});
  repository.git({"merge", "-q", "--no-ff", "-m", "merge", "side"});
  const auto merge = repository.git({"rev-parse", "HEAD"});
  repository.git({"rm", "-q", "b"});
  repository.git({"update-index", "--chmod=+x", "s"});
  repository.git({"commit", "-q", "-m", "remove"});

  const auto reading = repository.read();
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 5u);
  std::map<std::string, std::string> by_hash;
  for (const auto& event : reading.events) by_hash[event.where] = event.json;
  const auto& first = reading.events[0].json;
  EXPECT_EQ(reading.events[0].where, "commit " + root);
  EXPECT_EQ(at(first, "kind"), "\"data.change\"");
  EXPECT_EQ(at(first, "action"), "\"COMMITTED\"");
  EXPECT_EQ(at(first, "sourceType"), "\"GIT_AUTHOR\"");
  EXPECT_EQ(at(first, "sourceId"), "\"ada@example.org\"");
  EXPECT_EQ(at(first, "sourceEntityMeta"), "{\"name\":\"Ada\"}");
  EXPECT_EQ(at(first, "targetType"), "\"COMMIT\"");
  EXPECT_EQ(at(first, "targetId"), "\"" + root + "\"");
  EXPECT_EQ(at(first, "targetEntityMeta"), "{\"repository\":\"project\"}");
  EXPECT_EQ(at(first, "detail/message"), R"("the root\n")");
  EXPECT_EQ(at(first, "detail/parents"), "[]");
  EXPECT_EQ(at(first, "changes"),
            fmt::format(R"([{{"field":"a","new":"{}","old":null,"reason":"added"}}])", blob_of_one));

  const auto& second = by_hash["commit " + renamed];
  EXPECT_EQ(at(second, "detail/subject"), "\"rename\"");
  EXPECT_EQ(at(second, "detail/message"), R"("rename\n\nwith a body\n")");
  EXPECT_EQ(at(second, "detail/parents"), "[\"" + root + "\"]");
  EXPECT_EQ(
      at(second, "changes"),
      fmt::format(R"([{{"field":"b","new":"{0}","old":"{0}","reason":"renamed from a"}}])", blob_of_one));

  const auto& merged = by_hash["commit " + merge];
  EXPECT_EQ(at(merged, "action"), "\"MERGED\"");
  EXPECT_EQ(at(merged, "detail/parents"), fmt::format(R"(["{}","{}"])", renamed, side));
  EXPECT_EQ(at(merged, "changes/0/field"), "\"s\"");
  EXPECT_EQ(at(merged, "detail/filesTotal"), "1");

  const auto& last = reading.events[4].json;
  EXPECT_EQ(at(last, "changes/0/reason"), "\"deleted\"");
  EXPECT_EQ(at(last, "changes/0/new"), "null");
  EXPECT_EQ(at(last, "changes/1/reason"), "\"mode changed\"");
}

TEST(Git, TimesAreTheCommittersAndTheAuthorsAreKept) {
  const Repository repository;
  ::setenv("GIT_AUTHOR_DATE", "2001-02-03T04:05:06+0200", 1);
  ::setenv("GIT_COMMITTER_DATE", "2026-11-25T23:30:00-0330", 1);
  repository.commit("dated");
  ::unsetenv("GIT_AUTHOR_DATE");
  ::unsetenv("GIT_COMMITTER_DATE");
  const auto reading = repository.read();
  ASSERT_EQ(reading.events.size(), 1u) << reading.error;
  EXPECT_EQ(at(reading.events[0].json, "time"), "\"2026-11-26T03:00:00.000Z\"");
  EXPECT_EQ(at(reading.events[0].json, "detail/authoredAt"), "\"2001-02-03T04:05:06+02:00\"");
}

TEST(Git, StrangeNamesAndMessages) {
  const Repository repository;
  repository.put("new\nline", "1\n");
  repository.put("quo\"te\tü", "1\n");
  repository.put(":100644 a", "1\n");
  repository.put("commit", "1\n");
  repository.put("bad\xff", "1\n");
  repository.commit("first\n\ncommit\n:000000 100644 x");
  repository.commit("");
  repository.commit("only a subject");
  const auto reading = repository.read();
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 3u);
  const auto& event = reading.events[0].json;
  std::set<std::string> fields;
  for (int i = 0; i < 5; ++i) fields.insert(at(event, fmt::format("changes/{}/field", i)));
  EXPECT_EQ(fields, (std::set<std::string>{R"("new\nline")", R"("quo\"te\tü")", "\":100644 a\"", "\"commit\"",
                                           "\"bad\uFFFD\""}));
  EXPECT_EQ(at(event, "detail/message"), R"("first\n\ncommit\n:000000 100644 x\n")");
  EXPECT_EQ(at(event, "detail/notUtf8"), "true");
  EXPECT_EQ(at(reading.events[1].json, "detail/subject"), "\"\"");
  EXPECT_EQ(at(reading.events[2].json, "detail/notUtf8"), "absent");
  EXPECT_EQ(at(reading.events[2].json, "changes"), "[]");
}

TEST(Git, ACommitThatGitItselfWouldNotMake) {
  const Repository repository;
  repository.commit("one");
  const auto tree = repository.git({"rev-parse", "HEAD^{tree}"});
  repository.put("../raw", fmt::format("tree {}\nauthor B\xf6rje <b\xff@example.org> 99999999999999 +0000\n"
                                       "committer C <> 12 +9999\n\nlatin \xe9 \xf0\x9f and \xf0\x9f\x90\x9f",
                                       tree));
  const auto hash =
      repository.git({"hash-object", "-t", "commit", "-w", "--literally", repository.path() + "/../raw"});
  repository.git({"update-ref", "HEAD", hash});
  const auto reading = repository.read();
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 1u);
  const auto& event = reading.events[0].json;
  EXPECT_EQ(at(event, "sourceId"), "\"b\uFFFD@example.org\"");
  EXPECT_EQ(at(event, "sourceEntityMeta"), "{\"name\":\"B\uFFFDrje\"}");
  EXPECT_EQ(at(event, "detail/message"), "\"latin \uFFFD \uFFFD\uFFFD and \U0001F41F\"");
  EXPECT_EQ(at(event, "detail/notUtf8"), "true");
  EXPECT_EQ(at(event, "detail/authoredAt"), "absent");
}

TEST(Git, AHugeCommitStaysBelowTheLimitAndSaysWhatItLeavesOut) {
  const Repository repository;
  for (int i = 0; i < 6'000; ++i) repository.put(fmt::format("file-{:05}", i), fmt::format("{}", i));
  repository.commit("many files");
  std::filesystem::remove_all(repository.path() + "/file-00000");
  for (int i = 0; i < 3'000; ++i) repository.put(fmt::format("{:05}-{:\x01>200}", i, ""), "x");
  std::string message(700'000, '\x02');
  repository.put("../message", message);
  repository.git({"add", "-A"});
  repository.git({"commit", "-q", "--cleanup=verbatim", "-F", repository.path() + "/../message"});
  const auto reading = repository.read();
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 2u);
  EXPECT_EQ(at(reading.events[0].json, "detail/filesTotal"), "6000");
  for (const auto& event : reading.events) {
    EXPECT_LT(event.json.size(), 1u << 20);
    const auto listed = std::stoul(at(event.json, "detail/filesListed"));
    EXPECT_GT(listed, 300u);
    EXPECT_LE(listed, git_changes_listed_max);
    EXPECT_NE(at(event.json, fmt::format("changes/{}/field", listed - 1)), "absent");
  }
  EXPECT_EQ(at(reading.events[1].json, "detail/filesTotal"), "3001");
  EXPECT_EQ(at(reading.events[1].json, "detail/cut"), R"(["subject","message"])");
  EXPECT_EQ(at(reading.events[1].json, "detail/messageBytes"), "700000");
}

TEST(Git, SettingsOfTheUserChangeNothing) {
  const Repository repository;
  repository.put("a", "1\n2\n3\n4\n5\n");
  repository.commit("one");
  repository.git({"mv", "a", "ü"});
  repository.commit("two");
  const auto plain = texts_of(repository.read());
  ASSERT_EQ(plain.size(), 2u);
  repository.put(".mailmap", "Other <other@example.org> <ada@example.org>\n");
  for (const auto& [name, value] : std::map<std::string, std::string>{{"log.showSignature", "true"},
                                                                      {"log.date", "relative"},
                                                                      {"log.decorate", "full"},
                                                                      {"log.mailmap", "true"},
                                                                      {"log.showRoot", "false"},
                                                                      {"log.diffMerges", "combined"},
                                                                      {"diff.renames", "false"},
                                                                      {"diff.renameLimit", "1"},
                                                                      {"diff.external", "false"},
                                                                      {"diff.relative", "true"},
                                                                      {"diff.noprefix", "true"},
                                                                      {"color.ui", "always"},
                                                                      {"core.abbrev", "4"},
                                                                      {"core.quotePath", "true"},
                                                                      {"format.pretty", "oneline"},
                                                                      {"i18n.logOutputEncoding", "latin1"},
                                                                      {"notes.displayRef", "refs/notes/*"}})
    repository.git({"config", name, value});
  repository.git({"notes", "add", "-m", "a note", "HEAD"});
  ::setenv("GIT_DIR", "/nowhere", 1);
  const auto reading = repository.read();
  ::unsetenv("GIT_DIR");
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(texts_of(reading), plain);
  std::filesystem::create_directory(repository.path() + "/below");
  EXPECT_EQ(texts_of(read_all("auto", repository.path() + "/below")), plain);
}

TEST(Git, EmptyAbsentBareAndShallow) {
  const Repository repository;
  EXPECT_EQ(repository.read().error, "");
  EXPECT_TRUE(repository.read().events.empty());
  const TemporaryDirectory plain;
  const auto none = read_all("auto", plain.path("."));
  EXPECT_NE(none.error.find("not a git repository"), std::string::npos) << none.error;
  EXPECT_NE(none.error.find("or a file"), std::string::npos) << none.error;
  EXPECT_NE(read_all("git", plain.path("absent")).error.find("absent"), std::string::npos);

  repository.commit("one");
  repository.commit("two");
  repository.git({"clone", "-q", "--bare", repository.path(), plain.path("project.git")});
  EXPECT_EQ(texts_of(read_all("git", plain.path("project.git"))), texts_of(repository.read()));
  repository.git({"clone", "-q", "--depth=1", "file://" + repository.path(), plain.path("shallow")});
  const auto shallow = read_all("git", plain.path("shallow"), {.repository = "project"});
  EXPECT_EQ(shallow.events.size(), 1u);
  ASSERT_EQ(shallow.notices.size(), 1u);
  EXPECT_NE(shallow.notices[0].find("shallow"), std::string::npos);
  EXPECT_EQ(at(shallow.events[0].json, "targetEntityMeta/repository"), "\"project\"");
}

TEST(Git, ADamagedHistoryIsAnError) {
  const Repository repository;
  const auto first = repository.commit("one");
  repository.put("a", "1\n");
  repository.commit("two");
  const auto object = repository.path() + "/.git/objects/" + first.substr(0, 2) + "/" + first.substr(2);
  std::filesystem::remove(object);
  EXPECT_NE(repository.read().error, "");
}

// A random history against what `git rev-list` says about it.
TEST(Git, RandomHistories) {
  for (int round = 0; round < 2 * testing::test_scale(); ++round) {
    const std::uint64_t seed = 40 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Repository repository;
    std::vector<std::string> made{repository.commit("start")};
    for (int i = 0; i < 12; ++i) {
      if (random() % 3 == 0) repository.git({"checkout", "-q", made[random() % made.size()]});
      repository.put(fmt::format("f{}", random() % 4), fmt::format("{}\n", random() % 100));
      made.push_back(repository.commit(fmt::format("commit {}\n\nbody", i)));
      if (random() % 3 != 0) continue;
      repository.git({"merge", "-q", "-s", "ours", "--no-ff", "-m", "merge", made[random() % made.size()]});
      made.push_back(repository.git({"rev-parse", "HEAD"}));
    }
    const auto reading = repository.read();
    ASSERT_EQ(reading.error, "");
    std::set<std::string> seen;
    std::string hashes;
    for (const auto& event : reading.events) {
      const auto hash = at(event.json, "targetId").substr(1, 40);
      for (std::size_t i = 0; at(event.json, "detail/parents") != "[]" && i < 2; ++i) {
        const auto parents = at(event.json, "detail/parents");
        if (parents.size() < 43 * (i + 1)) break;
        ASSERT_TRUE(seen.contains(parents.substr(2 + 43 * i, 40))) << "a parent after its child";
      }
      const auto listed = at(event.json, "detail/filesTotal");
      const bool is_root = at(event.json, "detail/parents") == "[]";
      const auto changed = is_root
                               ? repository.git({"ls-tree", "-r", "--name-only", hash})
                               : repository.git({"diff-tree", "-r", "--name-only", "-M", hash + "^1", hash});
      ASSERT_EQ(std::stol(listed), changed.empty() ? 0 : std::ranges::count(changed, '\n') + 1) << hash;
      ASSERT_TRUE(seen.insert(hash).second);
      hashes += hash + "\n";
    }
    EXPECT_EQ(std::to_string(seen.size()), repository.git({"rev-list", "--count", "HEAD"}));
    EXPECT_EQ(texts_of(repository.read()), texts_of(reading));
  }
}

}  // namespace
}  // namespace vestige::cli::importing
