#include "seal/tokens.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "seal/words.h"

namespace vestige::seal {
namespace {

constexpr std::size_t whole_bytes_max = 128;

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

}  // namespace

Token token(TokenKind kind, std::string_view text) {
  const Token hash = XXH3_64bits_withSeed(text.data(), text.size(), static_cast<std::uint64_t>(kind));
  return hash == 0 ? 1 : hash;
}

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

namespace {

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

}  // namespace

bool is_searched_as_text(std::string_view member) {
  constexpr std::string_view about_the_entry[] = {"id",   "index", "leaf",     "lossless", "receivedAt",
                                                  "salt", "mac",   "schema",   "sealed",   "tenant",
                                                  "time", "v",     "discarded"};
  return std::ranges::find(about_the_entry, member) == std::end(about_the_entry);
}

std::string_view content_of(std::string_view json_string) {
  return json_string.size() >= 2 ? json_string.substr(1, json_string.size() - 2) : std::string_view();
}

void add_value_tokens(std::string_view path, std::string_view json, std::vector<Token>& to) {
  if (!is_searched_as_text(path.substr(0, path.find('/')))) return;
  ValueWalk(json, to).run();
  const bool source = path == "sourceId";
  if (source || path == "targetId")
    to.push_back(token(source ? TokenKind::source_id : TokenKind::target_id, content_of(json)));
}

void add_pair_tokens(std::span<const Pair> pairs, std::vector<Token>& to) {
  for (const auto& [path, value] : pairs)
    if (path.starts_with('/')) add_value_tokens(std::string_view(path).substr(1), value, to);
}

}  // namespace vestige::seal
