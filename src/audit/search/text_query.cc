#include "audit/search/text_query.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"
#include "audit/search/byte_search.h"
#include "seal/tokens.h"
#include "seal/words.h"

namespace vestige::audit {
namespace {

std::unexpected<Error> refuse_text(const std::string& path, std::string what, std::string limit = {}) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = path;
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_pattern(std::string_view word) { return word.find('*') != std::string_view::npos; }

bool word_matches(std::string_view wanted, std::string_view word) {
  return is_pattern(wanted) ? seal::matches_wildcard(wanted, word) : wanted == word;
}

// Splits a text into words that stay valid together.
class Words {
 public:
  const std::vector<std::string_view>& of(std::string_view text) {
    bytes_.clear();
    sizes_.clear();
    words_.clear();
    seal::WordReader reader(text);
    for (std::string_view word; reader.next(word);) {
      bytes_.append(word);
      sizes_.push_back(word.size());
    }
    std::size_t at = 0;
    for (const auto size : sizes_) {
      words_.push_back(std::string_view(bytes_).substr(at, size));
      at += size;
    }
    return words_;
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> sizes_;
  std::vector<std::string_view> words_;
};

bool occurs(const TextTerm& term, const std::vector<std::string_view>& words) {
  if (words.size() < term.words.size()) return false;
  for (std::size_t at = 0; at + term.words.size() <= words.size(); ++at) {
    bool all = true;
    for (std::size_t i = 0; i < term.words.size() && all; ++i)
      all = word_matches(term.words[i], words[at + i]);
    if (all) return true;
  }
  return false;
}

// Which terms have occurred, over the values of one event.
class Occurrences {
 public:
  explicit Occurrences(const TextQuery& query) : query_(query), found_(query.terms.size()) {}

  void visit(const json::Value& value) {
    if (value.is_string()) return visit_text(value.string());
    if (value.is_number()) return visit_text(value.number());
    if (value.is_array() || value.is_object())
      for (std::size_t i = 0; i < value.size(); ++i) visit(value.at(i));
  }
  bool satisfied() const {
    for (std::size_t i = 0; i < found_.size(); ++i)
      if (found_[i] == query_.terms[i].negated) return false;
    return true;
  }

 private:
  void visit_text(std::string_view text) {
    thread_local Words words;
    const auto& split = words.of(text);
    for (std::size_t i = 0; i < found_.size(); ++i)
      if (!found_[i] && occurs(query_.terms[i], split)) found_[i] = true;
  }

  const TextQuery& query_;
  std::vector<bool> found_;
};

}  // namespace

std::vector<std::string> term_words(std::string_view piece) {
  std::vector<std::string> words;
  seal::WordReader reader(piece, seal::WordReader::Stars::belong);
  for (std::string_view word; reader.next(word);)
    if (word.find_first_not_of('*') != std::string_view::npos) words.emplace_back(word);
  return words;
}

Result<TextQuery> parse_text(std::string_view text, const std::string& path) {
  TextQuery query;
  for (std::size_t at = 0; at < text.size();) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    TextTerm term;
    // "-" negates only in front of something.
    if (text[at] == '-' && at + 1 < text.size() && !is_blank(text[at + 1])) {
      term.negated = true;
      ++at;
    }
    std::size_t end = at;
    if (text[at] == '"') {
      end = text.find('"', at + 1);
      if (end == std::string_view::npos)
        return refuse_text(path, "a phrase is not closed: a \" is missing behind it");
      term.words = term_words(text.substr(at + 1, end - at - 1));
      ++end;
    } else {
      while (end < text.size() && !is_blank(text[end]) && text[end] != '"') ++end;
      term.words = term_words(text.substr(at, end - at));
    }
    at = end;
    if (term.words.empty()) continue;
    if (query.terms.size() == search_words_max)
      return refuse_text(path, "has too many words", fmt::format("search_words_max = {}", search_words_max));
    query.terms.push_back(std::move(term));
  }
  return query;
}

bool matches(const TextQuery& query, const json::Value& event) {
  Occurrences occurrences(query);
  for (std::size_t i = 0; i < event.size(); ++i)
    if (seal::is_searched_as_text(event.key_at(i))) occurrences.visit(event.at(i));
  return occurrences.satisfied();
}

bool may_match(const TextQuery& query, std::string_view entry) {
  // Folding may make ASCII of other characters, so only a plain entry can be told.
  bool plain = false;
  bool looked = false;
  for (const auto& term : query.terms) {
    if (term.negated) continue;
    for (std::string_view word : term.words) {
      if (has_high_bytes(word)) continue;
      if (!looked) {
        plain = !has_high_bytes(entry);
        looked = true;
      }
      if (!plain) return true;
      while (!word.empty()) {
        const auto star = word.find('*');
        const auto part = word.substr(0, star);
        if (!part.empty() && !contains_ignoring_case(entry, part)) return false;
        if (star == std::string_view::npos) break;
        word.remove_prefix(star + 1);
      }
    }
  }
  return true;
}

}  // namespace vestige::audit
