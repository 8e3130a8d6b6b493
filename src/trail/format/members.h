// Walks the top-level members of a canonical JSON object without parsing what is inside them.
#pragma once

#include <optional>
#include <string_view>

namespace vestige::trail {

struct Member {
  std::string_view key;    // between the quotes, escapes included
  std::string_view value;  // verbatim
  std::size_t start;       // of the key's opening quote in the object
  std::size_t end;         // behind the value
};

// Expects exactly the canonical form: no white space, `{"key":value,...}`. It finds borders and does not
// validate values; ok() is false once the borders make no sense.
class MemberScanner {
 public:
  explicit MemberScanner(std::string_view object) : text_(object) {
    if (text_.size() < 2 || text_.front() != '{' || text_.back() != '}') ok_ = false;
  }
  std::optional<Member> next();
  bool ok() const { return ok_; }

 private:
  std::size_t string_end(std::size_t at);
  std::size_t value_end(std::size_t at);

  std::string_view text_;
  std::size_t at_ = 1;
  bool ok_ = true;
};

}  // namespace vestige::trail
