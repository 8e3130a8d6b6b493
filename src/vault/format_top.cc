// The top table: docs/formats/vault.md, "top".
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/aead.h"
#include "vault/format.h"
#include "vault/internal/container.h"

namespace vestige::vault {

namespace {

constexpr std::size_t payload_length_at = 72;
constexpr crypto::Nonce zero_nonce{};  // each key encrypts one message

struct TopHeader {
  std::uint64_t sequence = 0;
  Block16 vault_id{};
  TopSalt salt{};
  std::uint32_t version = 0;
};

SecretKey top_key(const Key& root, const Block16& vault_id, const TopSalt& salt) {
  std::array<std::uint8_t, sizeof vault_id + sizeof salt> both;
  std::ranges::copy(salt, std::ranges::copy(vault_id, both.begin()).out);
  SecretKey key;
  key.bytes = crypto::derive_key(root, both, "vestige vault top v1");
  return key;
}

std::size_t fixed_payload_bytes(std::uint32_t version) {
  return version == 1 ? top_fixed_payload_bytes_v1 : top_fixed_payload_bytes;
}

// Structure and digest, without a key.
Result<TopHeader> read_header(ByteView bytes) {
  VESTIGE_TRY(const auto content, open_container(top_path, bytes, top_magic, top_version));
  ByteReader in(content);
  in.bytes(top_magic.size());
  TopHeader header;
  header.version = in.u32();
  const bool reserved = in.zeros(4);
  header.sequence = in.u64();
  header.vault_id = in.array<16>();
  header.salt = in.array<32>();
  const auto length = in.u32();
  if (!reserved || !in.zeros(4))
    return damaged(top_path, 12, "its header is cut short or a reserved byte is set");
  if (header.sequence == 0) return damaged(top_path, 16, "the first sequence is 1");
  if (length != in.left() || length < fixed_payload_bytes(header.version) + crypto::tag_bytes)
    return damaged(top_path, payload_length_at,
                   fmt::format("the payload has {} bytes there, not {}", in.left(), length));
  return header;
}

bool consistent_pages(const std::vector<PageEntry>& pages, std::uint64_t sequence) {
  for (const auto& page : pages) {
    const bool last = &page == &pages.back();
    if (page.generation == 0 || page.generation > sequence) return false;
    if (page.slots == 0 || page.slots > limits::page_slots_max) return false;
    if (!last && page.slots != limits::page_slots_max) return false;
  }
  return true;
}

bool ascending(const std::vector<RetentionKey>& keys) {
  const auto place = [](const RetentionKey& key) { return std::pair(key.retention_class, key.month); };
  for (std::size_t at = 1; at < keys.size(); ++at)
    if (!(place(keys[at - 1]) < place(keys[at]))) return false;
  return true;
}

// Ascending, and about erasures that there were.
bool consistent_kept(const std::vector<KeptEntry>& kept, std::uint64_t erasures) {
  for (std::size_t at = 0; at < kept.size(); ++at)
    if (kept[at].erasures > erasures || (at > 0 && !(kept[at - 1].file < kept[at].file))) return false;
  return true;
}

std::size_t payload_bytes(std::uint32_t version, std::size_t retention_keys, std::size_t pages,
                          std::size_t kept_keys) {
  return fixed_payload_bytes(version) + retention_keys * retention_key_bytes + pages * page_entry_bytes +
         kept_keys * kept_key_bytes;
}

}  // namespace

Bytes encode_top_payload(const Top& top) {
  CHECK(top.retention_keys.size() <= limits::retention_keys_max && top.pages.size() <= limits::pages_max &&
        top.kept_keys.size() <= limits::kept_keys_max);
  CHECK(ascending(top.retention_keys) && consistent_pages(top.pages, top.sequence) &&
        consistent_kept(top.kept_keys, top.erasures));
  CHECK(top.erasures != 0 || top.journal_digest == Hash{});
  const auto size =
      payload_bytes(top_version, top.retention_keys.size(), top.pages.size(), top.kept_keys.size());
  Bytes payload;
  payload.reserve(size);  // once: growing would leave keys behind
  ByteWriter out(payload);
  out.bytes(top.wrap_key.bytes);
  out.bytes(top.purpose_secret.bytes);
  out.bytes(top.subject_secret.bytes);
  out.u64(top.erasures);
  out.bytes(top.journal_digest);
  out.u32(static_cast<std::uint32_t>(top.retention_keys.size()));
  out.u32(static_cast<std::uint32_t>(top.pages.size()));
  out.u32(static_cast<std::uint32_t>(top.kept_keys.size()));
  out.zeros(4);
  for (const auto& entry : top.retention_keys) {
    out.u8(entry.retention_class.value);
    out.u16(entry.month.value);
    out.bytes(entry.key.bytes);
  }
  for (std::uint32_t number = 0; const auto& page : top.pages) {
    out.u32(number++);
    out.u64(page.generation);
    out.u16(page.slots);
    out.bytes(page.key.bytes);
  }
  for (const auto& kept : top.kept_keys) {
    out.bytes(kept.file);
    out.bytes(kept.key.bytes);
    out.u64(kept.erasures);
  }
  CHECK(payload.size() == size);
  return payload;
}

Result<Top> decode_top_payload(ByteView payload, std::uint64_t sequence, std::uint32_t version) {
  ByteReader in(payload);
  Top top;
  top.sequence = sequence;
  top.wrap_key.bytes = in.array<32>();
  top.purpose_secret.bytes = in.array<32>();
  top.subject_secret.bytes = in.array<32>();
  top.erasures = in.u64();
  top.journal_digest = in.array<32>();
  const auto retention_keys = in.u32();
  const auto pages = in.u32();
  const auto kept_keys = version == 1 ? 0 : in.u32();
  const bool reserved = version == 1 || in.zeros(4);
  // The counts are held against the length before anything is reserved for them.
  if (!in.ok() || !reserved || retention_keys > limits::retention_keys_max || pages > limits::pages_max ||
      kept_keys > limits::kept_keys_max ||
      payload.size() != payload_bytes(version, retention_keys, pages, kept_keys))
    return damaged(top_path, top_header_bytes, "the counts in its payload do not fit the payload's length");
  if (top.erasures == 0 && top.journal_digest != Hash{})
    return damaged(top_path, top_header_bytes, "it names the digest of an erasure but counts none");
  top.retention_keys.resize(retention_keys);
  for (auto& entry : top.retention_keys) {
    entry.retention_class = RetentionClass{in.u8()};
    entry.month = Month{in.u16()};
    entry.key.bytes = in.array<32>();
  }
  if (!ascending(top.retention_keys))
    return damaged(top_path, top_header_bytes, "its retention keys are not in ascending order");
  top.pages.resize(pages);
  for (std::uint32_t number = 0; auto& page : top.pages) {
    if (in.u32() != number++)
      return damaged(top_path, top_header_bytes, "its pages are not numbered in order");
    page.generation = in.u64();
    page.slots = in.u16();
    page.key.bytes = in.array<32>();
  }
  if (!consistent_pages(top.pages, sequence))
    return damaged(top_path, top_header_bytes, "a page's generation or number of slots cannot be");
  top.kept_keys.resize(kept_keys);
  for (auto& kept : top.kept_keys) {
    kept.file = in.array<16>();
    kept.key.bytes = in.array<32>();
    kept.erasures = in.u64();
  }
  if (!consistent_kept(top.kept_keys, top.erasures))
    return damaged(top_path, top_header_bytes,
                   "its kept keys are not in ascending order, or name an erasure that was not");
  CHECK(in.at_end());
  return top;
}

Bytes encode_top(const Top& top, const TopSalt& salt, const Key& root) {
  CHECK(top.sequence != 0);
  SecretBytes payload;
  payload.bytes = encode_top_payload(top);
  Bytes file;
  file.reserve(top_header_bytes + payload.bytes.size() + crypto::tag_bytes + digest_bytes);
  ByteWriter out(file);
  out.bytes(view(top_magic));
  out.u32(top_version);
  out.zeros(4);
  out.u64(top.sequence);
  out.bytes(top.vault_id);
  out.bytes(salt);
  out.u32(static_cast<std::uint32_t>(payload.bytes.size() + crypto::tag_bytes));
  out.zeros(4);
  CHECK(file.size() == top_header_bytes);
  const auto key = top_key(root, top.vault_id, salt);
  const auto sealed = crypto::Aead(key.bytes).seal(zero_nonce, file, payload.bytes);
  out.bytes(sealed);
  close_container(file);
  return file;
}

Result<Top> decode_top(ByteView file, const Key& root) {
  VESTIGE_TRY(const auto header, read_header(file));
  const auto sealed = file.subspan(top_header_bytes, file.size() - top_header_bytes - digest_bytes);
  const auto key = top_key(root, header.vault_id, header.salt);
  SecretBytes payload(sealed.size() - crypto::tag_bytes);
  if (!crypto::Aead(key.bytes).open(zero_nonce, file.first(top_header_bytes), sealed, payload.bytes))
    return fail(
        ErrorKind::denied,
        "The root key does not open the vault: its top table is intact, and another root key wrote it. "
        "Give the root key that this vault was made with; without it the data cannot be read.");
  VESTIGE_TRY(auto top, decode_top_payload(payload.bytes, header.sequence, header.version));
  top.vault_id = header.vault_id;
  return top;
}

Status check_top_container(ByteView bytes) {
  VESTIGE_CHECKED(read_header(bytes));
  return {};
}

}  // namespace vestige::vault
