#include "verify/testing/forger.h"

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "trail/format/members.h"
#include "trail/format/page.h"
#include "trail/merkle/merkle.h"

namespace vestige::verify::testing {
namespace {

vault::VaultImage image_of(World& world) {
  auto image = vault::read_vault(*world.inputs().vault, world.root_key());
  CHECK(image.has_value());
  return *std::move(image);
}

trail::SegmentEnd end_of(ByteView file) {
  const auto trailer = file.last(trail::segment_trailer_bytes);
  const auto about = trail::decode_segment_trailer(trailer, file.size());
  CHECK(about.has_value());
  auto end = trail::decode_segment_end(
      file.subspan(about->table_offset, std::size_t{about->chunks} * trail::chunk_row_bytes), trailer,
      file.size());
  CHECK(end.has_value());
  return *std::move(end);
}

std::optional<Uuid> id_of(std::string_view entry) {
  trail::MemberScanner members(entry);
  while (const auto member = members.next())
    if (member->key == "id") return parse_uuid(member->value.substr(1, member->value.size() - 2));
  return std::nullopt;
}

void put_salt(std::string& entry, const Block16& salt) {
  constexpr std::string_view member = "\"salt\":\"";
  const auto text = to_base64(salt);
  entry.replace(entry.find(member) + member.size(), text.size(), text);
}

}  // namespace

Forger::Forger(World& world) : world_(world), vault_(image_of(world)) {
  auto manifest = trail::decode_manifest(world.read(std::string(trail::manifest_name)));
  CHECK(manifest.has_value());
  manifest_ = *std::move(manifest);
}

void Forger::write_manifest() {
  world_.put(std::string(trail::manifest_name), trail::encode_manifest(manifest_));
}

std::string Forger::path(std::size_t segment, std::string_view ending) const {
  const auto& stream = manifest_.streams[0];
  const auto& record = stream.segments[segment];
  return "streams/" + stream.full_name() + "/" + trail::range_file_name(record.first, record.end, ending);
}

Key Forger::file_key(const trail::SegmentHeader& header) const {
  const auto key = vault::unwrap_key(vault_.top.wrap_key.bytes, header.wrapped_key,
                                     trail::segment_key_context(header.file_id));
  CHECK(key.has_value());
  return *key;
}

OpenSegment Forger::read(std::size_t segment) const {
  const auto file = world_.read(path(segment, trail::segment_ending));
  const ByteView bytes(file);
  OpenSegment open;
  open.header = trail::decode_segment_header(bytes.first(trail::segment_header_bytes)).value();
  const auto end = end_of(bytes);
  crypto::Aead aead(file_key(open.header));
  for (std::uint32_t number = 0; number < end.chunks.size(); ++number) {
    const auto& row = end.chunks[number];
    auto plain =
        trail::open_chunk(aead, open.header.file_id, row, number, bytes.subspan(row.offset, row.length));
    CHECK(plain.has_value());
    if (row.type == trail::ChunkType::sections) {
      auto blobs = trail::decode_sections(*plain, row.rows);
      CHECK(blobs.has_value());
      std::ranges::move(*blobs, open.blobs.begin() + row.first_row);
      continue;
    }
    auto page = trail::Page::decode(open.header.schema, open.header.first + row.first_row, *std::move(plain));
    CHECK(page.has_value() && page->load_rest());
    for (std::uint32_t i = 0; i < row.rows; ++i) {
      page->append_entry(i, open.entries.emplace_back());
      open.seeds.push_back(page->salt_seed(i).value());
    }
    open.blobs.resize(open.entries.size());
  }
  auto hashes = trail::decode_hash_file(world_.read(path(segment, trail::hashes_ending))).value();
  open.leaves = std::move(hashes.leaves);
  open.tile_roots = std::move(hashes.tile_roots);
  open.fingerprints.resize(open.entries.size());
  const auto run = trail::decode_id_run(world_.read(path(segment, trail::ids_ending)));
  for (const auto& entry : run->entries) open.fingerprints[entry.offset] = entry.fingerprint;
  return open;
}

void Forger::write(std::size_t segment, const OpenSegment& open) {
  auto& record = manifest_.streams[0].segments[segment];
  Bytes file = trail::encode_segment_header(open.header);
  const auto header_hash = crypto::sha256(file);
  crypto::Aead aead(file_key(open.header));
  trail::PageEncoder encoder(open.header.schema);
  std::vector<trail::ChunkRow> chunks;
  const auto add = [&](trail::ChunkType type, std::uint32_t row, std::uint32_t rows, ByteView plain) {
    const auto number = static_cast<std::uint32_t>(chunks.size());
    const auto sealed = trail::seal_chunk(aead, open.header.file_id, type, number, row, plain);
    chunks.push_back({type, row, rows, file.size(), sealed.size(), crypto::sha256(sealed)});
    file.insert(file.end(), sealed.begin(), sealed.end());
  };
  for (std::size_t row = 0; row < open.entries.size(); row += trail::page_rows) {
    const auto rows = std::min<std::size_t>(trail::page_rows, open.entries.size() - row);
    std::vector<ByteView> entries;
    std::vector<std::vector<ByteView>> blobs(rows);
    std::vector<trail::SeedRun> seeds;
    bool any = false;
    for (std::size_t i = 0; i < rows; ++i) {
      entries.push_back(view(open.entries[row + i]));
      blobs[i].assign(open.blobs[row + i].begin(), open.blobs[row + i].end());
      any = any || !blobs[i].empty();
      seeds.push_back({1, open.seeds[row + i]});
    }
    const auto first_row = static_cast<std::uint32_t>(row);
    const auto count = static_cast<std::uint32_t>(rows);
    add(trail::ChunkType::page, first_row, count,
        encoder.encode(open.header.first + row, entries, seeds).value());
    Bytes sections;
    trail::encode_sections(blobs, sections);
    if (any) add(trail::ChunkType::sections, first_row, count, sections);
  }
  const auto tail =
      trail::encode_segment_end(chunks, file.size(), static_cast<std::uint32_t>(open.entries.size()),
                                header_hash, record.segment.digest);
  file.insert(file.end(), tail.begin(), tail.end());
  record.segment.bytes = file.size();
  world_.put(path(segment, trail::segment_ending), file);

  const auto hashes =
      trail::encode_hash_file(record.first, open.leaves, open.tile_roots, record.hashes.digest);
  record.hashes.bytes = hashes.size();
  world_.put(path(segment, trail::hashes_ending), hashes);

  std::vector<trail::IdEntry> ids;
  for (std::uint32_t i = 0; i < open.fingerprints.size(); ++i) ids.push_back({open.fingerprints[i], i});
  std::ranges::sort(ids);
  const auto run = trail::encode_id_run(record.first, record.end, ids, record.ids.digest);
  record.ids.bytes = run.size();
  world_.put(path(segment, trail::ids_ending), run);
}

void Forger::refit(OpenSegment& open, std::uint64_t first, const Refit& refit) const {
  const auto key = vault::derive_purpose_key(vault_.top.purpose_secret.bytes, "id-fingerprint",
                                             manifest_.streams[0].tenant);
  crypto::BlockPrf prf(load_le<Block16>(key.data()));
  for (std::size_t i = 0; i < open.entries.size(); ++i) {
    if (refit.salts) put_salt(open.entries[i], trail::derive_salt(open.seeds[i], first + i));
    if (refit.leaves) open.leaves[i] = trail::leaf_hash(view(open.entries[i]));
    if (const auto id = id_of(open.entries[i]); id && refit.fingerprints)
      open.fingerprints[i] = load_le<std::uint64_t>(prf(id->bytes).data());
  }
  if (!refit.tile_roots) return;
  // Tiles begin at multiples of 256 of the stream; only those that lie inside this segment can be made anew.
  const auto before = first / trail::tile_leaves;
  for (std::size_t i = 0; i < open.tile_roots.size(); ++i) {
    const auto start = (before + i) * trail::tile_leaves;
    if (start < first) continue;
    open.tile_roots[i] = trail::root_of(std::span(open.leaves).subspan(start - first, trail::tile_leaves));
  }
}

void Forger::refit_frontier() {
  trail::Frontier tree;
  auto& stream = manifest_.streams[0];
  for (std::size_t i = 0; i < stream.segments.size(); ++i)
    for (const auto& leaf : trail::decode_hash_file(world_.read(path(i, trail::hashes_ending)))->leaves)
      tree.append(leaf);
  stream.frontier = tree.nodes();
}

void Forger::change(std::size_t segment, const std::function<void(OpenSegment&)>& change,
                    const Refit& refit) {
  auto open = read(segment);
  const auto leaves = open.leaves;
  const auto tile_roots = open.tile_roots;
  const auto fingerprints = open.fingerprints;
  change(open);
  // What the change itself set stays.
  const bool has_own_leaves = open.leaves != leaves;
  const bool has_own_tiles = open.tile_roots != tile_roots;
  const bool has_own_fingerprints = open.fingerprints != fingerprints;
  this->refit(open, manifest_.streams[0].segments[segment].first,
              {refit.leaves && !has_own_leaves, refit.tile_roots && !has_own_tiles,
               refit.fingerprints && !has_own_fingerprints, refit.frontier, refit.salts});
  write(segment, open);
  if (refit.frontier) refit_frontier();
  write_manifest();
}

void Forger::change_entry(std::uint64_t index, const std::string& from, const std::string& to,
                          const Refit& refit) {
  const auto& segments = manifest_.streams[0].segments;
  std::size_t segment = 0;
  while (index >= segments[segment].end) ++segment;
  change(
      segment,
      [&](OpenSegment& open) {
        auto& entry = open.entries[index - segments[segment].first];
        const auto at = entry.find(from);
        CHECK(at != std::string::npos);
        entry.replace(at, from.size(), to);
      },
      refit);
}

void Forger::destroy_key(std::string_view subject, bool with_journal) {
  const crypto::HmacKey secret(vault_.top.subject_secret.bytes);
  const auto hash = vault::subject_hash(secret, tenant, subject);
  auto& top = vault_.top;
  ++top.sequence;
  for (std::uint32_t number = 0; number < top.pages.size(); ++number) {
    auto& page = top.pages[number];
    const vault::PageHeader about{{number, page.generation}, top.vault_id, page.slots};
    const auto old = "vault/" + vault::page_path(about.name);
    auto slots = vault::decode_page(world_.read(old), about, page.key.bytes).value();
    const auto slot = std::ranges::find(slots, hash, &vault::Slot::subject);
    if (slot == slots.end()) continue;
    slot->state = vault::SubjectState::erased;
    slot->ref = {};
    slot->key = {};
    slot->erased_by = 7;
    page.generation = top.sequence;
    world_.erase(old);
    world_.put("vault/" + vault::page_path({number, page.generation}),
               vault::encode_page({number, page.generation}, top.vault_id, slots, page.key.bytes));
  }
  if (with_journal) {
    const auto journal_key = vault::derive_journal_key(top.purpose_secret.bytes);
    auto journal = vault::encode_journal_header(top.vault_id);
    const auto header = vault::decode_journal(journal).value();
    const auto record =
        vault::encode_erasure({vault::tenant_hash(secret, tenant), hash, 0, 7, UnixMs{1'700'000'000'000}}, 0,
                              top.vault_id, header.digests.back(), journal_key);
    journal.insert(journal.end(), record.begin(), record.end());
    top.erasures = 1;
    top.journal_digest = vault::decode_journal(journal).value().digests.back();
    world_.put("vault/erased", journal);
  }
  world_.put("vault/top", vault::encode_top(top, {}, world_.root_key()));
}

}  // namespace vestige::verify::testing
