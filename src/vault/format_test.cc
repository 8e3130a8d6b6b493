// Properties: what is encoded decodes to the same; any changed bit or length is refused, with the key and
// without; what a former release wrote is read for ever (tests/golden/vault).
#include "vault/format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "platform/files.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> filled(std::uint8_t byte) {
  std::array<std::uint8_t, N> bytes;
  bytes.fill(byte);
  return bytes;
}

Key key_of(std::uint8_t byte) { return filled<32>(byte); }

Key golden_root() {
  Key root;
  for (std::size_t at = 0; at < root.size(); ++at) root[at] = static_cast<std::uint8_t>(at);
  return root;
}

Slot slot_of(SubjectState state, const Hash& subject) {
  Slot slot;
  slot.state = state;
  slot.subject = subject;
  slot.created = UnixMs{1'700'000'000'000};
  if (state != SubjectState::active) slot.erased_by = 41;
  if (state == SubjectState::reauthorised) slot.epoch = 1;
  if (state != SubjectState::erased) slot.ref = filled<16>(0xa0);
  if (state != SubjectState::erased) slot.key = SecretKey(key_of(0xb0));
  return slot;
}

// The vault of tests/golden/vault/v2, by file name. That of v1 is the same without kept keys.
std::map<std::string, Bytes> golden_vault() {
  const auto vault_id = filled<16>(0x11);
  Top top;
  top.sequence = 7;
  top.vault_id = vault_id;
  top.wrap_key = SecretKey(key_of(0x21));
  top.purpose_secret = SecretKey(key_of(0x22));
  top.subject_secret = SecretKey(key_of(0x23));
  const crypto::HmacKey subjects(key_of(0x23));

  std::vector<Slot> slots{slot_of(SubjectState::active, subject_hash(subjects, "acme", "user:1")),
                          slot_of(SubjectState::erased, subject_hash(subjects, "acme", "user:2")),
                          slot_of(SubjectState::reauthorised, subject_hash(subjects, "acme", "user:3"))};
  slots[2].ref = filled<16>(0xa2);
  slots[2].key = SecretKey(key_of(0xb2));

  auto journal = encode_journal_header(vault_id);
  Hash previous = load_le<Hash>(journal.data() + 32);
  std::uint64_t number = 0;
  for (const auto& slot : {slots[1], slots[2]}) {
    const ErasureRecord record{.tenant = tenant_hash(subjects, "acme"),
                               .subject = slot.subject,
                               .epoch = 0,
                               .entry = 41,
                               .time = UnixMs{1'700'000'100'000}};
    const auto bytes = encode_erasure(record, number++, vault_id, previous, derive_journal_key(key_of(0x22)));
    journal.insert(journal.end(), bytes.begin(), bytes.end());
    previous = load_le<Hash>(bytes.data() + 128);
  }
  top.erasures = number;
  top.journal_digest = previous;
  top.retention_keys = {{standard_retention, Month{646}, SecretKey(key_of(0x31))},
                        {RetentionClass{2}, Month{646}, SecretKey(key_of(0x32))}};
  top.pages = {{.generation = 7, .slots = 3, .key = SecretKey(key_of(0x41))}};
  top.kept_keys = {{.file = filled<16>(0x51), .key = SecretKey(key_of(0x61)), .erasures = 1},
                   {.file = filled<16>(0x52), .key = SecretKey(key_of(0x62)), .erasures = 2}};
  return {{"top", encode_top(top, filled<32>(0x12), golden_root())},
          {"pages/00000000-0000000000000007.page", encode_page({0, 7}, vault_id, slots, key_of(0x41))},
          {"erased", journal}};
}

std::string golden_directory(const std::string& version) {
  return std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/vault/" + version;
}

TEST(GoldenVault, EncodersStillWriteItsBytes) {
  auto expected = golden_vault();
  const auto line = to_base64(golden_root()) + "\n";
  expected["root.key"] = Bytes(line.begin(), line.end());
  const bool write = std::getenv("VESTIGE_WRITE_GOLDEN") != nullptr;
  auto files = platform::open_directory(golden_directory("v2"), write).value();
  for (const auto& [name, bytes] : expected) {
    if (write) {
      ASSERT_TRUE(files->make_directories(platform::parent_of(name)));
      ASSERT_TRUE(platform::replace_file(*files, name, bytes, platform::FileMode::shared_read));
    }
    EXPECT_EQ(platform::read_file(*files, name, top_bytes_max).value(), bytes) << name;
  }
}

