// Defends: pages. Whatever is appended between them, the pages of a search give each event that matched when
// it began exactly once and in order, and nothing later; a cursor serves its search and its caller only; what
// follows the stream misses nothing; every answer's root and every proof are those of the tree.
#include "audit/reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/encoding.h"
#include "trail/format/note.h"
#include "trail/format/page.h"
#include "trail/merkle/merkle.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

Result<SearchAnswer> search(World& world, const std::string& body, const std::string& caller = "somebody") {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  VESTIGE_TRY(const auto parsed, parse_search(document, UnixMs{0}));
  return world.reader->search(parsed, {}, caller);
}

std::uint64_t index_of(const std::string& event) {
  return std::stoull(Tree::parse(event).find("index")->scalar);
}

void append(World& world, Random& random, std::size_t count) {
  std::string body = "[";
  for (std::size_t i = 0; i < count; ++i)
    body += fmt::format(R"({}{{"kind":"data.change","action":"{}"{}}})", i > 0 ? "," : "",
                        random.chance(50) ? "WANTED" : "OTHER", random.chance(20) ? R"(,"subject":"p")" : "");
  ASSERT_TRUE(world.send(body + "]"));
}

Hash naive_root(World& world, std::uint64_t size) {
  trail::Frontier tree;
  for (std::uint64_t i = 0; i < size; ++i) tree.append(trail::leaf_hash(view(world.clear_bytes(i))));
  return tree.root();
}

void page_through(World& world, Random& random) {
  for (int round = 0; round < 6; ++round) {
    append(world, random, 1 + random.below(60));
    if (random.chance(20)) world.seal_everything();
    const auto size = world.stream().size();
    std::vector<std::uint64_t> wanted;
    const bool all = random.chance(30);
    for (std::uint64_t i = 0; i < size; ++i)
      if (all || world.clear_bytes(i).find("\"WANTED\"") != std::string::npos) wanted.push_back(i);
    const bool up = random.chance(50);
    if (!up) std::ranges::reverse(wanted);
    std::vector<std::uint64_t> found;
    std::optional<std::string> cursor;
    const auto root = naive_root(world, size);
    do {
      const auto body = fmt::format(R"({{{}"order":"{}","limit":{}{}}})", all ? "" : R"("action":"WANTED",)",
                                    up ? "asc" : "desc", 1 + random.below(40),
                                    cursor ? fmt::format(R"(,"cursor":"{}")", *cursor) : "");
      const auto page = search(world, body);
      ASSERT_TRUE(page) << page.error().message;
      ASSERT_EQ(page->size, size);
      ASSERT_EQ(page->root, root);
      ASSERT_FALSE(cursor && page->events.empty()) << "a page of nothing after a cursor";
      for (const auto& event : page->events) found.push_back(index_of(event));
      cursor = page->cursor;
      if (random.chance(70)) append(world, random, 1 + random.below(20));
      if (random.chance(10)) world.seal_everything();
      if (random.chance(5)) {
        world.close();
        ASSERT_NO_FATAL_FAILURE(world.open());
      }
    } while (cursor);
    ASSERT_EQ(found, wanted) << (up ? "asc" : "desc");
  }
}

TEST(Reader, PagesGiveEveryMatchOnceWhateverComesMeanwhile) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  for (std::size_t turn = 0; turn < testing::rounds(2); ++turn) {
    World world(seed + turn);
    world.open();
    ASSERT_NO_FATAL_FAILURE(page_through(world, random));
  }
}

TEST(Reader, APageEndsEarlyWhereMuchIsReadAndNothingIsLost) {
  Random random(testing::seed_of_test());
  World world(3);
  world.open();
  for (int i = 0; i < 4; ++i) {
    append(world, random, 30);
    if (i == 1) world.seal_everything();
  }
  for (const std::string order : {"asc", "desc"}) {
    std::vector<std::uint64_t> wanted, found;
    for (std::uint64_t i = 0; i < world.stream().size(); ++i)
      if (world.clear_bytes(i).find("\"WANTED\"") != std::string::npos) wanted.push_back(i);
    if (order == "desc") std::ranges::reverse(wanted);
    std::string cursor = "null";
    std::size_t empty_pages = 0;
    do {
      json::Parser parser;
      json::Document document;
      // Of a kind that indexes cannot pass over.
      const auto body = fmt::format(
          R"({{"filter":{{"field":"action","wildcard":"WANT*"}},"order":"{}","cursor":{}}})", order, cursor);
      ASSERT_TRUE(parser.parse(body, document));
      auto parsed = parse_search(document, UnixMs{0});
      ASSERT_TRUE(parsed);
      parsed->rows_max = 1 + random.below(3);
      const auto page = world.reader->search(*parsed, {}, "somebody");
      ASSERT_TRUE(page) << page.error().message;
      empty_pages += page->events.empty() ? 1 : 0;
      for (const auto& event : page->events) found.push_back(index_of(event));
      cursor = page->cursor ? "\"" + *page->cursor + "\"" : "null";
    } while (cursor != "null");
    EXPECT_EQ(found, wanted) << order;
    EXPECT_GT(empty_pages, 0u);
  }
}

