// Property: whoever has all keys but the signer's, and makes all digests, hashes and tags fit again, is found
// out; and the report names the first entry or file that the tampering touched. One row is one tampering.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "trail/format/note.h"
#include "trail/format/wal_format.h"
#include "verify/testing/forger.h"
#include "verify/testing/report_text.h"
#include "verify/testing/world.h"

namespace vestige::verify {
namespace {

using testing::Forger;
using testing::OpenSegment;
using testing::World;

const std::string audit = "streams/default/audit/";
const std::string first_segment = audit + "000000000000-000000000600.seg";
const std::string first_hashes = audit + "000000000000-000000000600.hashes";
const std::string first_ids = audit + "000000000000-000000000600.ids";
const std::string second_segment = audit + "000000000600-000000000900.seg";
const std::string state = "signer/default/audit/state";
const std::string checkpoint = audit + "checkpoint";

struct Tampering {
  std::string name;
  std::function<void(World&)> tamper;
  std::optional<std::uint64_t> index;
  std::string file;
  std::string reason;  // a part of it
};

void PrintTo(const Tampering& tampering, std::ostream* out) { *out << tampering.name; }

std::string last_wal(const World& world) {
  std::string last;
  for (const auto& path : world.files())
    if (path.starts_with("wal/0")) last = path;
  return last;
}

std::string page_file(const World& world) {
  for (const auto& path : world.files())
    if (path.starts_with("vault/pages/")) return path;
  return {};
}

// Another data directory of the same shape.
const World& other_world() {
  static World& world = *[] {
    auto* made = new World(77);
    made->build();
    return made;
  }();
  return world;
}

constexpr testing::Refit with_salts{.salts = true};

void swap_entries(World& world, std::size_t a, std::size_t b, const testing::Refit& refit = {}) {
  Forger(world).change(
      0,
      [=](OpenSegment& open) {
        std::swap(open.entries[a], open.entries[b]);
        std::swap(open.blobs[a], open.blobs[b]);
      },
      refit);
}

// The last entry is put twice, so that their number stays.
void remove_entry(World& world, std::size_t at, const testing::Refit& refit = {}) {
  Forger(world).change(
      0,
      [=](OpenSegment& open) {
        const auto place = static_cast<std::ptrdiff_t>(at);
        std::rotate(open.entries.begin() + place, open.entries.begin() + place + 1, open.entries.end());
        open.entries.back() = open.entries[open.entries.size() - 2];
        std::rotate(open.blobs.begin() + place, open.blobs.begin() + place + 1, open.blobs.end());
        open.blobs.back() = open.blobs[open.blobs.size() - 2];
      },
      refit);
}

void insert_last_entry(World& world, std::size_t at, const testing::Refit& refit = {}) {
  Forger(world).change(
      0,
      [=](OpenSegment& open) {
        const auto place = static_cast<std::ptrdiff_t>(at);
        std::rotate(open.entries.begin() + place, open.entries.end() - 1, open.entries.end());
        std::rotate(open.blobs.begin() + place, open.blobs.end() - 1, open.blobs.end());
      },
      refit);
}

void duplicate_entry(World& world, std::size_t at, const testing::Refit& refit = {}) {
  Forger(world).change(
      0,
      [=](OpenSegment& open) {
        open.entries[at + 1] = open.entries[at];
        open.blobs[at + 1] = open.blobs[at];
      },
      refit);
}

// One that the signer might have signed when only the first segment was there.
void put_older_checkpoint(World& world) {
  auto note = trail::parse_note(text(world.read(checkpoint))).value();
  auto about = trail::parse_checkpoint(note.text).value();
  const auto hashes = trail::decode_hash_file(world.read(first_hashes)).value();
  about.size = hashes.leaves.size();
  about.root = trail::root_of(hashes.leaves);
  const auto seed = world.read("signer/default/audit/log.key");
  note = {.text = trail::checkpoint_text(about), .signatures = {}};
  trail::sign_note(note, about.origin,
                   crypto::SigningKey(array_from_base64<32>(text(seed).substr(0, 44)).value()));
  world.put(checkpoint, view(trail::format_note(note)));
}

void flip(World& world, const std::string& path, std::size_t at) {
  auto content = world.read(path);
  content.at(at) ^= 1;
  world.put(path, content);
}

void sign_with_another_key(World& world) {
  auto note = trail::parse_note(text(world.read(checkpoint))).value();
  const auto origin = note.signatures.at(0).name;
  note.signatures.clear();
  Key seed{};
  seed.fill(9);
  trail::sign_note(note, origin, crypto::SigningKey(seed));
  world.put(checkpoint, view(trail::format_note(note)));
}

void change_state(World& world, const std::function<void(trail::SignerState&)>& change) {
  auto content = trail::decode_signer_state(world.read(state)).value();
  change(content);
  world.put(state, trail::encode_signer_state(content));
}

// The log ends `frames` frames earlier, and what was there is zeros, as after a torn write.
void cut_wal(World& world, std::size_t frames) {
  const auto path = last_wal(world);
  auto content = world.read(path);
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t at = trail::wal_header_bytes; at + trail::frame_header_bytes <= content.size();) {
    const auto header = trail::decode_frame_header(ByteView(content).subspan(at, trail::frame_header_bytes));
    if (!header) break;
    offsets.push_back(at);
    at += trail::align_frame(trail::frame_header_bytes + header->payload_bytes);
  }
  const auto header = trail::decode_wal_header(ByteView(content).first(trail::wal_header_bytes)).value();
  content.resize(offsets.at(offsets.size() - frames));
  content.resize(header.file_bytes);
  world.put(path, content);
}

const std::vector<Tampering>& tamperings() {
  static const std::vector<Tampering> rows = {
      // Entries, with everything else made to fit.
      {"swapped", [](World& w) { swap_entries(w, 101, 103); }, 101, first_segment, "salt"},
      {"swapped in one group, salts made to fit",
       [](World& w) { swap_entries(w, 101, 103, with_salts); },
       {},
       state,
       "another root"},
      {"swapped over groups, salts made to fit", [](World& w) { swap_entries(w, 101, 311, with_salts); }, 102,
       first_segment, "received before"},
      {"changed",
       [](World& w) { Forger(w).change_entry(123, "UPDATED", "DELETED"); },
       {},
       state,
       "another root"},
      {"changed, and in the write-ahead log too",
       [](World& w) { Forger(w).change_entry(860, "UPDATED", "DELETED"); }, 860, "wal/", "another entry"},
      {"removed, and another put at the end", [](World& w) { remove_entry(w, 121); }, 121, first_segment,
       "salt"},
      {"removed, and another put at the end, salts made to fit",
       [](World& w) { remove_entry(w, 121, with_salts); },
       {},
       state,
       "another root"},
      {"inserted", [](World& w) { insert_last_entry(w, 51); }, 51, first_segment, "salt"},
      {"inserted, salts made to fit", [](World& w) { insert_last_entry(w, 51, with_salts); }, 52,
       first_segment, "received before"},
      {"duplicated", [](World& w) { duplicate_entry(w, 401); }, 402, first_segment, "salt"},
      {"duplicated, salts made to fit",
       [](World& w) { duplicate_entry(w, 401, with_salts); },
       {},
       state,
       "another root"},
      {"not canonical", [](World& w) { Forger(w).change_entry(256, "\"old\":1.5", "\"old\":1.50"); }, 256,
       first_segment, "canonical"},
      {"a key twice", [](World& w) { Forger(w).change_entry(599, "\"v\":1}", "\"v\":1,\"v\":1}"); }, 599,
       first_segment, "canonical"},
      {"of another tenant",
       [](World& w) { Forger(w).change_entry(3, "\"tenant\":\"default\"", "\"tenant\":\"another\""); }, 3,
       first_segment, "tenant"},
      {"of another version", [](World& w) { Forger(w).change_entry(4, "\"v\":1}", "\"v\":2}"); }, 4,
       first_segment, "\"v\""},
      {"without a salt", [](World& w) { Forger(w).change_entry(5, "\"salt\"", "\"sale\""); }, 5,
       first_segment, "no member \"salt\""},
      // Files that no longer fit each other.
      {"changed, and the hash file not",
       [](World& w) { Forger(w).change_entry(300, "UPDATED", "DELETED", {.leaves = false}); }, 300,
       first_segment, "leaf hash"},
      {"changed, and the manifest's frontier not",
       [](World& w) { Forger(w).change_entry(300, "UPDATED", "DELETED", {.frontier = false}); },
       {},
       "manifest",
       "frontier"},
      {"a leaf hash changed",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.leaves[44][0] ^= 1; }); }, 44,
       first_segment, "leaf hash"},
      {"a byte of a leaf hash", [](World& w) { flip(w, first_hashes, 64 + 32 * 45 + 3); }, 45, first_hashes,
       "leaf hash is not that"},
      {"a tile root changed",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.tile_roots[1][0] ^= 1; }); },
       {},
       first_hashes,
       "tile root 1"},
      {"a fingerprint changed",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.fingerprints[17] ^= 1; }); }, 17,
       first_ids, "fingerprint"},
      {"the segment says that it is of another data directory",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.header.data_id[0] ^= 1; }); },
       {},
       first_segment,
       "another data directory"},
      {"the segment says that it is of another stream",
       [](World& w) {
         Forger(w).change(0, [](OpenSegment& open) { open.header.stream = "default/access"; });
       },
       {},
       first_segment,
       "other entries"},
      // Sealed sections.
      {"two sections changed places",
       [](World& w) {
         Forger(w).change(0, [](OpenSegment& open) { std::swap(open.blobs[4], open.blobs[24]); });
       },
       4, first_segment, "sealed section"},
      {"a section removed",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.blobs[9].clear(); }); }, 9,
       first_segment, "names 1 sealed sections, and 0 are there"},
      {"all sections of a page removed",
       [](World& w) {
         Forger(w).change(0, [](OpenSegment& open) {
           for (std::size_t i = 256; i < 512; ++i) open.blobs[i].clear();
         });
       },
       259, first_segment, "names 1 sealed sections, and 0 are there"},
      {"a section added",
       [](World& w) { Forger(w).change(0, [](OpenSegment& open) { open.blobs[10] = open.blobs[9]; }); }, 10,
       first_segment, "names 0 sealed sections, and 1 are there"},
      {"a person's key destroyed, and no erasure", [](World& w) { Forger(w).destroy_key("ben", false); }, 4,
       first_segment, "without authority"},
      // Files of another time or place.
      {"an older manifest",
       [](World& w) {
         Forger forger(w);
         auto& stream = forger.manifest().streams[0];
         trail::Frontier tree;
         for (const auto& leaf : trail::decode_hash_file(w.read(first_hashes))->leaves) tree.append(leaf);
         stream.segments.pop_back();
         stream.sealed_size = 600;
         stream.frontier = tree.nodes();
         forger.write_manifest();
       },
       600, "wal/", "600 should follow"},
      {"a foreign manifest", [](World& w) { w.put("manifest", other_world().read("manifest")); }, {}, "", ""},
      {"a foreign segment",
       [](World& w) { w.put(second_segment, other_world().read(second_segment)); },
       {},
       second_segment,
       ""},
      {"a foreign hash file", [](World& w) { w.put(first_hashes, other_world().read(first_hashes)); }, 0,
       first_hashes, "leaf hash is not that"},
      {"a foreign id run", [](World& w) { w.put(first_ids, other_world().read(first_ids)); }, 0, first_ids,
       ""},
      {"a foreign write-ahead file",
       [](World& w) { w.put(last_wal(w), other_world().read(last_wal(other_world()))); },
       {},
       "wal/",
       ""},
      {"a foreign checkpoint",
       [](World& w) { w.put(checkpoint, other_world().read(checkpoint)); },
       {},
       checkpoint,
       ""},
      {"the checkpoint of another stream",
       [](World& w) { w.put(checkpoint, w.read("streams/default/access/checkpoint")); },
       {},
       checkpoint,
       ""},
      {"a checkpoint signed by another key", sign_with_another_key, {}, checkpoint, "no known key"},
      {"an older checkpoint", put_older_checkpoint, {}, checkpoint, "before the server stopped"},
      {"no checkpoint", [](World& w) { w.erase(checkpoint); }, {}, checkpoint, "missing"},
      {"a foreign signer state",
       [](World& w) { w.put(state, other_world().read(state)); },
       {},
       state,
       "another data"},
      {"the signer state of another stream",
       [](World& w) { w.put(state, w.read("signer/default/access/state")); },
       {},
       state,
       "is of the log"},
      {"an older signer state",
       [](World& w) { change_state(w, [](auto& about) { about.size = 900; }); },
       {},
       state,
       "older state"},
      {"no signer state", [](World& w) { w.erase(state); }, {}, state, "missing"},
      {"more was signed than is there",
       [](World& w) { change_state(w, [](auto& about) { about.size = 1000; }); }, 990, "wal/",
       "1000 entries of default/audit were signed, and 990 are there"},
      // The write-ahead log.
      {"the clean end cut off",
       [](World& w) {
         auto content = w.read(last_wal(w));
         content.resize(content.size() - 512);
         w.put(last_wal(w), content);
       },
       {},
       "wal/",
       "clean end mark"},
      {"the last groups made to look torn", [](World& w) { cut_wal(w, 4); }, 980, "wal/", "were signed"},
      {"the last write-ahead file removed",
       [](World& w) { w.erase(last_wal(w)); },
       {},
       "wal/",
       "that follows it, is gone"},
      {"the first write-ahead file removed",
       [](World& w) { w.erase("wal/" + trail::wal_file_name(Forger(w).manifest().wal_root)); },
       {},
       "wal/",
       "missing"},
      {"a foreign vault page",
       [](World& w) { w.put(page_file(w), other_world().read(page_file(other_world()))); },
       {},
       "vault/pages/",
       ""},
      // Names.
      {"a vault page removed", [](World& w) { w.erase(page_file(w)); }, {}, "vault/pages/", "missing"},
      {"a segment removed", [](World& w) { w.erase(first_segment); }, {}, first_segment, ""},
      {"a hash file removed", [](World& w) { w.erase(first_hashes); }, {}, first_hashes, ""},
      {"an id run removed", [](World& w) { w.erase(first_ids); }, {}, first_ids, ""},
      {"a file in the data directory", [](World& w) { w.put("passwords", view("x")); }, {}, "passwords", ""},
      {"a directory in the data directory", [](World& w) { w.put("hidden/x", view("x")); }, {}, "hidden", ""},
      {"a file in the write-ahead log", [](World& w) { w.put("wal/1.wal", view("x")); }, {}, "wal/1.wal", ""},
      {"a file in a stream", [](World& w) { w.put(audit + "notes", view("x")); }, {}, audit + "notes", ""},
      {"a segment that nobody lists",
       [](World& w) { w.put(audit + "000000000000-000000000300.seg", w.read(first_segment)); },
       {},
       audit + "000000000000-000000000300.seg",
       "does not list"},
      {"a segment of entries that are nowhere",
       [](World& w) { w.put(audit + "000000000900-000000009000.seg", w.read(second_segment)); },
       {},
       audit + "000000000900-000000009000.seg",
       "does not list"},
      {"a stream that nobody lists",
       [](World& w) { w.put("streams/x/y/z", view("x")); },
       {},
       "streams/x",
       ""},
      {"a file in the signer's directory",
       [](World& w) { w.put("signer/default/audit/old", view("x")); },
       {},
       "signer/default/audit/old",
       ""},
      {"a file in the vault", [](World& w) { w.put("vault/keys", view("x")); }, {}, "vault/keys", ""},
      {"an API key added",
       [](World& w) {
         auto content = std::string(text(w.read("api-keys")));
         content.insert(content.find("sha256"), content.substr(19, content.find("sha256") - 19));
         w.put("api-keys", view(content));
       },
       {},
       "api-keys",
       "digest"},
      {"an API key with a scope that there is not",
       [](World& w) {
         auto content = std::string(text(w.read("api-keys")));
         content = content.substr(0, content.find("sha256"));
         content.replace(content.find("ingest,admin"), 12, "admin,ingest");
         content += fmt::format("sha256 {}\n", to_hex(crypto::sha256(view(content))));
         w.put("api-keys", view(content));
       },
       {},
       "api-keys",
       "line 2"},
  };
  return rows;
}

