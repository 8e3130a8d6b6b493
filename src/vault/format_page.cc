// Pages of subject slots: docs/formats/vault.md, "Page".
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/aead.h"
#include "vault/format.h"
#include "vault/internal/container.h"

namespace vestige::vault {

namespace {

constexpr std::size_t number_digits = 8;
constexpr std::size_t generation_digits = 16;
constexpr std::size_t slot_tail_reserved_bytes = 24;
constexpr crypto::Nonce zero_nonce{};  // each key encrypts one message

template <std::size_t N>
bool all_zero(const std::array<std::uint8_t, N>& bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

// Empty where state, epoch, ref, key and erasure agree; else what is wrong.
std::string_view disagreement(const Slot& slot) {
  const bool erased_once = slot.erased_by != no_entry;
  switch (slot.state) {
    case SubjectState::active:
      if (slot.epoch != 0 || erased_once) return "an active subject was never erased";
      break;
    case SubjectState::erased:
      if (!erased_once) return "an erased subject names its erasure";
      if (!all_zero(slot.ref) || !all_zero(slot.key.bytes))
        return "an erased subject has neither ref nor key";
      return {};
    case SubjectState::reauthorised:
      if (slot.epoch == 0 || !erased_once) return "a re-authorised subject was erased before";
      break;
    case SubjectState::never:
      return "a slot's state is 1, 2 or 3";
  }
  return all_zero(slot.ref) ? "a subject with a key has a ref" : std::string_view();
}

void write_slot(ByteWriter& out, const Slot& slot) {
  CHECK(disagreement(slot).empty());
  out.u8(static_cast<std::uint8_t>(slot.state));
  out.zeros(3);
  out.u32(slot.epoch);
  out.bytes(slot.ref);
  out.bytes(slot.subject);
  out.bytes(slot.key.bytes);
  out.u64(static_cast<std::uint64_t>(slot.created.value));
  out.u64(slot.erased_by);
  out.zeros(slot_tail_reserved_bytes);
}

Result<Slot> read_slot(ByteReader& in, const std::string& file, std::size_t offset) {
  const auto state = in.u8();
  const bool head_reserved = in.zeros(3);
  Slot slot;
  slot.epoch = in.u32();
  slot.ref = in.array<16>();
  slot.subject = in.array<32>();
  slot.key.bytes = in.array<32>();
  slot.created = UnixMs{static_cast<std::int64_t>(in.u64())};
  slot.erased_by = in.u64();
  if (!head_reserved || !in.zeros(slot_tail_reserved_bytes))
    return damaged(file, offset, "a reserved byte of a slot is not zero");
  slot.state = state > static_cast<std::uint8_t>(SubjectState::reauthorised)
                   ? SubjectState::never
                   : static_cast<SubjectState>(state);
  if (const auto wrong = disagreement(slot); !wrong.empty()) return damaged(file, offset, wrong);
  return slot;
}

void write_header(ByteWriter& out, const PageHeader& header) {
  out.bytes(view(page_magic));
  out.u32(format_version);
  out.u32(header.name.number);
  out.u64(header.name.generation);
  out.bytes(header.vault_id);
  out.u16(header.slots);
  out.zeros(6);
  CHECK(out.size() == page_header_bytes);
}

// Structure and digest, without a key.
Result<PageHeader> read_header(ByteView bytes, const std::string& file) {
  VESTIGE_TRY(const auto content, open_container(file, bytes, page_magic));
  ByteReader in(content);
  in.bytes(page_magic.size() + sizeof format_version);
  PageHeader header;
  header.name.number = in.u32();
  header.name.generation = in.u64();
  header.vault_id = in.array<16>();
  header.slots = in.u16();
  if (!in.zeros(6)) return damaged(file, page_header_bytes - 6, "a reserved byte is not zero");
  if (header.slots == 0 || header.slots > limits::page_slots_max)
    return damaged(file, 40,
                   fmt::format("a page has 1 to {} slots, not {}", limits::page_slots_max, header.slots));
  const auto expected = header.slots * slot_bytes + crypto::tag_bytes;
  if (in.left() != expected)
    return damaged(
        file, page_header_bytes,
        fmt::format("{} slots take {} bytes, and {} are there", header.slots, expected, in.left()));
  return header;
}

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char digit : digits) {
    const bool decimal = digit >= '0' && digit <= '9';
    if (!decimal && (digit < 'a' || digit > 'f')) return std::nullopt;
    value = value * 16 + static_cast<std::uint64_t>(decimal ? digit - '0' : digit - 'a' + 10);
  }
  return value;
}

}  // namespace

