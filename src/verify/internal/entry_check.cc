#include "verify/internal/entry_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vestige::verify {
namespace {

// Members that every entry has, by bit.
constexpr std::array<std::string_view, 9> required{"action", "id",     "kind", "receivedAt", "salt",
                                                   "schema", "tenant", "time", "v"};
constexpr unsigned all_required = (1U << required.size()) - 1;
enum Bit : unsigned { action, id, kind, received_at, salt, schema, tenant, time, version };

std::string_view between_quotes(std::string_view value) {
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view();
}

constexpr std::array<bool, 256> base64_characters = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
    table[static_cast<std::uint8_t>(c)] = true;
  return table;
}();

constexpr std::uint8_t no_digit = 0x80;
constexpr std::array<std::uint8_t, 256> lowercase_hex = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_digit);
  for (std::uint8_t i = 0; i < 16; ++i) table[static_cast<std::uint8_t>("0123456789abcdef"[i])] = i;
  return table;
}();

// Base64 of 16 bytes: 22 characters, the last of which carries two bits, and the padding.
bool is_salt(std::string_view inner) {
  if (inner.size() != 24 || inner[22] != '=' || inner[23] != '=') return false;
  bool all = true;
  for (std::size_t i = 0; i < 22; ++i) all = all && base64_characters[static_cast<std::uint8_t>(inner[i])];
  const char last = inner[21];
  return all && (last == 'A' || last == 'Q' || last == 'g' || last == 'w');
}

bool is_integer(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_string(std::string_view value) { return value.front() == '"'; }

std::string missing(unsigned seen) {
  std::size_t number = 0;
  while ((seen >> number & 1) != 0) ++number;
  return fmt::format("the entry has no member \"{}\"", required[number]);
}

}  // namespace

bool is_canonical_time(std::string_view text) {
  constexpr std::string_view form = "0000-00-00T00:00:00.000Z";
  constexpr std::array<unsigned, 13> days{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (text.size() != form.size()) return false;
  bool fits = true;
  for (std::size_t i = 0; i < form.size(); ++i)
    fits = fits && (form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i]);
  if (!fits) return false;
  const auto two = [text](std::size_t at) {
    return static_cast<unsigned>(text[at] - '0') * 10 + static_cast<unsigned>(text[at + 1] - '0');
  };
  const auto year = two(0) * 100 + two(2);
  const auto month = two(5);
  const auto day = two(8);
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month] && (month != 2 || day < 29 || leap) &&
         two(11) < 24 && two(14) < 60 && two(17) < 60;
}

bool take_canonical_uuid(std::string_view text, Uuid& uuid) {
  constexpr std::array<std::uint8_t, 16> places{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
  if (text.size() != uuid_text_size || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
      text[23] != '-')
    return false;
  unsigned seen = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const unsigned high = lowercase_hex[static_cast<std::uint8_t>(text[places[i]])];
    const unsigned low = lowercase_hex[static_cast<std::uint8_t>(text[places[i] + std::size_t{1}])];
    seen |= high | low;
    uuid.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return (seen & no_digit) == 0;
}

// The keys are told apart by their lengths first: most members of an entry are none of these.
bool EntryChecker::take(const CanonicalScanner::Member& member, EntryFacts& facts) {
  const auto key = member.key;
  const auto value = member.value;
  const auto saw = [this](Bit bit) {
    seen_ |= 1U << bit;
    return true;
  };
  switch (key.size()) {
    case 1:
      return key != "v" || (saw(version) && value == "1");
    case 2:
      return key != "id" || (saw(id) && take_canonical_uuid(between_quotes(value), facts.id));
    case 4:
      if (key == "kind") facts.kind = value;
      if (key == "kind") return saw(kind) && is_string(value);
      if (key == "salt") facts.salt = between_quotes(value);
      if (key == "salt") return saw(salt) && is_salt(facts.salt);
      return key != "time" || (saw(time) && is_canonical_time(between_quotes(value)));
    case 6:
      if (key == "action") facts.action = value;
      if (key == "action") return saw(action) && is_string(value);
      if (key == "detail") facts.detail = value;
      if (key == "schema") return saw(schema) && is_integer(value);
      if (key == "tenant") return saw(tenant) && value == tenant_;
      if (key == "sealed") facts.sealed = value;
      return key != "sealed" || value.front() == '[';
    case 10:
      if (key != "receivedAt") return true;
      facts.received_at = between_quotes(value);
      return saw(received_at) && is_canonical_time(facts.received_at);
    default:
      return true;
  }
}

std::optional<std::string> EntryChecker::check(std::string_view entry, EntryFacts& facts) {
  facts = {};
  seen_ = 0;
  if (!scanner_.scan(entry))
    return fmt::format("the entry is not canonical JSON (at its byte {})", scanner_.bad_at());
  for (const auto& member : scanner_.members())
    if (!take(member, facts))
      return fmt::format("the entry's member \"{}\" is not what the format says", member.key);
  if (seen_ != all_required) return missing(seen_);
  return std::nullopt;
}

}  // namespace vestige::verify
