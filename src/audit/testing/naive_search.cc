#include "audit/testing/naive_search.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "base/time_text.h"

namespace vestige::audit::testing {
namespace {

// All values at a dotted path, arrays passed through.
void values_at(const Tree& tree, const std::vector<std::string>& path, std::size_t at,
               std::vector<const Tree*>& to) {
  if (at == path.size()) to.push_back(&tree);
  if (tree.form == Tree::Form::array)
    for (const auto& element : tree.elements) values_at(element, path, at, to);
  if (at < path.size() && tree.form == Tree::Form::object)
    if (const auto* member = tree.find(path[at])) values_at(*member, path, at + 1, to);
}

}  // namespace

std::vector<const Tree*> values_at(const Tree& event, const std::string& dotted) {
  std::vector<std::string> path(1);
  for (const char c : dotted) {
    if (c == '.')
      path.emplace_back();
    else
      path.back().push_back(c);
  }
  std::vector<const Tree*> out;
  values_at(event, path, 0, out);
  return out;
}

namespace {

bool is_number(const Tree& tree) {
  return tree.form == Tree::Form::scalar &&
         (tree.scalar[0] == '-' || std::isdigit(static_cast<unsigned char>(tree.scalar[0])) != 0);
}

// The only letters of these events that fold are ASCII capitals and an e with an accent.
std::string naive_fold(std::string text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "\xc3\xa9") == 0) {
      out.push_back('e');
      ++i;
    } else {
      out.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(text[i]))));
    }
  }
  return out;
}

bool naive_equals(const Tree& value, const Tree& wanted, bool fold) {
  if (value.form != Tree::Form::scalar) return false;
  if (wanted.is_text() && value.is_text() && fold)
    return naive_fold(value.value()) == naive_fold(wanted.value());
  if (value.scalar == wanted.scalar) return true;
  return wanted.is_text() && !value.is_text() && value.scalar != "null" && value.scalar == wanted.value();
}

bool naive_glob(const std::string& pattern, const std::string& text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return naive_glob(pattern.substr(1), text) || (!text.empty() && naive_glob(pattern, text.substr(1)));
  return !text.empty() && text[0] == pattern[0] && naive_glob(pattern.substr(1), text.substr(1));
}

bool naive_contains(const Tree* event, const Tree& filter) {
  if (event == nullptr) return false;
  if (filter.form == Tree::Form::scalar)
    return event->form == Tree::Form::scalar && naive_equals(*event, filter, false);
  if (filter.form != event->form) return false;
  for (const auto& [name, member] : filter.members)
    if (!naive_contains(event->find(name), member)) return false;
  return std::ranges::all_of(filter.elements, [&](const Tree& wanted) {
    return std::ranges::any_of(event->elements,
                               [&](const Tree& each) { return naive_contains(&each, wanted); });
  });
}

bool naive_bound(const Tree& value, const std::string& name, const Tree& bound) {
  int order = 0;
  if (is_number(bound)) {
    if (!is_number(value)) return false;
    const double a = std::stod(value.scalar), b = std::stod(bound.scalar);
    order = a < b ? -1 : a > b ? 1 : 0;
  } else {
    if (!value.is_text()) return false;
    const auto time = parse_time(bound.value());
    const auto other = parse_time(value.value());
    if (time && !other) return false;
    if (time)
      order = other->value < time->value ? -1 : other->value > time->value ? 1 : 0;
    else
      order = value.value().compare(bound.value());
  }
  if (name == "gt") return order > 0;
  if (name == "gte") return order >= 0;
  return name == "lt" ? order < 0 : order <= 0;
}

}  // namespace

