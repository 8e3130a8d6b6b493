// For the tests of json: a random document as a tree, a text of it in random spelling, and its canonical
// bytes written in the most literal way: UTF-16 keys in a map, numbers by trial, characters one by one.
#pragma once

#include <map>
#include <random>
#include <string>
#include <variant>
#include <vector>

namespace vestige::json::testing {

struct Model {
  using Array = std::vector<Model>;
  using Object = std::map<std::u16string, Model>;
  std::variant<std::nullptr_t, bool, double, std::u16string, Array, Object> value;
};

// With depth_max levels of arrays and objects at most.
Model random_model(std::mt19937_64& random, int depth_max);
std::u16string random_text(std::mt19937_64& random);
// JSON that denotes `model`: members in random order, random white space, escapes and number spellings.
std::string spell(std::mt19937_64& random, const Model& model);
std::string naive_canonical(const Model& model);

// The shortest digits that read back as `value`, found by trying, in ECMAScript's form.
std::string naive_number(double value);
std::u16string to_utf16(std::string_view utf8);
std::string to_utf8(std::u16string_view utf16);

}  // namespace vestige::json::testing