class GoldenVaults : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenVaults, AreReadWhole) {
  const std::string version = GetParam();
  auto files = platform::open_directory(golden_directory(version), false).value();
  const auto image = read_vault(*files, golden_root()).value();
  if (version == "v1") {
    EXPECT_TRUE(image.top.kept_keys.empty());
  } else {
    ASSERT_EQ(image.top.kept_keys.size(), 2U);
    EXPECT_EQ(image.top.kept_keys[1].file, filled<16>(0x52));
    EXPECT_EQ(image.top.kept_keys[1].key.bytes, key_of(0x62));
    EXPECT_EQ(image.top.kept_keys[1].erasures, 2U);
  }
  EXPECT_EQ(image.top.sequence, 7U);
  EXPECT_EQ(image.owners.size(), 2U);
  EXPECT_EQ(image.owners.at(filled<16>(0xa0)).key.bytes, key_of(0xb0));
  EXPECT_EQ(image.owners.at(filled<16>(0xa0)).state, SubjectState::active);
  EXPECT_EQ(image.owners.at(filled<16>(0xa2)).key.bytes, key_of(0xb2));
  EXPECT_EQ(image.owners.at(filled<16>(0xa2)).state, SubjectState::reauthorised);
  const crypto::HmacKey subjects(key_of(0x23));
  ASSERT_EQ(image.erased.size(), 2U);
  EXPECT_EQ(image.erased[0].subject, subject_hash(subjects, "acme", "user:2"));
  EXPECT_EQ(image.erased[0].entry, 41U);
  EXPECT_EQ(image.erased[1].epoch, 0U);  // the epoch that was erased, not the one that followed
  ASSERT_EQ(image.journal.records.size(), 2U);
  EXPECT_EQ(image.journal.records[1].tenant, tenant_hash(subjects, "acme"));
  EXPECT_EQ(image.retention_keys.at({RetentionClass{2}, Month{646}}).bytes, key_of(0x32));
  EXPECT_EQ(image.top.wrap_key.bytes, key_of(0x21));
  EXPECT_TRUE(image.left_overs.empty());
  EXPECT_TRUE(image.foreign.empty());
}

INSTANTIATE_TEST_SUITE_P(Versions, GoldenVaults, ::testing::Values("v1", "v2"));

TEST(VaultFormat, EveryFlippedBitIsRefusedWithoutAKey) {
  for (const auto& [name, bytes] : golden_vault()) {
    ASSERT_TRUE(check_container(name, bytes)) << name;
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      auto damaged = bytes;
      damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      const auto status = check_container(name, damaged);
      ASSERT_FALSE(status) << name << " bit " << bit;
      ASSERT_EQ(status.error().kind, ErrorKind::corrupt) << name << " bit " << bit;
      ASSERT_EQ(status.error().where.value().file, name);
    }
  }
}

TEST(VaultFormat, EveryOtherLengthIsRefused) {
  for (const auto& [name, bytes] : golden_vault()) {
    if (name == journal_path) continue;
    for (std::size_t size = 0; size < bytes.size(); ++size)
      ASSERT_EQ(check_container(name, ByteView(bytes).first(size)).error().kind, ErrorKind::corrupt) << size;
    auto longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(check_container(name, longer)) << name;
  }
}

// A cut journal is whole up to the last record; what follows is the left-over of an append.
TEST(VaultFormat, AJournalMayEndInsideARecordButNotInsideItsHeader) {
  const auto bytes = golden_vault().at(journal_path);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto journal = decode_journal(ByteView(bytes).first(size));
    ASSERT_EQ(journal.has_value(), size >= journal_header_bytes) << size;
    if (!journal) continue;
    ASSERT_EQ(journal->records.size(), (size - journal_header_bytes) / journal_record_bytes);
    ASSERT_EQ(journal->left_over_bytes, (size - journal_header_bytes) % journal_record_bytes);
  }
}

TEST(VaultFormat, AJournalOfAnotherKeyIsRefused) {
  const auto journal = decode_journal(golden_vault().at(journal_path)).value();
  EXPECT_TRUE(check_journal_macs(journal, derive_journal_key(key_of(0x22))));
  EXPECT_EQ(check_journal_macs(journal, derive_journal_key(key_of(0x24))).error().kind, ErrorKind::corrupt);
}

TEST(VaultFormat, AnotherRootKeyIsDenied) {
  const auto error = decode_top(golden_vault().at("top"), key_of(0x77)).error();
  EXPECT_EQ(error.kind, ErrorKind::denied);
  EXPECT_NE(error.message.find("root key"), std::string::npos);
}

TEST(VaultFormat, ANewerVersionIsNamedAndNotCalledDamage) {
  for (auto [name, bytes] : golden_vault()) {
    const auto covered = name == journal_path ? journal_header_bytes - 32 : bytes.size() - 32;
    const int next = name == "top" ? 3 : 2;
    bytes[8] = static_cast<std::uint8_t>(next);
    const auto digest = crypto::sha256(ByteView(bytes).first(covered));
    std::ranges::copy(digest, bytes.begin() + static_cast<std::ptrdiff_t>(covered));
    const auto error = check_container(name, bytes).error();
    EXPECT_EQ(error.kind, ErrorKind::invalid) << name;
    EXPECT_NE(error.message.find("version " + std::to_string(next)), std::string::npos) << error.message;
  }
}

