#include "audit/search/tokens.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "audit/search/words.h"
#include "base/time_text.h"
#include "trail/format/members.h"

namespace vestige::audit {
namespace {

using trail::Token;

// Different kinds of tokens are hashed with different seeds.
enum class TokenKind : std::uint64_t { word = 1, whole = 2, source_id = 3, target_id = 4, ref = 5 };
constexpr std::size_t whole_bytes_max = 128;

Token token(TokenKind kind, std::string_view text) {
  const Token hash = XXH3_64bits_withSeed(text.data(), text.size(), static_cast<std::uint64_t>(kind));
  return hash == 0 ? 1 : hash;
}

// As in words.cc: letters and digits folded, 0 for all else in ASCII.
constexpr auto folded_ascii = [] {
  std::array<char, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = static_cast<char>(c);
  for (unsigned c = 'a'; c <= 'z'; ++c) {
    table[c] = static_cast<char>(c);
    table[c - 'a' + 'A'] = static_cast<char>(c);
  }
  return table;
}();

bool is_high(char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; }

struct TextShape {
  std::size_t words = 0;
  bool blanks = false;
};

// The words of a text as tokens.
TextShape add_words(std::string_view text, std::vector<Token>& to) {
  TextShape shape;
  shape.blanks = text.find(' ') != std::string_view::npos;
  if (std::ranges::any_of(text, is_high)) {
    WordReader reader(text);
    for (std::string_view word; reader.next(word); ++shape.words) to.push_back(token(TokenKind::word, word));
    return shape;
  }
  std::array<char, 256> word;
  std::string longer;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = 0;
    for (; at < text.size() && size < word.size(); ++at, ++size) {
      word[size] = folded_ascii[static_cast<unsigned char>(text[at])];
      if (word[size] == 0) break;
    }
    if (size == word.size()) {
      longer.assign(word.data(), size);
      for (char c = 0; at < text.size() && (c = folded_ascii[static_cast<unsigned char>(text[at])]) != 0;
           ++at)
        longer.push_back(c);
      to.push_back(token(TokenKind::word, longer));
      ++shape.words;
    } else if (size > 0) {
      to.push_back(token(TokenKind::word, {word.data(), size}));
      ++shape.words;
    }
    ++at;
  }
  return shape;
}

bool is_found_whole(const TextShape& shape, std::string_view text) {
  return shape.words != 1 && !shape.blanks && text.size() <= whole_bytes_max;
}

void add_value(std::string_view text, std::vector<Token>& to) {
  const auto shape = add_words(text, to);
  if (is_found_whole(shape, text)) to.push_back(token(TokenKind::whole, text));
}

// Walks the values of canonical JSON without parsing it: keys are the strings that a colon follows.
class ValueWalk {
 public:
  ValueWalk(std::string_view json, std::vector<Token>& to) : json_(json), to_(to) {}

  void run() {
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (c == '"') {
        string();
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        number();
      } else {
        ++at_;
      }
    }
  }

 private:
  void string() {
    const auto start = ++at_;
    bool escaped = false;
    while (at_ < json_.size() && json_[at_] != '"') {
      if (json_[at_] == '\\') {
        escaped = true;
        ++at_;
      }
      ++at_;
    }
    const auto content = json_.substr(start, std::min(at_, json_.size()) - start);
    ++at_;
    if (at_ < json_.size() && json_[at_] == ':') return;
    if (escaped)
      add_value(unescaped(content), to_);
    else
      add_value(content, to_);
  }

  void number() {
    const auto start = at_;
    while (at_ < json_.size() && json_[at_] != ',' && json_[at_] != '}' && json_[at_] != ']') ++at_;
    add_value(json_.substr(start, at_ - start), to_);
  }

  // Canonical JSON escapes quotes, backslashes and control characters only; of a \u escape the letter cannot
  // be in a word, so a blank stands for it. What is found whole has none of these.
  static std::string unescaped(std::string_view content) {
    std::string out;
    for (std::size_t i = 0; i < content.size(); ++i) {
      if (content[i] != '\\' || i + 1 == content.size()) {
        out.push_back(content[i]);
        continue;
      }
      const char next = content[++i];
      if (next == '"' || next == '\\') {
        out.push_back(next);
      } else {
        out.push_back(' ');
        if (next == 'u') i += 4;
      }
    }
    return out;
  }

  std::string_view json_;
  std::vector<Token>& to_;
  std::size_t at_ = 0;
};

std::string_view content_of(std::string_view json_string) {
  return json_string.size() >= 2 ? json_string.substr(1, json_string.size() - 2) : std::string_view();
}

