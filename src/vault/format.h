// The bytes of the vault directory (docs/formats/vault.md): pure encoders and decoders, and the read-only
// look at a whole vault that the offline verifier takes. Nothing here writes a file.
//
// Decoders take any bytes: they never read past the end, and give `corrupt` with file and offset where the
// bytes are not what an encoder makes. Where one succeeds, encoding the result gives the same bytes again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"
#include "platform/files.h"
#include "vault/limits.h"
#include "vault/secret.h"
#include "vault/vault.h"

namespace vestige::vault {

inline constexpr std::uint32_t format_version = 1;  // of pages and the journal
inline constexpr std::uint32_t top_version = 2;
inline constexpr std::string_view top_magic = "VSTGVTOP";
inline constexpr std::string_view page_magic = "VSTGVPAG";
inline constexpr std::string_view journal_magic = "VSTGVERA";

inline constexpr std::size_t top_header_bytes = 80;
inline constexpr std::size_t top_fixed_payload_bytes = 152;
inline constexpr std::size_t top_fixed_payload_bytes_v1 = 144;
inline constexpr std::size_t retention_key_bytes = 35;
inline constexpr std::size_t page_entry_bytes = 46;
inline constexpr std::size_t kept_key_bytes = 56;
inline constexpr std::size_t page_header_bytes = 48;
inline constexpr std::size_t slot_bytes = 128;
inline constexpr std::size_t journal_header_bytes = 64;
inline constexpr std::size_t journal_record_bytes = 160;
inline constexpr std::size_t digest_bytes = 32;

inline constexpr std::size_t top_bytes_max =
    top_header_bytes + top_fixed_payload_bytes + retention_key_bytes * limits::retention_keys_max +
    page_entry_bytes * limits::pages_max + kept_key_bytes * limits::kept_keys_max + 16 + digest_bytes;
inline constexpr std::size_t page_bytes_max =
    page_header_bytes + slot_bytes * limits::page_slots_max + 16 + digest_bytes;
static_assert(page_bytes_max == 65'632 && top_bytes_max == 8'978'712);

inline constexpr const char* top_path = "top";
inline constexpr const char* pages_directory = "pages";
inline constexpr const char* journal_path = "erased";
inline constexpr std::uint64_t no_entry = ~std::uint64_t{0};

// ---- pages

struct Slot {
  SubjectState state = SubjectState::active;  // never `never`
  std::uint32_t epoch = 0;
  Block16 ref{};
  Hash subject{};  // the subject hash
  SecretKey key;
  UnixMs created{};
  std::uint64_t erased_by = no_entry;

  bool has_key() const { return state != SubjectState::erased; }
  bool operator==(const Slot&) const = default;
};

struct PageName {
  std::uint32_t number = 0;
  std::uint64_t generation = 0;
  auto operator<=>(const PageName&) const = default;
};
std::string page_path(const PageName& name);                     // "pages/0000002a-0000000000000007.page"
std::optional<PageName> parse_page_path(std::string_view path);  // that spelling only

struct PageHeader {
  PageName name;
  Block16 vault_id{};
  std::uint16_t slots = 0;
  bool operator==(const PageHeader&) const = default;
};

// `slots` are 1 to page_slots_max, and `key` encrypts nothing else, ever.
Bytes encode_page(const PageName& name, const Block16& vault_id, std::span<const Slot> slots, const Key& key);
// `expected` is what the top table says of the page.
Result<std::vector<Slot>> decode_page(ByteView file, const PageHeader& expected, const Key& key);

// The encrypted part, in the clear; for the two above and for the fuzzer.
Bytes encode_slots(std::span<const Slot> slots);
Result<std::vector<Slot>> decode_slots(ByteView payload, const std::string& file);

// ---- top

struct RetentionKey {
  RetentionClass retention_class{};
  Month month{};
  SecretKey key;
  bool operator==(const RetentionKey&) const = default;
};

// The page's number is its position.
struct PageEntry {
  std::uint64_t generation = 0;
  std::uint16_t slots = 0;
  SecretKey key;
  bool operator==(const PageEntry&) const = default;
};

// A key that is nowhere else. `erasures`: the file holds nothing that the first so many of them took.
struct KeptEntry {
  Block16 file{};
  SecretKey key;
  std::uint64_t erasures = 0;
  bool operator==(const KeptEntry&) const = default;
};

struct Top {
  std::uint64_t sequence = 0;
  Block16 vault_id{};
  SecretKey wrap_key, purpose_secret, subject_secret;
  std::uint64_t erasures = 0;
  Hash journal_digest{};
  std::vector<RetentionKey> retention_keys;  // ascending by (class, month)
  std::vector<PageEntry> pages;
  std::vector<KeptEntry> kept_keys;  // ascending by file
  bool operator==(const Top&) const = default;
};

using TopSalt = std::array<std::uint8_t, 32>;
Bytes encode_top(const Top& top, const TopSalt& salt, const Key& root);
// denied where the root key is another one.
Result<Top> decode_top(ByteView file, const Key& root);

Bytes encode_top_payload(const Top& top);
// Sets everything but sequence (which the pages' generations are checked against) and vault id.
Result<Top> decode_top_payload(ByteView payload, std::uint64_t sequence, std::uint32_t version = top_version);

// ---- the erasure journal

struct ErasureRecord {
  Hash tenant{};   // the tenant hash
  Hash subject{};  // the subject hash
  std::uint32_t epoch = 0;
  std::uint64_t entry = 0;
  UnixMs time{};
  bool operator==(const ErasureRecord&) const = default;
};

struct Journal {
  Block16 vault_id{};
  std::vector<ErasureRecord> records;
  std::vector<Hash> macs;           // of each record, unchecked
  std::vector<Hash> digests;        // of the header, then of each record
  std::size_t left_over_bytes = 0;  // of an interrupted append
};

Bytes encode_journal_header(const Block16& vault_id);
// Record number `number`; `previous` is the digest of the header or of the record before.
Bytes encode_erasure(const ErasureRecord& record, std::uint64_t number, const Block16& vault_id,
                     const Hash& previous, const Key& journal_key);
Result<Journal> decode_journal(ByteView file);
// corrupt where a record was not written by the owner of the journal key.
Status check_journal_macs(const Journal& journal, const Key& journal_key);

// ---- derived

Hash subject_hash(const crypto::HmacKey& subject_secret, std::string_view tenant, std::string_view subject);
Hash tenant_hash(const crypto::HmacKey& subject_secret, std::string_view tenant);
Key derive_purpose_key(const Key& purpose_secret, std::string_view purpose, std::string_view tenant);
Key derive_journal_key(const Key& purpose_secret);
Bytes wrap_key(const Key& wrapping, const Key& key, std::string_view context,
               const std::array<std::uint8_t, 12>& nonce);
Result<Key> unwrap_key(const Key& wrapping, ByteView wrapped, std::string_view context);

// ---- for the verifier

// Checks structure and digest of a top table, page or journal without any key. `name` is the path in the
// vault directory; a name that is none of these is `invalid`.
Status check_container(const std::string& name, ByteView bytes);

struct RefHash {
  std::size_t operator()(const Block16& ref) const { return load_le<std::size_t>(ref.data()); }
};

// A whole vault at one moment, with its keys.
struct VaultImage {
  struct Owned {
    SecretKey key;
    SubjectState state = SubjectState::active;
  };
  struct Erased {
    Hash subject{};
    std::uint32_t epoch = 0;
    std::uint64_t entry = 0;  // index of the erasure entry
  };

  Top top;
  std::unordered_map<Block16, Owned, RefHash> owners;  // by ref
  std::vector<Erased> erased;                          // re-authorised subjects too, by their last erasure
  std::map<std::pair<RetentionClass, Month>, SecretKey> retention_keys;
  Journal journal;
  std::vector<std::string> left_overs;  // paths of interrupted writes; not damage
  std::vector<std::string> foreign;     // paths that are none of the vault's
};

// Reads and checks everything with the root key, beside a running server if there is one; writes nothing.
Result<VaultImage> read_vault(platform::FileSystem& files, const Key& root);

// Paths of `files` that are left-overs of interrupted writes under a top table that names `named`, and
// those that are none of the vault's.
struct StrayFiles {
  std::vector<std::string> left_overs, foreign;
};
Result<StrayFiles> find_stray_files(platform::FileSystem& files, const std::vector<PageEntry>& named);

}  // namespace vestige::vault
