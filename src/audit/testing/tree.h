// JSON as a plain tree, for models that tests compare with: scalars keep their text, so no number is ever
// read and written anew.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"

namespace vestige::audit::testing {

struct Tree {
  enum class Form { scalar, object, array };
  Form form = Form::scalar;
  std::string scalar = "null";  // JSON text
  std::map<std::string, Tree> members;
  std::vector<Tree> elements;

  static Tree object() {
    Tree tree;
    tree.form = Form::object;
    return tree;
  }
  static Tree array() {
    Tree tree;
    tree.form = Form::array;
    return tree;
  }
  static Tree raw(std::string json) {
    Tree tree;
    tree.scalar = std::move(json);
    return tree;
  }
  static Tree text(std::string_view value) {
    Tree tree;
    tree.scalar.clear();
    json::append_quoted(tree.scalar, value);
    return tree;
  }
  static Tree of(const json::Value& value) {
    Tree tree;
    if (value.is_object()) {
      tree.form = Form::object;
      for (std::size_t i = 0; i < value.size(); ++i) tree.members.emplace(value.key_at(i), of(value.at(i)));
    } else if (value.is_array()) {
      tree.form = Form::array;
      for (std::size_t i = 0; i < value.size(); ++i) tree.elements.push_back(of(value.at(i)));
    } else {
      tree.scalar = json::canonical(value);
    }
    return tree;
  }
  static Tree parse(std::string_view json) {
    json::Parser parser;
    json::Document document;
    const auto parsed = parser.parse(json, document, {.depth_max = 256, .bytes_max = 64 << 20});
    EXPECT_TRUE(parsed) << parsed.error().message << "\n" << json.substr(0, 2'000);
    return parsed ? of(document.root()) : Tree();
  }

  bool is_text() const { return form == Form::scalar && scalar.starts_with('"'); }
  const Tree* find(const std::string& name) const {
    const auto found = members.find(name);
    return found == members.end() ? nullptr : &found->second;
  }
  // The value of a string.
  std::string value() const {
    json::Parser parser;
    json::Document document;
    EXPECT_TRUE(parser.parse(scalar, document));
    return std::string(document.root().string());
  }
  std::string json() const {
    if (form == Form::scalar) return scalar;
    std::string out(1, form == Form::object ? '{' : '[');
    for (const auto& [name, member] : members) {
      if (out.size() > 1) out.push_back(',');
      json::append_quoted(out, name);
      out += ":" + member.json();
    }
    for (const auto& element : elements) {
      if (out.size() > 1) out.push_back(',');
      out += element.json();
    }
    return out + (form == Form::object ? "}" : "]");
  }
  std::string canonical() const { return of_text(json()); }
  static std::string of_text(std::string_view json) {
    json::Parser parser;
    json::Document document;
    const auto parsed = parser.parse(json, document, {.depth_max = 256, .bytes_max = 64 << 20});
    EXPECT_TRUE(parsed) << parsed.error().message << "\n" << json.substr(0, 2'000);
    return parsed ? json::canonical(document.root()) : std::string();
  }
};

}  // namespace vestige::audit::testing
