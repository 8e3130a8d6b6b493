#include "audit/search/query_language.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "audit/limits.h"
#include "audit/search/time_span.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using Kind = Condition::Kind;
using Test = Condition::Test;

struct Alias {
  std::string_view name;
  std::string_view field;
};
constexpr Alias aliases[] = {{"actor", "sourceId"},
                             {"actorType", "sourceType"},
                             {"source", "sourceId"},
                             {"target", "targetId"},
                             {"type", "targetType"},
                             {"ip", "context.ip"},
                             {"session", "context.sessionId"},
                             {"service", "context.service"}};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<UnixMs> parse_moment(std::string_view text, UnixMs now) {
  // A span may reach back before the first year that can be written; nothing is before that.
  if (const auto span = parse_time_span(text)) return std::max(UnixMs{now.value - *span}, time_min);
  if (text.size() == 10) return parse_time(std::string(text) + "T00:00:00Z");
  return parse_time(text);
}

Condition joined(Kind kind, std::vector<Condition> parts) {
  if (parts.size() == 1 && kind != Kind::none) return std::move(parts.front());
  Condition condition;
  condition.kind = kind;
  condition.parts = std::move(parts);
  return condition;
}

class Parser {
 public:
  Parser(std::string_view text, UnixMs now, const std::string& path) : text_(text), now_(now), path_(path) {}

  Result<Condition> run() {
    VESTIGE_TRY(auto condition, any(0));
    if (!at_end()) return refuse("a ) stands here without a ( before it");
    return condition;
  }

 private:
  std::unexpected<Error> refuse(std::string what) const {
    Error error{.kind = ErrorKind::invalid,
                .message = fmt::format("{} (behind \"{}\")", what, text_.substr(0, at_))};
    error.path = path_;
    return std::unexpected(std::move(error));
  }
  bool at_end() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    return at_ == text_.size();
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    const auto end = at_ + word.size();
    if (end < text_.size() && !is_blank(text_[end]) && text_[end] != '(') return false;
    at_ = end;
    return true;
  }

  Result<Condition> any(std::size_t depth);
  Result<Condition> all(std::size_t depth);
  Result<Condition> one(std::size_t depth);
  Result<Condition> term();
  Result<Condition> field_term(std::string_view name);
  Result<Condition> text_term(std::string piece);
  Result<Condition> moment_term(std::string_view name, const std::string& value);
  Result<std::string> value(bool& quoted);
  Status set_value(Condition& to, std::string value, bool quoted) const;
  Bound bound(std::string_view text, bool inclusive) const;

  std::string_view text_;
  UnixMs now_;
  const std::string& path_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;
};

Result<Condition> Parser::any(std::size_t depth) {
  std::vector<Condition> parts;
  do {
    VESTIGE_TRY(auto part, all(depth));
    parts.push_back(std::move(part));
  } while (!at_end() && take_word("OR"));
  return joined(Kind::any, std::move(parts));
}

Result<Condition> Parser::all(std::size_t depth) {
  std::vector<Condition> parts;
  while (!at_end() && text_[at_] != ')') {
    const auto before = at_;
    if (take_word("OR")) {
      at_ = before;
      if (parts.empty()) return refuse("OR needs something in front of it and behind it");
      break;
    }
    if (take_word("AND")) continue;
    VESTIGE_TRY(auto part, one(depth));
    parts.push_back(std::move(part));
  }
  return joined(Kind::all, std::move(parts));
}

Result<Condition> Parser::one(std::size_t depth) {
  if (depth > search_depth_max || ++terms_ > search_conditions_max)
    return refuse(
        fmt::format("the query has too many terms or parentheses: search_conditions_max = {}, "
                    "search_depth_max = {}",
                    search_conditions_max, search_depth_max));
  const bool minus = text_[at_] == '-' && at_ + 1 < text_.size() && !is_blank(text_[at_ + 1]);
  if (minus || take_word("NOT")) {
    if (minus) ++at_;
    if (at_end()) return refuse("NOT needs something behind it");
    std::vector<Condition> parts;
    VESTIGE_TRY(auto part, one(depth + 1));
    parts.push_back(std::move(part));
    return joined(Kind::none, std::move(parts));
  }
  if (text_[at_] != '(') return term();
  ++at_;
  VESTIGE_TRY(auto inner, any(depth + 1));
  if (at_end() || text_[at_] != ')') return refuse("a ) is missing");
  ++at_;
  return inner;
}

// A quoted text without its quotes, or what stands up to the next blank or parenthesis.
Result<std::string> Parser::value(bool& quoted) {
  quoted = at_ < text_.size() && text_[at_] == '"';
  std::string out;
  if (quoted) {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out.push_back(text_[at_]);
    }
    if (at_ == text_.size()) return refuse("a \" is missing behind a quoted text");
    ++at_;
    return out;
  }
  for (; at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != '(' && text_[at_] != ')'; ++at_)
    out.push_back(text_[at_]);
  return out;
}

