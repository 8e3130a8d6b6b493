#include "cli/internal/toml_members.h"

#include <fmt/format.h>

namespace vestige::cli {

std::unexpected<Error> wrong_member(const std::string& place, std::string_view expected) {
  return fail(ErrorKind::invalid, fmt::format("{} takes {}.", place, expected));
}

std::string place_of(std::string_view name, const toml::node& node, const std::string& file) {
  return fmt::format("{} in {}, line {}", name, file, node.source().begin.line);
}

Result<std::string> read_text(const toml::node& node, const std::string& place) {
  const auto* text = node.as_string();
  if (!text) return wrong_member(place, "a text in quotes");
  return text->get();
}

Result<std::vector<std::string>> read_texts(const toml::node& node, const std::string& place) {
  constexpr std::string_view expected = "a list of texts in quotes";
  const auto* list = node.as_array();
  if (!list) return wrong_member(place, expected);
  std::vector<std::string> texts;
  for (const auto& each : *list) {
    const auto* text = each.as_string();
    if (!text) return wrong_member(place, expected);
    texts.push_back(text->get());
  }
  return texts;
}

Result<bool> read_flag(const toml::node& node, const std::string& place) {
  const auto* flag = node.as_boolean();
  if (!flag) return wrong_member(place, "true or false");
  return flag->get();
}

}  // namespace vestige::cli
