// Property: a section without a key is erased by the entry that names its ref, and by nothing else: not by
// the vault's own journal, not by somebody else's erasure. A vault that still has what the trail says is gone
// is found.
#include <gtest/gtest.h>

#include <algorithm>

#include "verify/testing/forger.h"
#include "verify/testing/report_text.h"
#include "verify/testing/world.h"

namespace vestige::verify {
namespace {

using testing::ErasureStep;
using testing::Forger;
using testing::in_words;
using testing::World;

constexpr std::uint64_t sealed_sections = 990 / 5;  // of build()

// A built directory, and erasures in its write-ahead log (`sealed`: in segments).
std::uint64_t erase(World& world, const std::string& person, ErasureStep last, bool sealed) {
  world.open();
  const auto entry = world.erase_person(person, last);
  if (sealed) world.seal();
  world.sign();
  world.stop();
  return entry;
}

bool notes_say(const Report& report, std::string_view what) {
  return std::ranges::any_of(report.notes,
                             [&](const std::string& note) { return note.find(what) != std::string::npos; });
}

TEST(VerifyErasures, ASectionIsErasedByTheEntryThatNamesItsRef) {
  for (const bool sealed : {false, true}) {
    World world(21);
    world.build();
    const auto entry = erase(world, "ann", ErasureStep::on_record, sealed);
    const auto report = world.verify();
    ASSERT_TRUE(report && report->ok) << in_words(*report);
    const auto& stream = report->streams[0];
    EXPECT_GT(stream.sections.erased, 20U);
    EXPECT_EQ(stream.sections.missing, 0U);
    EXPECT_EQ(stream.sections.erased + stream.sections.matches, sealed_sections);
    ASSERT_EQ(stream.erased_by.size(), 1U);
    EXPECT_EQ(stream.erased_by[0].entry, entry);
    EXPECT_EQ(stream.erased_by[0].sections, stream.sections.erased);
  }
}

TEST(VerifyErasures, WhatWasInterruptedIsNoDamage) {
  for (const auto last : {ErasureStep::intended, ErasureStep::destroyed}) {
    World world(22);
    world.build();
    const auto intent = erase(world, "ann", last, false);
    const auto report = world.verify();
    ASSERT_TRUE(report && report->ok) << in_words(*report);
    const bool gone = last == ErasureStep::destroyed;
    EXPECT_EQ(report->streams[0].sections.erased > 0, gone);
    EXPECT_TRUE(notes_say(*report, "the server finishes it")) << in_words(*report);
    if (gone) EXPECT_EQ(report->streams[0].erased_by.at(0).entry, intent);
  }
}

TEST(VerifyErasures, AKeyThatIsGoneWithoutAnEntryIsMissingWhateverTheJournalSays) {
  for (const bool with_journal : {false, true}) {
    World world(23);
    world.build();
    Forger(world).destroy_key("ann", with_journal);
    const auto report = world.verify();
    ASSERT_TRUE(report && !report->ok);
    const auto& stream = report->streams[0];
    EXPECT_GT(stream.sections.missing, 20U);
    EXPECT_EQ(stream.sections.erased, 0U);
    EXPECT_EQ(stream.sections.missing + stream.sections.matches, sealed_sections);
    ASSERT_TRUE(report->first_bad->index);
    EXPECT_NE(report->first_bad->reason.find("without authority"), std::string::npos);
  }
}

TEST(VerifyErasures, OneErasureDoesNotExcuseAnother) {
  World world(24);
  world.build();
  const auto entry = erase(world, "ben", ErasureStep::on_record, false);
  Forger(world).destroy_key("ann", false);
  const auto report = world.verify();
  ASSERT_TRUE(report && !report->ok);
  EXPECT_GT(report->streams[0].sections.missing, 20U);
  EXPECT_GT(report->streams[0].sections.erased, 20U);
  EXPECT_EQ(report->streams[0].erased_by.at(0).entry, entry);
}

TEST(VerifyErasures, AnOlderVaultPutBackIsFound) {
  World world(25);
  world.build();
  const auto before = world.save();
  erase(world, "ann", ErasureStep::on_record, false);
  auto mixed = world.save();
  const auto in_vault = [](const auto& file) { return file.first.starts_with("data/vault/"); };
  std::erase_if(mixed, in_vault);
  for (const auto& file : before)
    if (in_vault(file)) mixed.insert(file);
  world.restore(mixed);
  world.reconnect();
  const auto report = world.verify();
  ASSERT_TRUE(report && !report->ok);
  EXPECT_EQ(report->first_bad->file, "vault/erased") << in_words(*report);
  EXPECT_TRUE(std::ranges::any_of(report->all_bad, [](const FirstBad& bad) {
    return bad.file == "vault/top" && bad.reason.find("older vault") != std::string::npos;
  })) << in_words(*report);
}

}  // namespace
}  // namespace vestige::verify
