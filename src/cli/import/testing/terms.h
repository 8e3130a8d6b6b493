// Terms of Erlang for tests: written as Erlang writes them, printed as Elixir prints them, made at random.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <random>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "cli/import/internal/external_term.h"

namespace vestige::cli::importing::testing {

using Kind = Term::Kind;

inline Term atom(std::string_view name) { return {.kind = Kind::atom, .text = std::string(name)}; }
inline Term integer(std::int64_t value) { return {.kind = Kind::integer, .text = fmt::format("{}", value)}; }
inline Term binary(std::string_view bytes) { return {.kind = Kind::binary, .text = std::string(bytes)}; }
inline Term list(std::vector<Term> items) { return {.kind = Kind::list, .items = std::move(items)}; }
inline Term tuple(std::vector<Term> items) { return {.kind = Kind::tuple, .items = std::move(items)}; }
// Keys and values in turn.
inline Term map(std::vector<Term> items) { return {.kind = Kind::map, .items = std::move(items)}; }

class TermWriter {
 public:
  static std::string write(const Term& term) {
    TermWriter writer;
    writer.out_ += '\x83';
    writer.term(term);
    return std::move(writer.out_);
  }

 private:
  void number(std::uint64_t value, int width) {
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
      out_ += static_cast<char>(value >> shift & 0xFF);
  }
  void tagged(int tag, std::uint64_t value, int width) {
    out_ += static_cast<char>(tag);
    number(value, width);
  }
  void items(const Term& term) {
    for (const auto& item : term.items) this->term(item);
  }
  // Of at most 64 bits.
  void integer(const std::string& digits) {
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (value >= 0 && value < 256) return tagged(97, static_cast<std::uint64_t>(value), 1);
    if (value >= INT32_MIN && value <= INT32_MAX) return tagged(98, static_cast<std::uint64_t>(value), 4);
    const auto magnitude =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    const int bytes = (71 - std::countl_zero(magnitude)) / 8;
    tagged(110, static_cast<std::uint64_t>(bytes), 1);
    out_ += value < 0 ? '\1' : '\0';
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(magnitude >> (8 * i) & 0xFF);
  }
  void term(const Term& term) {
    switch (term.kind) {
      case Kind::atom:
        tagged(119, term.text.size(), 1);
        out_ += term.text;
        return;
      case Kind::integer:
        return integer(term.text);
      case Kind::real:
        return tagged(70, std::bit_cast<std::uint64_t>(term.real), 8);
      case Kind::binary:
        tagged(109, term.text.size(), 4);
        out_ += term.text;
        return;
      case Kind::list:
        if (!term.items.empty()) tagged(108, term.items.size(), 4);
        items(term);
        out_ += 'j';
        return;
      case Kind::tuple:
        term.items.size() < 256 ? tagged(104, term.items.size(), 1) : tagged(105, term.items.size(), 4);
        return items(term);
      case Kind::map:
        tagged(116, term.items.size() / 2, 4);
        return items(term);
    }
  }
  std::string out_;
};

// As `inspect(term, structs: false)` prints it.
inline std::string printed(const Term& term) {
  const auto joined = [](const std::vector<Term>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + printed(item);
    return text;
  };
  switch (term.kind) {
    case Kind::atom: {
      const bool is_word = term.text == "nil" || term.text == "true" || term.text == "false";
      constexpr std::string_view module = "Elixir.";
      return term.text.starts_with(module) ? term.text.substr(module.size())
             : is_word                     ? term.text
                                           : ":" + term.text;
    }
    case Kind::integer:
      return term.text;
    case Kind::real: {
      const auto text = fmt::format("{}", term.real);
      if (const auto e = text.find('e'); e != std::string::npos)  // 1e+308
        return text.substr(0, e) + (text.contains('.') ? "" : ".0") + "e" +
               text.substr(e + (text[e + 1] == '+' ? 2 : 1));
      return text.contains('.') ? text : text + ".0";
    }
    case Kind::binary: {
      if (is_utf8(term.text) && !term.text.contains('\0')) return "\"" + term.text + "\"";
      std::string bytes;
      for (const char byte : term.text)
        bytes += fmt::format("{}{}", bytes.empty() ? "" : ", ", static_cast<unsigned char>(byte));
      return "<<" + bytes + ">>";
    }
    case Kind::list:
      return "[" + joined(term.items) + "]";
    case Kind::tuple:
      return "{" + joined(term.items) + "}";
    case Kind::map:
      break;
  }
  bool all_atoms = true;
  for (std::size_t i = 0; i < term.items.size(); i += 2)
    all_atoms = all_atoms && term.items[i].kind == Kind::atom;
  std::string text;
  for (std::size_t i = 0; i < term.items.size(); i += 2)
    text += (text.empty() ? "" : ", ") +
            (all_atoms ? term.items[i].text + ": " : printed(term.items[i]) + " => ") +
            printed(term.items[i + 1]);
  return "%{" + text + "}";
}

inline Term random_term(std::mt19937& random, int depth) {
  const auto below = [&](unsigned count) { return static_cast<int>(random() % count); };
  const auto several = [&](int count) {
    std::vector<Term> items;
    for (int i = 0; i < count; ++i) items.push_back(random_term(random, depth - 1));
    return items;
  };
  switch (below(depth > 0 ? 9 : 6)) {
    case 0:
      return atom(
          std::vector{"nil", "true", "a", "grüße", "Elixir.Date"}[static_cast<std::size_t>(below(5))]);
    case 1:
      return integer(below(600) - 300);
    case 2:
      return integer(static_cast<std::int64_t>(random()) * random() * (below(2) == 0 ? -1 : 1));
    case 3:
      return {.kind = Kind::real, .real = (below(2'000'000) - 1'000'000) / 256.0};
    case 4:
      return binary(std::string(static_cast<std::size_t>(below(40)), static_cast<char>('a' + below(26))));
    case 5:
      return binary(std::string("\0\xff", static_cast<std::size_t>(below(3))));
    case 6:
      return list(several(below(5)));
    case 7:
      return tuple(several(below(20) == 0 ? 300 : below(4)));
    default:
      return map(several(2 * below(4)));
  }
}

}  // namespace vestige::cli::importing::testing
