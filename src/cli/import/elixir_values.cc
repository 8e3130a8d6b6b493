#include "cli/import/internal/elixir_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"

namespace vestige::cli::importing {
namespace {

using Kind = Term::Kind;

constexpr std::string_view struct_key = "__struct__";
constexpr std::string_view metadata_key = "__meta__";  // Ecto's own note about where a struct was read
constexpr std::size_t decimal_digits_max = 1'000;      // PostgreSQL's numeric has more in theory only
constexpr int microsecond_digits = 6;

std::string quoted(std::string_view text) {
  std::string json;
  json::append_quoted(json, text);
  return json;
}

std::string bytes_as_text(std::string_view bytes) {
  if (is_utf8(bytes) && bytes.find('\0') == std::string_view::npos) return std::string(bytes);
  return "\\x" + to_hex(view(bytes));
}

std::string json_of_number(double value) {
  std::string json;
  json::append_number(json, value);
  return json;
}

// As PostgreSQL's numbers become JSON: a number where that keeps every digit.
std::string number_or_text(const std::string& digits) {
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = error == std::errc{} && end == digits.data() + digits.size();
  return is_number && json_of_number(value) == digits ? digits : quoted(digits);
}

std::optional<std::int64_t> small_integer(const Term* term) {
  if (term == nullptr || term->kind != Kind::integer) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(term->text.data(), term->text.data() + term->text.size(), value);
  if (error != std::errc{} || end != term->text.data() + term->text.size()) return std::nullopt;
  return value;
}

// The members of a struct that are integers in these bounds; empty where one is not.
struct Member {
  std::string_view name;
  std::int64_t least, most;
};
template <std::size_t count>
std::optional<std::array<int, count>> integers(const Term& value, const std::array<Member, count>& members) {
  std::array<int, count> found{};
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = small_integer(value.find(members[i].name));
    if (!number || *number < members[i].least || *number > members[i].most) return std::nullopt;
    found[i] = static_cast<int>(*number);
  }
  return found;
}

std::optional<std::string> date_of(const Term& value) {
  const auto parts = integers<3>(value, {{{"year", 0, 9'999}, {"month", 1, 12}, {"day", 1, 31}}});
  if (!parts) return std::nullopt;
  return fmt::format("{:04}-{:02}-{:02}", (*parts)[0], (*parts)[1], (*parts)[2]);
}

// {microseconds, how many digits of them count}. PostgreSQL leaves zeros at the end out.
std::optional<std::string> fraction_of(const Term& value, Place place) {
  const auto* pair = value.find("microsecond");
  if (pair == nullptr || pair->kind != Kind::tuple || pair->items.size() != 2) return std::nullopt;
  const auto microseconds = small_integer(&pair->items[0]);
  const auto digits = small_integer(&pair->items[1]);
  if (!microseconds || *microseconds < 0 || *microseconds > 999'999 || !digits || *digits < 0 ||
      *digits > microsecond_digits)
    return std::nullopt;
  auto text = fmt::format(".{:06}", *microseconds);
  if (place == Place::inside)
    text.resize(*digits == 0 ? 0 : static_cast<std::size_t>(*digits) + 1);
  else
    text.erase(text.find_last_not_of(*microseconds == 0 ? ".0" : "0") + 1);
  return text;
}

std::optional<std::string> clock_of(const Term& value, Place place) {
  const auto parts = integers<3>(value, {{{"hour", 0, 23}, {"minute", 0, 59}, {"second", 0, 60}}});
  const auto fraction = fraction_of(value, place);
  if (!parts || !fraction) return std::nullopt;
  return fmt::format("{:02}:{:02}:{:02}{}", (*parts)[0], (*parts)[1], (*parts)[2], *fraction);
}

// Nothing behind a time of UTC in a column, since Ecto's columns have no zone.
std::optional<std::string> zone_of(const Term& value, Place place) {
  constexpr std::int64_t day_seconds = 86'400;
  const auto parts = integers<2>(
      value, {{{"utc_offset", -day_seconds, day_seconds}, {"std_offset", -day_seconds, day_seconds}}});
  if (!parts) return std::nullopt;
  const int seconds = (*parts)[0] + (*parts)[1];
  if (seconds == 0) return place == Place::inside ? "Z" : "";
  const int minutes = std::abs(seconds) / 60;
  return fmt::format("{}{:02}:{:02}", seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::optional<std::string> moment_of(const Term& value, Place place, bool has_zone) {
  const auto date = date_of(value);
  const auto clock = clock_of(value, place);
  const auto zone = has_zone ? zone_of(value, place) : std::string();
  if (!date || !clock || !zone) return std::nullopt;
  return *date + (place == Place::inside ? 'T' : ' ') + *clock + *zone;
}

// The digits with the point where PostgreSQL writes it.
std::optional<std::string> decimal_of(const Term& value) {
  const auto* coefficient = value.find("coef");
  const auto sign = small_integer(value.find("sign"));
  const auto exponent = small_integer(value.find("exp"));
  if (coefficient == nullptr || !sign || !exponent) return std::nullopt;
  const std::string minus = *sign < 0 ? "-" : "";
  if (coefficient->is_atom("NaN")) return "NaN";
  if (coefficient->is_atom("inf")) return minus + "Infinity";
  if (coefficient->kind != Kind::integer || coefficient->text.starts_with('-')) return std::nullopt;
  auto digits = coefficient->text;
  const auto places = static_cast<std::size_t>(*exponent < 0 ? 0 - static_cast<std::uint64_t>(*exponent)
                                                             : static_cast<std::uint64_t>(*exponent));
  if (digits.size() > decimal_digits_max || places > decimal_digits_max) return std::nullopt;
  if (*exponent >= 0) return minus + (digits == "0" ? digits : digits + std::string(places, '0'));
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  return minus + digits.insert(digits.size() - places, ".");
}

// The JSON of a struct whose meaning is known and that is whole; empty for any other one.
std::optional<std::string> json_of_struct(const Term& value, Place place) {
  const auto* name = value.find(struct_key);
  if (name == nullptr || name->kind != Kind::atom) return std::nullopt;
  std::optional<std::string> text;
  if (name->text == "Elixir.DateTime") text = moment_of(value, place, true);
  if (name->text == "Elixir.NaiveDateTime") text = moment_of(value, place, false);
  if (name->text == "Elixir.Date") text = date_of(value);
  if (name->text == "Elixir.Time") text = clock_of(value, place);
  if (name->text == "Elixir.Decimal") {
    text = decimal_of(value);
    if (text && place == Place::column) return number_or_text(*text);
  }
  return text ? std::optional(quoted(*text)) : std::nullopt;
}

std::string json_of(const Term& value, Place place);

std::string json_of_list(const Term& value) {
  std::string json = "[";
  for (const auto& item : value.items) {
    if (json.size() > 1) json += ',';
    json += json_of(item, Place::inside);
  }
  return json + "]";
}

// An atom and a text may have the same name; the second one gets a tick.
std::string json_of_map(const Term& value) {
  std::map<std::string, std::string, json::CanonicalLess> members;
  for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
    auto name = name_of_key(value.items[i]);
    if (name == struct_key || name == metadata_key) continue;
    while (members.contains(name)) name += '\'';
    members.emplace(std::move(name), json_of(value.items[i + 1], Place::inside));
  }
  std::string json = "{";
  for (const auto& [name, member] : members) {
    if (json.size() > 1) json += ',';
    json::append_quoted(json, name);
    json += ':' + member;
  }
  return json + "}";
}

std::string json_of(const Term& value, Place place) {
  switch (value.kind) {
    case Kind::atom:
      if (value.text == "nil") return "null";
      return value.text == "true" || value.text == "false" ? value.text : quoted(value.text);
    case Kind::integer:
      return number_or_text(value.text);
    case Kind::real:
      return json_of_number(value.real);
    case Kind::binary:
      return quoted(bytes_as_text(value.text));
    case Kind::list:
    case Kind::tuple:
      return json_of_list(value);
    case Kind::map:
      break;
  }
  if (auto known = json_of_struct(value, place)) return *std::move(known);
  return json_of_map(value);
}

std::uint32_t depth_of(const Term& value) {
  if (value.kind < Kind::list) return 0;
  std::uint32_t deepest = 0;
  for (const auto& item : value.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

}  // namespace

std::string name_of_key(const Term& key) {
  if (key.kind == Kind::atom) return key.text;
  if (key.kind == Kind::binary) return bytes_as_text(key.text);
  return json_of(key, Place::inside);
}

std::string json_of_elixir(const Term& value, Place place) {
  const auto json = json_of(value, place);
  if (value.kind == Kind::binary) {
    const auto text = bytes_as_text(value.text);
    return text.size() > elixir_value_bytes_max ? digest_json(text) : json;
  }
  if (json.size() > elixir_value_bytes_max) return digest_json(json);
  return depth_of(value) > elixir_value_depth_max ? quoted(json) : json;
}

std::string digest_json(std::string_view text) {
  return fmt::format(R"({{"bytes":{},"sha256":"{}"}})", text.size(), to_hex(crypto::sha256(view(text))));
}

}  // namespace vestige::cli::importing
