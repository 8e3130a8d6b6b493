// The erasure journal: docs/formats/vault.md, "erased". And check_container(), which knows all files.
#include <fmt/format.h>

#include "base/check.h"
#include "crypto/digest.h"
#include "vault/format.h"
#include "vault/internal/container.h"

namespace vestige::vault {

namespace {

constexpr std::size_t mac_at = 96;
constexpr std::size_t digest_at = 128;

// The part of a record that its mac covers.
Bytes record_head(const ErasureRecord& record, std::uint64_t number) {
  Bytes head;
  head.reserve(journal_record_bytes);
  ByteWriter out(head);
  out.u64(number);
  out.bytes(record.tenant);
  out.bytes(record.subject);
  out.u32(record.epoch);
  out.zeros(4);
  out.u64(record.entry);
  out.u64(static_cast<std::uint64_t>(record.time.value));
  CHECK(head.size() == mac_at);
  return head;
}

Hash record_mac(const crypto::HmacKey& key, const Block16& vault_id, const Hash& previous, ByteView head) {
  return key.mac({ByteView(vault_id), ByteView(previous), head});
}

Result<ErasureRecord> read_record(ByteView bytes, std::uint64_t number, std::uint64_t offset) {
  ByteReader in(bytes);
  if (in.u64() != number)
    return damaged(journal_path, offset, fmt::format("record {} carries another number", number));
  ErasureRecord record;
  record.tenant = in.array<32>();
  record.subject = in.array<32>();
  record.epoch = in.u32();
  if (!in.zeros(4)) return damaged(journal_path, offset + 76, "a reserved byte is not zero");
  record.entry = in.u64();
  record.time = UnixMs{static_cast<std::int64_t>(in.u64())};
  return record;
}

}  // namespace

Bytes encode_journal_header(const Block16& vault_id) {
  Bytes header;
  ByteWriter out(header);
  out.bytes(view(journal_magic));
  out.u32(format_version);
  out.zeros(4);
  out.bytes(vault_id);
  close_container(header);
  CHECK(header.size() == journal_header_bytes);
  return header;
}

Bytes encode_erasure(const ErasureRecord& record, std::uint64_t number, const Block16& vault_id,
                     const Hash& previous, const Key& journal_key) {
  auto bytes = record_head(record, number);
  const auto mac = record_mac(crypto::HmacKey(journal_key), vault_id, previous, bytes);
  bytes.insert(bytes.end(), mac.begin(), mac.end());
  const auto digest = crypto::sha256({ByteView(previous), ByteView(bytes)});
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  CHECK(bytes.size() == journal_record_bytes);
  return bytes;
}

Result<Journal> decode_journal(ByteView file) {
  if (file.size() < journal_header_bytes)
    return damaged(journal_path, file.size(), "it ends there, inside its header");
  VESTIGE_TRY(const auto content,
              open_container(journal_path, file.first(journal_header_bytes), journal_magic));
  ByteReader in(content);
  in.bytes(journal_magic.size() + sizeof format_version);
  if (!in.zeros(4)) return damaged(journal_path, 12, "a reserved byte is not zero");
  Journal journal;
  journal.vault_id = in.array<16>();
  Hash previous = load_le<Hash>(file.data() + content.size());
  journal.digests.push_back(previous);

  const auto body = file.subspan(journal_header_bytes);
  const auto count = body.size() / journal_record_bytes;
  if (count > limits::journal_records_max)
    return damaged(
        journal_path, journal_header_bytes,
        fmt::format("it has more than the {} records that a journal can have", limits::journal_records_max));
  for (std::size_t number = 0; number < count; ++number) {
    const auto offset = journal_header_bytes + number * journal_record_bytes;
    const auto bytes = file.subspan(offset, journal_record_bytes);
    const auto digest = load_le<Hash>(bytes.data() + digest_at);
    if (digest != crypto::sha256({ByteView(previous), bytes.first(digest_at)}))
      return damaged(journal_path, offset + digest_at,
                     fmt::format("the digest of record {} is not that of the bytes before it", number));
    VESTIGE_TRY(const auto record, read_record(bytes, number, offset));
    journal.records.push_back(record);
    journal.macs.push_back(load_le<Hash>(bytes.data() + mac_at));
    journal.digests.push_back(digest);
    previous = digest;
  }
  journal.left_over_bytes = body.size() % journal_record_bytes;
  return journal;
}

Status check_journal_macs(const Journal& journal, const Key& journal_key) {
  const crypto::HmacKey key(journal_key);
  for (std::size_t number = 0; number < journal.records.size(); ++number) {
    const auto head = record_head(journal.records[number], number);
    const auto mac = record_mac(key, journal.vault_id, journal.digests[number], head);
    if (!crypto::constant_time_equal(mac, journal.macs[number]))
      return damaged(journal_path, journal_header_bytes + number * journal_record_bytes + mac_at,
                     fmt::format("record {} was not written by this vault", number));
  }
  return {};
}

Status check_container(const std::string& name, ByteView bytes) {
  if (name == top_path) return check_top_container(bytes);
  if (parse_page_path(name)) return check_page_container(name, bytes);
  if (name == journal_path) {
    VESTIGE_CHECKED(decode_journal(bytes));
    return {};
  }
  return fail(ErrorKind::invalid,
              fmt::format("{} is not the name of a file that can be checked: that is {}, {} or "
                          "a page below {}/.",
                          name, top_path, journal_path, pages_directory));
}

}  // namespace vestige::vault