class Tampered : public ::testing::TestWithParam<Tampering> {};

TEST_P(Tampered, IsFoundAndNamed) {
  static World& world = *[] {
    auto* made = new World(50);
    made->build();
    return made;
  }();
  static const auto intact = world.save();
  world.restore(intact);
  world.reconnect();
  const auto& wanted = GetParam();
  wanted.tamper(world);
  const auto report = world.verify();
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_FALSE(report->ok);
  const auto& bad = *report->first_bad;
  EXPECT_EQ(bad.index, wanted.index) << testing::in_words(*report);
  EXPECT_TRUE(bad.file.starts_with(wanted.file)) << testing::in_words(*report);
  EXPECT_NE(bad.reason.find(wanted.reason), std::string::npos) << testing::in_words(*report);
}

TEST(Heads, StateAndCheckpointOfOneSizeHaveOneRootAlsoForWhoHasNoKeys) {
  World world(51);
  world.build();
  change_state(world, [](auto& about) { about.root[0] ^= 1; });
  const auto report = world.verify({}, false);
  ASSERT_TRUE(report && !report->ok);
  EXPECT_EQ(report->first_bad->file, checkpoint) << testing::in_words(*report);
}

// Whoever can write every file signs anew and makes the signer's state fit; only a key kept elsewhere tells.
TEST(Heads, AKeyThatTheAuditorBringsOutranksTheSignersState) {
  World world(52);
  world.build();
  const auto about = trail::decode_signer_state(world.read(state)).value();
  const trail::VerifierKey kept{about.origin, trail::SignatureType::ed25519, about.public_key};
  const auto with_kept_key = [&] { return world.verify({.verifier_keys = {kept}}); };
  EXPECT_TRUE(with_kept_key()->ok);
  sign_with_another_key(world);
  Key seed{};
  seed.fill(9);
  change_state(world, [&](auto& forged) { forged.public_key = crypto::SigningKey(seed).public_key(); });
  EXPECT_TRUE(world.verify()->ok) << "the forgery is not a whole one";
  const auto report = with_kept_key();
  ASSERT_FALSE(report->ok);
  EXPECT_EQ(report->first_bad->file, checkpoint) << testing::in_words(*report);

  world.erase(state);
  auto inputs = world.inputs();
  inputs.signer = nullptr;
  EXPECT_TRUE(verify_data(inputs, {})->ok);
  EXPECT_FALSE(verify_data(inputs, {.verifier_keys = {kept}})->ok);
  auto other = kept;
  other.name = "another/log";
  EXPECT_FALSE(verify_data(inputs, {.verifier_keys = {other}})->ok);
}

INSTANTIATE_TEST_SUITE_P(All, Tampered, ::testing::ValuesIn(tamperings()), [](const auto& about) {
  std::string name = about.param.name;
  std::erase_if(name, [](char c) { return c != ' ' && !std::isalnum(static_cast<unsigned char>(c)); });
  std::ranges::replace(name, ' ', '_');
  return name;
});

}  // namespace
}  // namespace vestige::verify