TEST(VaultFormat, APageIsRefusedUnderAnotherNameOrInAnotherVault) {
  const auto golden = golden_vault();
  const auto& bytes = golden.at("pages/00000000-0000000000000007.page");
  EXPECT_EQ(check_container("pages/00000001-0000000000000007.page", bytes).error().kind, ErrorKind::corrupt);
  const PageHeader right{{0, 7}, filled<16>(0x11), 3};
  EXPECT_TRUE(decode_page(bytes, right, key_of(0x41)));
  EXPECT_EQ(decode_page(bytes, right, key_of(0x42)).error().kind, ErrorKind::corrupt);
  EXPECT_FALSE(decode_page(bytes, {{0, 8}, right.vault_id, 3}, key_of(0x41)));
  EXPECT_FALSE(decode_page(bytes, {{0, 7}, filled<16>(0x12), 3}, key_of(0x41)));
  EXPECT_FALSE(decode_page(bytes, {{0, 7}, right.vault_id, 2}, key_of(0x41)));
}

TEST(VaultFormat, PageNamesHaveOneSpelling) {
  EXPECT_EQ(page_path({0x2a, 0x1'0000'0007}), "pages/0000002a-0000000100000007.page");
  EXPECT_EQ(parse_page_path("pages/0000002a-0000000100000007.page"), (PageName{0x2a, 0x1'0000'0007}));
  for (const auto* name : {"pages/0000002A-0000000100000007.page", "pages/2a-7.page", "top", "",
                           "pages/0000002a_0000000100000007.page", "pages/0000002g-0000000100000007.page",
                           "pagez/0000002a-0000000100000007.page", "pages/0000002a-0000000100000007.page "})
    EXPECT_FALSE(parse_page_path(name)) << name;
  EXPECT_EQ(check_container("root.key", {}).error().kind, ErrorKind::invalid);
}

TEST(VaultFormat, SlotsThatContradictThemselvesAreRefused) {
  const auto good = slot_of(SubjectState::active, filled<32>(1));
  const auto bytes = encode_slots(std::vector{good});
  ASSERT_TRUE(decode_slots(bytes, "page"));
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = bytes;
    changed[at] = value;
    return decode_slots(changed, "page").has_value();
  };
  EXPECT_FALSE(with(0, 0));    // never
  EXPECT_FALSE(with(0, 2));    // erased, with a key
  EXPECT_FALSE(with(0, 3));    // re-authorised, never erased
  EXPECT_FALSE(with(0, 4));    // no state
  EXPECT_FALSE(with(1, 1));    // reserved
  EXPECT_FALSE(with(4, 1));    // active in a later epoch
  EXPECT_FALSE(with(96, 0));   // active, erased by an entry
  EXPECT_FALSE(with(127, 1));  // reserved
  EXPECT_FALSE(decode_slots(ByteView(bytes).first(127), "page"));
  EXPECT_FALSE(decode_slots({}, "page"));
  EXPECT_FALSE(decode_slots(Bytes(513 * slot_bytes), "page"));
}

// Random tables and pages, among them the empty and the full ones.
TEST(VaultFormat, WhatIsEncodedDecodesToTheSame) {
  constexpr std::uint64_t seed = 20'261'125;
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  platform::sim::SimEntropy entropy(seed);
  for (std::uint64_t round = 0; round < testing::rounds(30); ++round) {
    Top top;
    top.sequence = 1 + random() % 1'000;
    entropy.fill(top.vault_id);
    entropy.fill(top.wrap_key.bytes);
    entropy.fill(top.purpose_secret.bytes);
    entropy.fill(top.subject_secret.bytes);
    top.erasures = random() % 3;
    if (top.erasures != 0) entropy.fill(top.journal_digest);
    for (auto kept = static_cast<std::uint8_t>(random() % 4); kept > 0; --kept)
      top.kept_keys.insert(top.kept_keys.begin(), {.file = filled<16>(kept),
                                                   .key = SecretKey(entropy.bytes<32>()),
                                                   .erasures = random() % (top.erasures + 1)});
    for (std::uint16_t month = 0; month < random() % 40; ++month)
      top.retention_keys.push_back({RetentionClass{1}, Month{month}, SecretKey(entropy.bytes<32>())});
    const auto pages = random() % 4;
    for (std::uint64_t page = 0; page < pages; ++page)
      top.pages.push_back(
          {.generation = 1 + random() % top.sequence, .slots = 512, .key = SecretKey(entropy.bytes<32>())});
    if (pages != 0) top.pages.back().slots = static_cast<std::uint16_t>(1 + random() % 512);
    const auto root = entropy.bytes<32>();
    ASSERT_EQ(decode_top(encode_top(top, entropy.bytes<32>(), root), root).value(), top);

    std::vector<Slot> slots;
    const auto count = round == 0 ? 512 : 1 + random() % 512;
    for (std::size_t at = 0; at < count; ++at)
      slots.push_back(slot_of(static_cast<SubjectState>(1 + random() % 3), entropy.bytes<32>()));
    const PageHeader header{
        {static_cast<std::uint32_t>(round), round + 1}, top.vault_id, static_cast<std::uint16_t>(count)};
    const auto page = encode_page(header.name, top.vault_id, slots, root);
    ASSERT_EQ(decode_page(page, header, root).value(), slots);
    ASSERT_TRUE(check_container(page_path(header.name), page));
  }
}

}  // namespace
}  // namespace vestige::vault
