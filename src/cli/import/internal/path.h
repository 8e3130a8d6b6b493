// Where a value lies in a foreign record: a JSON pointer with three more kinds of token.
//
//   /userIdentity/arn                     a member of a member
//   /sourceIPs/0                          an element, by its number
//   /parameters/[name=USER_EMAIL]/value   the first element whose member "name" is "USER_EMAIL"
//   /resources/*/ARN                      the first element for which the rest of the path leads somewhere
//   /~sourceip                            the first member whose name, less case and all but letters and
//   digits, is so
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace vestige::cli::importing {

class Path {
 public:
  static Result<Path> read(std::string_view text);

  // Absent where there is nothing, or null. `first` gets the name of the top-level member that was gone
  // through.
  json::Value find(const json::Value& root, std::string_view* first = nullptr) const;
  const std::string& text() const { return text_; }

 private:
  struct Token {
    enum class Kind { name, select, any, loose } kind = Kind::name;
    std::string name;
    std::string value{};
  };
  json::Value find_from(const json::Value& value, std::size_t token, std::string_view* first) const;
  json::Value find_any(const json::Value& value, std::size_t token, std::string_view* first) const;

  std::string text_;
  std::vector<Token> tokens_;
};

// Letters and digits are the same, less case.
bool loosely_equal(std::string_view name, std::string_view wanted);

}  // namespace vestige::cli::importing
