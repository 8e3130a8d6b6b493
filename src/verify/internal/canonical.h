// Holds an entry against the grammar of canonical JSON (RFC 8785) in one pass, without building a document.
//
// It accepts exactly what json::Parser accepts and json::canonical writes back unchanged: no white space,
// keys in ascending order and never twice, strings escaped in their one way, numbers in their shortest form.
// That equivalence is what canonical_test.cc defends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"

namespace vestige::verify {

// Reusable; not thread-safe.
class CanonicalScanner {
 public:
  struct Member {
    std::string_view key;    // between the quotes, escapes included
    std::string_view value;  // verbatim
  };

  // Whether `text` is a canonical object. Then members() are its own, until the next call.
  bool scan(std::string_view text);
  const std::vector<Member>& members() const { return members_; }
  std::size_t bad_at() const { return at_; }  // where a refused text went wrong

 private:
  struct String {
    std::string_view inner;
    bool escaped = false;
    bool wide = false;  // holds code points whose order in UTF-8 is not that in UTF-16
  };

  bool value(std::uint32_t depth);
  bool object(std::uint32_t depth);
  bool array(std::uint32_t depth);
  bool string(String& out);
  bool escape();
  bool number();
  bool literal(std::string_view word);
  bool ascending(const String& before, const String& after) const;
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Member> members_;
  json::Parser parser_;
  json::Document document_;
};

}  // namespace vestige::verify