TEST(Reader, ACursorServesItsSearchAndItsCallerOnly) {
  World world(1);
  Random random(1);
  world.open();
  append(world, random, 20);
  const auto first = search(world, R"({"limit":2})");
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->cursor);
  const auto with = [&](const std::string& more, const std::string& cursor) {
    return fmt::format(R"({{"cursor":"{}"{}}})", cursor, more);
  };
  EXPECT_TRUE(search(world, with("", *first->cursor)));
  EXPECT_TRUE(search(world, with(R"(,"limit":5)", *first->cursor)));
  std::vector<std::pair<std::string, std::string>> wrong = {
      {with("", *first->cursor), "somebody else"},
      {with(R"(,"order":"asc")", *first->cursor), "somebody"},
      {with(R"(,"action":"WANTED")", *first->cursor), "somebody"},
      {with("", "00"), "somebody"},
      {with("", "not hex"), "somebody"},
      {with("", *first->cursor + "00"), "somebody"},
  };
  for (std::size_t i = 0; i < first->cursor->size(); ++i) {
    auto forged = *first->cursor;
    forged[i] = forged[i] == '0' ? '1' : '0';
    wrong.emplace_back(with("", forged), "somebody");
  }
  for (const auto& [body, caller] : wrong) {
    const auto refused = search(world, body, caller);
    ASSERT_FALSE(refused) << body;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_EQ(refused.error().path, "/cursor");
  }
}

TEST(Reader, FollowingMissesNothing) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  std::uint64_t next = 0;
  for (std::size_t round = 0; round < testing::rounds(60); ++round) {
    if (random.chance(60)) append(world, random, 1 + random.below(30));
    if (random.chance(10)) world.seal_everything();
    const auto count = static_cast<std::uint32_t>(1 + random.below(20));
    const auto answer = world.reader->follow(next, count, {}, {});
    ASSERT_TRUE(answer) << answer.error().message;
    ASSERT_EQ(answer->items.size(), std::min<std::uint64_t>(count, world.stream().size() - next));
    for (const auto& item : answer->items) {
      ASSERT_EQ(item.index, next++);
      ASSERT_EQ(item.event, world.rendered(item.index));
    }
    ASSERT_EQ(answer->next, next);
  }
  const auto beyond = world.reader->follow(world.stream().size() + 5, 10, {}, {});
  ASSERT_TRUE(beyond);
  EXPECT_TRUE(beyond->items.empty());
}

TEST(Reader, EventsByIdWithTheirProofs) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  for (int i = 0; i < 5; ++i) {
    append(world, random, 40);
    if (i == 2) world.seal_everything();
  }
  const auto key = world.signer->verifier_key();
  for (std::size_t round = 0; round < testing::rounds(40); ++round) {
    if (random.chance(30)) append(world, random, 3);
    const auto index = random.below(world.stream().size());
    const auto clear = world.clear_bytes(index);
    const auto id = *entry_id(clear);
    EXPECT_EQ(*world.reader->event(id, {}), world.rendered(index));
    EXPECT_EQ(*world.reader->sealed_bytes(id, {}), clear);
    const auto found = search(world, fmt::format(R"({{"id":"{}"}})", format_uuid(id)));
    ASSERT_TRUE(found);
    ASSERT_EQ(found->events.size(), 1u);
    EXPECT_FALSE(found->cursor);
    const auto proof_text = world.reader->proof(id, {});
    ASSERT_TRUE(proof_text) << proof_text.error().message;
    const auto proof = trail::parse_proof(*proof_text);
    ASSERT_TRUE(proof) << proof.error().message;
    EXPECT_EQ(proof->index, index);
    const auto checkpoint = trail::verify_checkpoint(proof->checkpoint, key);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->root, naive_root(world, checkpoint->size));
    EXPECT_TRUE(trail::verify_inclusion(trail::leaf_hash(view(clear)), index, checkpoint->size, proof->path,
                                        checkpoint->root));
  }
  const auto nobody = *parse_uuid(testing::random_uuid(random));
  EXPECT_EQ(world.reader->event(nobody, {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.reader->sealed_bytes(nobody, {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.reader->proof(nobody, {}).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(search(world, fmt::format(R"({{"id":"{}"}})", format_uuid(nobody)))->events.empty());
}

}  // namespace
}  // namespace vestige::audit