std::string page_path(const PageName& name) {
  return fmt::format("{}/{:08x}-{:016x}.page", pages_directory, name.number, name.generation);
}

std::optional<PageName> parse_page_path(std::string_view path) {
  constexpr std::string_view prefix = "pages/";
  constexpr std::string_view suffix = ".page";
  if (path.size() != prefix.size() + number_digits + 1 + generation_digits + suffix.size())
    return std::nullopt;
  if (!path.starts_with(prefix) || !path.ends_with(suffix)) return std::nullopt;
  const auto middle = path.substr(prefix.size(), number_digits + 1 + generation_digits);
  if (middle[number_digits] != '-') return std::nullopt;
  const auto number = parse_hex(middle.substr(0, number_digits));
  const auto generation = parse_hex(middle.substr(number_digits + 1));
  if (!number || !generation) return std::nullopt;
  return PageName{static_cast<std::uint32_t>(*number), *generation};
}

Bytes encode_slots(std::span<const Slot> slots) {
  CHECK(!slots.empty() && slots.size() <= limits::page_slots_max);
  Bytes payload;
  payload.reserve(slots.size() * slot_bytes + crypto::tag_bytes);  // once: growing would leave keys behind
  ByteWriter out(payload);
  for (const auto& slot : slots) write_slot(out, slot);
  CHECK(payload.size() == slots.size() * slot_bytes);
  return payload;
}

Result<std::vector<Slot>> decode_slots(ByteView payload, const std::string& file) {
  const auto count = payload.size() / slot_bytes;
  if (payload.size() % slot_bytes != 0 || count == 0 || count > limits::page_slots_max)
    return damaged(file, page_header_bytes, "its content is not 1 to 512 slots of 128 bytes");
  ByteReader in(payload);
  std::vector<Slot> slots;
  slots.reserve(limits::page_slots_max);  // a page grows to its limit; see SecretBytes
  for (std::size_t at = 0; at < count; ++at) {
    VESTIGE_TRY(auto slot, read_slot(in, file, page_header_bytes + at * slot_bytes));
    slots.push_back(slot);
  }
  return slots;
}

Bytes encode_page(const PageName& name, const Block16& vault_id, std::span<const Slot> slots,
                  const Key& key) {
  SecretBytes payload;
  payload.bytes = encode_slots(slots);
  Bytes file;
  file.reserve(page_bytes_max);
  ByteWriter out(file);
  write_header(out, {name, vault_id, static_cast<std::uint16_t>(slots.size())});
  const auto sealed = crypto::Aead(key).seal(zero_nonce, file, payload.bytes);
  out.bytes(sealed);
  close_container(file);
  return file;
}

Result<std::vector<Slot>> decode_page(ByteView file, const PageHeader& expected, const Key& key) {
  const auto name = page_path(expected.name);
  VESTIGE_TRY(const auto header, read_header(file, name));
  if (header != expected)
    return damaged(name, page_magic.size(),
                   "it is not the page that the top table names: its number, "
                   "generation, vault or number of slots is another one");
  const auto sealed = file.subspan(page_header_bytes, file.size() - page_header_bytes - digest_bytes);
  SecretBytes payload(sealed.size() - crypto::tag_bytes);
  if (!crypto::Aead(key).open(zero_nonce, file.first(page_header_bytes), sealed, payload.bytes))
    return damaged(name, page_header_bytes, "the key in the top table does not open it");
  return decode_slots(payload.bytes, name);
}

Status check_page_container(const std::string& path, ByteView bytes) {
  VESTIGE_TRY(const auto header, read_header(bytes, path));
  if (header.name != parse_page_path(path))
    return damaged(path, 12,
                   fmt::format("its name says another page than its header, {}", page_path(header.name)));
  return {};
}

}  // namespace vestige::vault
