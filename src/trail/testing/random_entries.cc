#include "trail/testing/random_entries.h"

#include <map>

#include "base/encoding.h"
#include "base/time_text.h"
#include "base/uuid.h"
#include "json/json.h"

namespace vestige::trail::testing {
namespace {

struct CanonicalLess {
  bool operator()(const std::string& a, const std::string& b) const { return json::canonical_less(a, b); }
};
using Members = std::map<std::string, std::string, CanonicalLess>;

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string object_of(const Members& members) {
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    out += quoted(key) + ":" + value;
  }
  return out + "}";
}

// Keys around those of the schema: escaped ones sort elsewhere by their bytes than by their characters.
constexpr std::string_view odd_keys[] = {
    "",     "a",        "kin\"d",       "ki\nnd",           "id\\",        "salt\t", "\"",
    "\x01", "source\"", "changes",      "context",          "detail",      "n",      "v",
    "zz",   "\xc3\xa9", "\xee\x80\x80", "\xf0\x9f\x98\x80", "\xe2\x82\xac"};

std::string random_time(Random& random) {
  const auto span = static_cast<std::uint64_t>(time_max.value - time_min.value);
  const auto near = static_cast<std::int64_t>(1'700'000'000'000 + random.below(100'000'000));
  const auto any = time_min.value + static_cast<std::int64_t>(random.below(span));
  return quoted(format_time(UnixMs{random.chance(80) ? near : any}));
}

// A value that looks like the column's and is not in its form.
std::string other_form(Random& random, ColumnType type) {
  switch (random.below(4)) {
    case 0:
      return random_value(random, 2);
    case 1:
      return "\"\"";
    case 2:
      if (type == ColumnType::uuid) return "\"0191D3F4-7A5B-7C00-8000-00000000ABCD\"";
      if (type == ColumnType::time) return "\"2026-11-25T14:40:11.2130Z\"";
      return "\"AAAAAAAAAAAAAAAAAAAAAB==\"";  // base64 with stray bits
    default:
      if (type == ColumnType::time) return "\"2026-11-25T14:40:11+00:00\"";
      return "\"AAAAAAAAAAAAAAAAAAAA\"";
  }
}

std::string column_value(Random& random, const Column& column, const Block16& salt) {
  switch (column.type) {
    case ColumnType::uuid:
      return quoted(format_uuid(Uuid{random.array<16>()}));
    case ColumnType::time:
      return random_time(random);
    case ColumnType::text:
      return random.chance(70) ? quoted("kind-" + std::to_string(random.below(5)))
                               : quoted(random_text(random));
    case ColumnType::salt:
      return quoted(to_base64(random.chance(90) ? salt : random.array<16>()));
    case ColumnType::bytes:
      return quoted(to_base64(random.bytes(column.size)));
  }
  return "null";
}

}  // namespace

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

Bytes Random::bytes(std::size_t size) {
  Bytes out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(next());
  return out;
}

Schema test_schema() {
  return {{"action", ColumnType::text},   {"id", ColumnType::uuid},       {"kind", ColumnType::text},
          {"mac", ColumnType::bytes, 16}, {"one", ColumnType::bytes, 1},  {"receivedAt", ColumnType::time},
          {"salt", ColumnType::salt},     {"sourceId", ColumnType::text}, {"tenant", ColumnType::text},
          {"time", ColumnType::time},     {"wide", ColumnType::bytes, 64}};
}

std::string random_text(Random& random) {
  constexpr std::string_view pieces[] = {
      "a",        "Z9", "\"",   "\\",           "\\\\\"",           "\n", "\x01\x1f",    "{", "}", "[,]", ":",
      "\xc3\xa9", "/",  "\x7f", "\xe2\x80\xa8", "\xf0\x9f\x98\x80", "\t", "\",\"x\":\"", " "};
  std::string out;
  for (auto left = random.below(8); left > 0; --left) out += pieces[random.below(std::size(pieces))];
  return out;
}

std::string random_value(Random& random, unsigned depth) {
  const auto kind = random.below(depth == 0 ? 5 : 7);
  if (kind == 0) return "null";
  if (kind == 1) return random.chance(50) ? "true" : "false";
  if (kind == 2) return std::to_string(static_cast<std::int64_t>(random.below(2'000'000)) - 1'000'000);
  if (kind == 3) return random.chance(50) ? "1.5e-7" : "333333333.3333333";
  if (kind == 4) return quoted(random_text(random));
  if (kind == 5) {
    std::string out = "[";
    for (auto left = random.below(4); left > 0; --left) {
      if (out.size() > 1) out += ',';
      out += random_value(random, depth - 1);
    }
    return out + "]";
  }
  Members members;
  for (auto left = random.below(4); left > 0; --left)
    members[random_text(random)] = random_value(random, depth - 1);
  return object_of(members);
}

std::string random_entry(Random& random, const Block16& salt) {
  Members members;
  if (random.chance(2)) return "{}";
  const bool plain = random.chance(60);
  for (const auto& column : test_schema()) {
    if (!plain && random.chance(30)) continue;
    const bool other = !plain && random.chance(15);
    members[column.name] = other ? other_form(random, column.type) : column_value(random, column, salt);
  }
  for (auto left = random.below(plain ? 3 : 8); left > 0; --left)
    members[std::string(odd_keys[random.below(std::size(odd_keys))])] = random_value(random, 3);
  return object_of(members);
}

}  // namespace vestige::trail::testing