void add_refs(std::string_view sealed, std::vector<Token>& to) {
  // Every string of this member is a ref or a root; roots are told by their length.
  constexpr std::size_t ref_text_bytes = 24;
  for (std::size_t at = 0; (at = sealed.find('"', at)) != std::string_view::npos;) {
    const auto end = sealed.find('"', at + 1);
    if (end == std::string_view::npos) return;
    if (end - at - 1 == ref_text_bytes) to.push_back(ref_token(sealed.substr(at + 1, ref_text_bytes)));
    at = end + 1;
  }
}

// Of one value that a field is to equal: empty where nothing can be told.
std::vector<Token> tokens_of(const FieldPath& field, const Operand& operand) {
  if (operand.type != json::Type::string && operand.type != json::Type::number) return {};
  if (operand.text == "true" || operand.text == "false") return {};  // also equals a boolean
  const bool source = field.keys == std::vector<std::string>{"sourceId"};
  if (source || field.keys == std::vector<std::string>{"targetId"}) {
    std::string written;
    json::append_quoted(written, operand.text);
    return {token(source ? TokenKind::source_id : TokenKind::target_id, content_of(written))};
  }
  // Control characters are not indexed as they are.
  if (std::ranges::any_of(operand.text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return {};
  std::vector<Token> words;
  const auto shape = add_words(operand.text, words);
  if (is_found_whole(shape, operand.text)) return {token(TokenKind::whole, operand.text)};
  return words;
}

bool is_always_clear(const FieldPath& field) {
  constexpr std::string_view clear[] = {"action", "kind", "sourceType", "targetType"};
  return field.keys.size() == 1 && std::ranges::find(clear, field.keys.front()) != std::end(clear);
}

void add_field_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to) {
  if (condition.test != Condition::Test::in || condition.ignore_case || !condition.expected ||
      condition.operands.empty() || !is_searched_as_text(condition.field.keys.front()))
    return;
  const bool may_be_sealed = !is_always_clear(condition.field);
  trail::RowTest::Tokens any{{}, may_be_sealed};
  for (const auto& operand : condition.operands) {
    const auto tokens = tokens_of(condition.field, operand);
    if (tokens.empty()) return;
    if (condition.operands.size() == 1) {
      for (const auto one : tokens) to.push_back({{one}, may_be_sealed});
      return;
    }
    any.any_of.push_back(tokens.front());
  }
  to.push_back(std::move(any));
}

}  // namespace

Token ref_token(std::string_view base64) { return token(TokenKind::ref, base64); }

std::int64_t EntryTokeniser::describe(std::string_view entry, std::vector<Token>& tokens) const {
  std::int64_t time = INT64_MIN;
  trail::MemberScanner members(entry);
  while (const auto member = members.next()) {
    if (member->key == "time") {
      if (const auto parsed = parse_time(content_of(member->value))) time = parsed->value;
    } else if (member->key == "sealed") {
      add_refs(member->value, tokens);
    } else if (is_searched_as_text(member->key)) {
      ValueWalk(member->value, tokens).run();
      const auto content = content_of(member->value);  // as it is written, escapes included
      const bool source = member->key == "sourceId";
      if (source || member->key == "targetId")
        tokens.push_back(token(source ? TokenKind::source_id : TokenKind::target_id, content));
    }
  }
  return time;
}

void add_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to) {
  switch (condition.kind) {
    case Condition::Kind::all:
      for (const auto& part : condition.parts) add_tokens(part, to);
      break;
    case Condition::Kind::any: {
      // Of each part one thing that it needs; a part that needs nothing leaves all possible.
      trail::RowTest::Tokens any;
      for (const auto& part : condition.parts) {
        std::vector<trail::RowTest::Tokens> needed;
        add_tokens(part, needed);
        if (needed.empty()) return;
        any.may_be_sealed = any.may_be_sealed || needed.front().may_be_sealed;
        any.any_of.insert(any.any_of.end(), needed.front().any_of.begin(), needed.front().any_of.end());
      }
      to.push_back(std::move(any));
      break;
    }
    case Condition::Kind::none:
      break;
    case Condition::Kind::text:
      for (const auto& term : condition.text.terms) {
        if (term.negated) continue;
        for (const auto& word : term.words)
          if (word.find('*') == std::string::npos) to.push_back({{token(TokenKind::word, word)}, true});
      }
      break;
    case Condition::Kind::field:
      add_field_tokens(condition, to);
      break;
  }
}

}  // namespace vestige::audit
