#include "audit/testing/sealed_sidecars.h"

#include <algorithm>

#include "trail/format/segment_format.h"
#include "trail/log/page_describer.h"
#include "trail/log/sidecar_file.h"
#include "vault/format.h"

namespace vestige::audit::testing {
namespace {

// As pages say now.
trail::SidecarContent expected_content(World& world, const trail::PageRun& run,
                                       const trail::SidecarFacts& facts) {
  const EntryTokeniser clear;
  SealedTokeniser sealed(*world.vault);
  trail::PageDescriber describer(clear, &sealed);
  std::vector<trail::TokenSet> sets;
  for (std::size_t page = 0; page < run.pages(); ++page) {
    auto set = describer.describe_sealed(world.stream().full_name(), run, page);
    EXPECT_TRUE(set) << set.error().message;
    sets.push_back(*std::move(set));
  }
  trail::SidecarContent content{.facts = facts, .groups = {}};
  std::size_t first = 0;
  for (const auto& group : facts.groups) {
    std::vector<std::span<const trail::Token>> tokens;
    for (std::size_t i = 0; i < group.pages; ++i) tokens.emplace_back(sets[first + i].tokens);
    content.groups.push_back(trail::fill_buckets(group, tokens));
    first += group.pages;
  }
  return content;
}

bool has_all(const Bytes& there, const Bytes& expected) {
  if (there.size() != expected.size()) return false;
  for (std::size_t i = 0; i < there.size(); ++i)
    if ((there[i] & expected[i]) != expected[i]) return false;
  return true;
}

}  // namespace

SealedSidecars check_sealed_sidecars(World& world) {
  SealedSidecars found;
  const auto image = world.image();
  const auto context = world.sidecars();
  for (std::size_t number = 0; const auto segment = world.stream().closed_segment(number); ++number) {
    const auto& [record, run] = *segment;
    const auto id =
        trail::sidecar_id(context.files, world.stream().directory(), record, trail::SidecarKind::sealed);
    if (!id) continue;
    const auto kept = std::ranges::find(image.top.kept_keys, *id, &vault::KeptEntry::file);
    if (kept == image.top.kept_keys.end()) {
      ++found.unreadable;
      continue;
    }
    ++found.readable;
    // How far it is may become durable later: after a start it is found out again.
    const bool behind = world.vault->kept_key(*id)->erasures < image.journal.records.size();
    found.behind += behind ? 1 : 0;
    const auto file = trail::open_sidecar(context, trail::SidecarKind::sealed, world.stream().directory(),
                                          record, run->pages());
    EXPECT_TRUE(file) << file.error().message;
    if (!file) continue;
    const auto content = (*file)->read_all();
    EXPECT_TRUE(content) << content.error().message;
    const auto expected = expected_content(world, *run, (*file)->facts());
    for (std::size_t group = 0; content && group < content->groups.size(); ++group) {
      EXPECT_TRUE(has_all(content->groups[group], expected.groups[group])) << "something is not found";
      if (!behind) EXPECT_EQ(content->groups[group], expected.groups[group]) << "it tells of what is gone";
    }
  }
  return found;
}

}  // namespace vestige::audit::testing