Result<Condition> Parser::term() {
  if (text_[at_] != '"') {
    std::size_t end = at_;
    while (end < text_.size() && !is_blank(text_[end]) && text_[end] != ':' && text_[end] != '"' &&
           text_[end] != '(' && text_[end] != ')')
      ++end;
    if (end < text_.size() && text_[end] == ':' && end > at_) {
      const auto name = text_.substr(at_, end - at_);
      at_ = end + 1;
      return field_term(name);
    }
  }
  bool quoted = false;
  VESTIGE_TRY(auto piece, value(quoted));
  return text_term(std::move(piece));
}

Result<Condition> Parser::text_term(std::string piece) {
  Condition condition;
  condition.kind = Kind::text;
  if (auto words = term_words(piece); !words.empty())
    condition.text.terms.push_back({std::move(words), false});
  return condition;
}

Result<Condition> Parser::moment_term(std::string_view name, const std::string& value) {
  const auto moment = parse_moment(value, now_);
  if (!moment)
    return refuse(
        fmt::format("{}: takes a span back from now (30m, 12h, 7d, 2w), a day (2026-11-25) or an RFC 3339 "
                    "time, not \"{}\"",
                    name, value));
  Condition condition;
  condition.kind = Kind::field;
  condition.field.keys = {"time"};
  condition.test = Test::range;
  Bound end{
      .operand = {json::Type::string, format_time(*moment)}, .number = {}, .time = moment, .inclusive = true};
  if (name == "since") {
    condition.from = std::move(end);
  } else {
    end.inclusive = false;
    condition.to = std::move(end);
  }
  return condition;
}

// What reads as a number compares with numbers.
Bound Parser::bound(std::string_view text, bool inclusive) const {
  Bound bound{.operand = {json::Type::string, std::string(text)},
              .number = parse_number(text),
              .time = parse_time(text),
              .inclusive = inclusive};
  if (bound.number) bound.operand.type = json::Type::number;
  if (!bound.time && text.size() == 10) bound.time = parse_time(std::string(text) + "T00:00:00Z");
  return bound;
}

Status Parser::set_value(Condition& to, std::string value, bool quoted) const {
  if (!quoted) {
    if (value == "*") {
      to.test = Test::exists;
      return {};
    }
    if (value.starts_with('>') || value.starts_with('<')) {
      to.test = Test::range;
      const bool inclusive = value.size() > 1 && value[1] == '=';
      const auto operand = std::string_view(value).substr(inclusive ? 2 : 1);
      if (operand.empty()) return refuse("a value is missing behind < or >");
      (value.front() == '>' ? to.from : to.to) = bound(operand, inclusive);
      return {};
    }
    if (const auto dots = value.find("..");
        dots != std::string::npos && dots > 0 && dots + 2 < value.size()) {
      to.test = Test::range;
      to.from = bound(std::string_view(value).substr(0, dots), true);
      to.to = bound(std::string_view(value).substr(dots + 2), true);
      return {};
    }
    if (value.find('/') != std::string::npos && value.find('*') == std::string::npos) {
      if (const auto block = parse_address_block(value)) {
        to.test = Test::cidr;
        to.block = *block;
        return {};
      }
    }
    if (value.find('*') != std::string::npos) {
      to.test = Test::wildcard;
      to.operands.push_back({json::Type::string, std::move(value)});
      return {};
    }
  }
  to.test = Test::in;
  to.operands.push_back({json::Type::string, std::move(value)});
  return {};
}

Result<Condition> Parser::field_term(std::string_view name) {
  bool quoted = false;
  VESTIGE_TRY(auto given, value(quoted));
  if (given.empty() && !quoted)
    return refuse(
        fmt::format("a value is missing behind \"{}:\"; {}:* asks whether there is one", name, name));
  if (name == "since" || name == "until") return moment_term(name, given);
  std::string_view field = name;
  for (const auto& alias : aliases)
    if (alias.name == name) field = alias.field;
  const auto path = parse_field_path(field);
  if (!path)
    return refuse(
        fmt::format("\"{}\" is no field of an event (actor, action, target, type, kind, subject, ip, since, "
                    "until, detail.x, changes.field, context.x, ...); put quotes around a text that has a "
                    "colon",
                    name));
  Condition condition;
  condition.kind = Kind::field;
  condition.field = *path;
  VESTIGE_CHECKED(set_value(condition, std::move(given), quoted));
  return condition;
}

}  // namespace

Result<Condition> parse_query(std::string_view text, UnixMs now, const std::string& path) {
  if (text.size() > search_query_bytes_max) {
    Error error{.kind = ErrorKind::invalid, .message = "the query is too long"};
    error.path = path;
    error.limit = fmt::format("search_query_bytes_max = {}", search_query_bytes_max);
    return std::unexpected(std::move(error));
  }
  return Parser(text, now, path).run();
}

}  // namespace vestige::audit