std::vector<std::string> naive_words(const std::string& text, bool stars) {
  std::vector<std::string> out(1);
  for (const char c : naive_fold(text)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || (stars && c == '*'))
      out.back().push_back(c);
    else if (!out.back().empty())
      out.emplace_back();
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

namespace {

void naive_texts(const Tree& tree, std::vector<std::vector<std::string>>& to) {
  if (tree.is_text())
    to.push_back(naive_words(tree.value(), false));
  else if (is_number(tree))
    to.push_back(naive_words(tree.scalar, false));
  for (const auto& [name, member] : tree.members) naive_texts(member, to);
  for (const auto& element : tree.elements) naive_texts(element, to);
}

bool naive_text(const Tree& event, const std::string& text) {
  Tree searched = event;
  for (const char* name :
       {"id", "index", "leaf", "lossless", "receivedAt", "sealed", "tenant", "time", "discarded"})
    searched.members.erase(name);
  std::vector<std::vector<std::string>> there;
  naive_texts(searched, there);
  // The texts made below have terms of one form each: blanks separate, quotes join.
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const bool negated = text[at] == '-';
    if (negated) ++at;
    const bool quoted = text[at] == '"';
    const auto end = quoted ? text.find('"', at + 1) : std::min(text.find(' ', at), text.size());
    const auto wanted = naive_words(text.substr(at + (quoted ? 1 : 0), end - at - (quoted ? 1 : 0)), true);
    at = end + (quoted ? 1 : 0);
    if (wanted.empty()) continue;
    const bool found = std::ranges::any_of(there, [&](const auto& words) {
      for (std::size_t i = 0; i + wanted.size() <= words.size(); ++i) {
        bool all = true;
        for (std::size_t j = 0; j < wanted.size(); ++j) all = all && naive_glob(wanted[j], words[i + j]);
        if (all) return true;
      }
      return false;
    });
    if (found == negated) return false;
  }
  return true;
}

std::optional<std::uint32_t> naive_ipv4(const std::string& text) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &used) != 4 ||  // NOLINT(cert-err34-c)
      used != static_cast<int>(text.size()) || std::max({a, b, c, d}) > 255)
    return std::nullopt;
  return a << 24 | b << 16 | c << 8 | d;
}

bool naive_test(const Tree& value, const std::string& name, const Tree& operand, bool fold) {
  const auto text = value.is_text() ? value.value() : is_number(value) ? value.scalar : std::string();
  const bool has_text = value.is_text() || is_number(value);
  const auto folded = [&](const std::string& given) { return fold ? naive_fold(given) : given; };
  if (name == "equals") return naive_equals(value, operand, fold);
  if (name == "in")
    return std::ranges::any_of(operand.elements,
                               [&](const Tree& each) { return naive_equals(value, each, fold); });
  if (name == "exists") return !(value.form == Tree::Form::scalar && value.scalar == "null");
  if (name == "range")
    return std::ranges::all_of(
        operand.members, [&](const auto& bound) { return naive_bound(value, bound.first, bound.second); });
  if (name == "contains" && !operand.is_text()) return naive_contains(&value, operand);
  if (name == "contains") return has_text && folded(text).find(folded(operand.value())) != std::string::npos;
  if (name == "prefix") return has_text && folded(text).starts_with(folded(operand.value()));
  if (name == "wildcard") return has_text && naive_glob(folded(operand.value()), folded(text));
  const auto slash = operand.value().find('/');
  const auto network = naive_ipv4(operand.value().substr(0, slash)), address = naive_ipv4(text);
  if (!value.is_text() || !network || !address) return false;
  const auto bits = std::stoul(operand.value().substr(slash + 1));
  return bits == 0 || (*network >> (32 - bits)) == (*address >> (32 - bits));
}

}  // namespace

bool naive_condition(const Tree& condition, const Tree& event) {
  if (const auto* parts = condition.find("and"))
    return std::ranges::all_of(parts->elements,
                               [&](const Tree& part) { return naive_condition(part, event); });
  if (const auto* parts = condition.find("or"))
    return std::ranges::any_of(parts->elements,
                               [&](const Tree& part) { return naive_condition(part, event); });
  if (const auto* part = condition.find("not")) return !naive_condition(*part, event);
  if (const auto* text = condition.find("text")) return naive_text(event, text->value());
  const bool fold = condition.find("ignoreCase") != nullptr;
  for (const auto& [name, operand] : condition.members) {
    if (name == "field" || name == "ignoreCase") continue;
    const auto values = values_at(event, condition.find("field")->value());
    const bool any = std::ranges::any_of(
        values, [&](const Tree* value) { return naive_test(*value, name, operand, fold); });
    return name == "exists" ? any == (operand.scalar == "true") : any;
  }
  return false;
}

}  // namespace vestige::audit::testing
