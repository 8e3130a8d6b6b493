#include "verify/internal/entry_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace vestige::verify {
namespace {

// Every entry has these.
constexpr std::array<std::string_view, 9> required{"action", "id",     "kind", "receivedAt", "salt",
                                                   "schema", "tenant", "time", "v"};
constexpr unsigned all_required = (1U << required.size()) - 1;

std::string_view between_quotes(std::string_view value) {
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view();
}

bool is_base64_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// Base64 of 16 bytes: 22 characters, the last of which carries two bits, and the padding.
bool is_salt(std::string_view inner) {
  return inner.size() == 24 && inner.ends_with("==") &&
         std::ranges::all_of(inner.substr(0, 22), is_base64_character) &&
         std::string_view("AQgw").find(inner[21]) != std::string_view::npos;
}

bool take_id(std::string_view inner, Uuid& id) {
  const auto uuid = parse_uuid(inner);
  if (!uuid) return false;
  char again[uuid_text_size];
  write_uuid(*uuid, again);
  id = *uuid;
  return inner == std::string_view(again, sizeof again);
}

bool is_integer(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

std::string missing(unsigned seen) {
  std::size_t number = 0;
  while ((seen >> number & 1) != 0) ++number;
  return fmt::format("the entry has no member \"{}\"", required[number]);
}

}  // namespace

bool EntryChecker::is_time(std::string_view value) {
  const auto inner = between_quotes(value);
  if (inner.size() != time_text_size) return false;
  if (std::ranges::equal(inner, last_time_)) return true;
  const auto time = parse_time(inner);
  if (!time) return false;
  write_time(*time, last_time_.data());
  return std::ranges::equal(inner, last_time_);
}

bool EntryChecker::take(const CanonicalScanner::Member& member, EntryFacts& facts) {
  const auto value = member.value;
  if (member.key == "sealed") {
    facts.sealed = value;
    return value.front() == '[';
  }
  const auto* const found = std::ranges::find(required, member.key);
  if (found == required.end()) return true;
  seen_ |= 1U << (found - required.begin());
  switch (member.key.front()) {
    case 'i':
      return take_id(between_quotes(value), facts.id);
    case 'r':
      facts.received_at = between_quotes(value);
      return is_time(value);
    case 's':
      return member.key == "salt" ? is_salt(between_quotes(value)) : is_integer(value);
    case 't':
      return member.key == "tenant" ? value == tenant_ : is_time(value);
    case 'v':
      return value == "1";
    default:
      return value.front() == '"';
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
