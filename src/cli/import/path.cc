#include "cli/import/internal/path.h"

#include <fmt/format.h>

#include <charconv>

namespace vestige::cli::importing {
namespace {

constexpr std::size_t tokens_max = 32;

char plain(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  const bool counts =
      (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
  return counts ? c : '\0';
}

std::string unescaped(std::string_view token) {
  std::string name;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape =
        token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1');
    name += !escape ? token[i] : token[i + 1] == '0' ? '~' : '/';
    i += escape ? 1 : 0;
  }
  return name;
}

bool says(const json::Value& value, std::string_view text) {
  if (value.is_string()) return value.string() == text;
  if (value.is_number()) return value.number() == text;
  return value.is_boolean() && text == (value.boolean() ? "true" : "false");
}

}  // namespace

bool loosely_equal(std::string_view name, std::string_view wanted) {
  std::size_t i = 0;
  for (const char c : name) {
    const char counted = plain(c);
    if (counted == '\0') continue;
    if (i == wanted.size() || wanted[i] != counted) return false;
    ++i;
  }
  return i == wanted.size();
}

Result<Path> Path::read(std::string_view text) {
  Path path;
  path.text_ = text;
  if (!text.starts_with('/') || text.size() < 2)
    return fail(ErrorKind::invalid,
                fmt::format("\"{}\" is no path: one begins with / and names a member", text));
  while (!text.empty()) {
    text.remove_prefix(1);
    auto token = text.substr(0, text.find('/'));
    // A value to be selected by may hold slashes.
    if (token.starts_with('[')) token = text.substr(0, std::min(text.find(']'), text.size() - 1) + 1);
    text.remove_prefix(token.size());
    if (path.tokens_.size() == tokens_max || (!text.empty() && text.front() != '/'))
      return fail(ErrorKind::invalid,
                  fmt::format("the path {} is too deep or has something behind a ]", path.text_));
    if (token == "*") {
      path.tokens_.push_back({Token::Kind::any, {}, {}});
    } else if (token.starts_with('[')) {
      const auto equals = token.find('=');
      if (equals == std::string_view::npos || !token.ends_with(']'))
        return fail(ErrorKind::invalid,
                    fmt::format("the path {} has a token in [] that is no NAME=VALUE", path.text_));
      path.tokens_.push_back({Token::Kind::select, std::string(token.substr(1, equals - 1)),
                              std::string(token.substr(equals + 1, token.size() - equals - 2))});
    } else if (token.starts_with('~') && !token.starts_with("~0") && !token.starts_with("~1")) {
      std::string name;
      for (const char c : token)
        if (const char counted = plain(c); counted != '\0') name += counted;
      path.tokens_.push_back({Token::Kind::loose, std::move(name), {}});
    } else {
      path.tokens_.push_back({Token::Kind::name, unescaped(token), {}});
    }
  }
  return path;
}

json::Value Path::find(const json::Value& root, std::string_view* first) const {
  return find_from(root, 0, first);
}

json::Value Path::find_any(const json::Value& value, std::size_t token, std::string_view* first) const {
  const auto& wanted = tokens_[token];
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto element = value.at(i);
    if (wanted.kind == Token::Kind::select && !says(element.find(wanted.name), wanted.value)) continue;
    if (wanted.kind == Token::Kind::loose && !loosely_equal(value.key_at(i), wanted.name)) continue;
    if (const auto found = find_from(element, token + 1, nullptr); found.exists()) {
      if (first != nullptr && value.is_object()) *first = value.key_at(i);
      return found;
    }
    if (wanted.kind == Token::Kind::select) break;
  }
  return {};
}

json::Value Path::find_from(const json::Value& value, std::size_t token, std::string_view* first) const {
  if (!value.exists() || value.is_null()) return {};
  if (token == tokens_.size()) return value;
  const auto& wanted = tokens_[token];
  if (value.is_object()) {
    if (wanted.kind == Token::Kind::loose) return find_any(value, token, first);
    if (wanted.kind != Token::Kind::name) return {};
    const auto found = find_from(value.find(wanted.name), token + 1, nullptr);
    if (found.exists() && first != nullptr) *first = wanted.name;
    return found;
  }
  if (!value.is_array()) return {};
  if (wanted.kind == Token::Kind::any || wanted.kind == Token::Kind::select)
    return find_any(value, token, first);
  std::size_t index = 0;
  const auto* const end = wanted.name.data() + wanted.name.size();
  const auto parsed = std::from_chars(wanted.name.data(), end, index);
  if (parsed.ec != std::errc{} || parsed.ptr != end || index >= value.size()) return {};
  return find_from(value.at(index), token + 1, nullptr);
}

}  // namespace vestige::cli::importing
