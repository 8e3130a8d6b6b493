#include "audit/filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::audit {
namespace {

using internal::refuse;

constexpr std::string_view members[] = {"action",
                                        "cursor",
                                        "detail",
                                        "id",
                                        "kind",
                                        "limit",
                                        "order",
                                        "sourceEntityMeta",
                                        "sourceId",
                                        "sourceType",
                                        "targetEntityMeta",
                                        "targetId",
                                        "targetType",
                                        "text",
                                        "timeFrom",
                                        "timeTo"};

bool is_set(const json::Value& value) { return value.exists() && !value.is_null(); }

Status take_text(const json::Value& root, std::string_view name, std::optional<std::string>& to) {
  const auto value = root.find(name);
  if (!is_set(value)) return {};
  if (!value.is_string()) return refuse(value, fmt::format("/{}", name), "must be a string");
  to = std::string(value.string());
  return {};
}

Status take_object(const json::Value& root, std::string_view name, json::Value& to) {
  const auto value = root.find(name);
  if (!is_set(value)) return {};
  if (!value.is_object()) return refuse(value, fmt::format("/{}", name), "must be an object");
  to = value;
  return {};
}

Status take_time(const json::Value& root, std::string_view name, std::optional<UnixMs>& to) {
  const auto value = root.find(name);
  if (!is_set(value)) return {};
  to = value.is_string() ? parse_time(value.string()) : std::nullopt;
  if (!to)
    return refuse(value, fmt::format("/{}", name),
                  "must be an RFC 3339 date-time, such as 2026-11-25T14:40:11.213Z");
  return {};
}

Status take_types(const json::Value& root, Search& search) {
  const auto value = root.find("targetType");
  if (!is_set(value)) return {};
  if (value.is_string()) return search.target_types.emplace_back(value.string()), Status{};
  if (!value.is_array()) return refuse(value, "/targetType", "must be a list of strings");
  if (value.size() > search_types_max)
    return refuse(value, "/targetType", "has too many elements",
                  fmt::format("search_types_max = {}", search_types_max));
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value.at(i).is_string())
      return refuse(value.at(i), fmt::format("/targetType/{}", i), "must be a string");
    search.target_types.emplace_back(value.at(i).string());
  }
  return {};
}

Status take_paging(const json::Value& root, Search& search) {
  search.limit = search_limit_default;
  if (const auto value = root.find("limit"); is_set(value)) {
    const double number = value.is_number() ? value.number_value() : 0;
    if (number < 1 || number > search_limit_max ||
        number != static_cast<double>(static_cast<std::uint32_t>(number)))
      return refuse(value, "/limit", fmt::format("must be a whole number from 1 to {}", search_limit_max),
                    fmt::format("limit <= {}", search_limit_max));
    search.limit = static_cast<std::uint32_t>(number);
  }
  if (const auto value = root.find("order"); is_set(value)) {
    if (!value.is_string() || (value.string() != "asc" && value.string() != "desc"))
      return refuse(value, "/order", "must be \"asc\" or \"desc\"");
    search.order = value.string() == "asc" ? SearchOrder::ascending : SearchOrder::descending;
  }
  if (const auto value = root.find("cursor"); is_set(value)) {
    if (!value.is_string() || value.string().empty())
      return refuse(value, "/cursor", "must be a cursor from an earlier answer, or null");
    search.cursor = value.string();
  }
  return {};
}

bool is_word_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (static_cast<unsigned char>(c) & 0x80);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

Hash digest_of(const json::Value& root) {
  std::string text;
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto key = root.key_at(i);
    if (key == "cursor" || key == "limit") continue;
    json::append_quoted(text, key);
    json::append_canonical(text, root.at(i));
  }
  return crypto::sha256(view(text));
}

bool contains(const json::Value& event, const json::Value& filter) {
  if (!event.exists()) return false;
  switch (filter.type()) {
    case json::Type::object:
      if (!event.is_object()) return false;
      for (std::size_t i = 0; i < filter.size(); ++i)
        if (!contains(event.find(filter.key_at(i)), filter.at(i))) return false;
      return true;
    case json::Type::array:
      if (!event.is_array()) return false;
      for (std::size_t i = 0; i < filter.size(); ++i) {
        bool found = false;
        for (std::size_t j = 0; j < event.size() && !found; ++j) found = contains(event.at(j), filter.at(i));
        if (!found) return false;
      }
      return true;
    case json::Type::string:
      if (event.is_string()) return event.string() == filter.string();
      if (event.is_number()) return event.number() == filter.string();
      if (event.is_boolean()) return filter.string() == (event.boolean() ? "true" : "false");
      return false;
    case json::Type::number:
      return event.is_number() && event.number() == filter.number();
    case json::Type::boolean:
      return event.is_boolean() && event.boolean() == filter.boolean();
    case json::Type::null:
      return event.is_null();
  }
  return false;
}

bool text_equals(const json::Value& event, std::string_view name, const std::optional<std::string>& wanted) {
  if (!wanted) return true;
  const auto value = event.find(name);
  return value.is_string() && value.string() == *wanted;
}

// Crosses off the words that occur in a value; true once none is left.
class WordSearch {
 public:
  explicit WordSearch(const std::vector<std::string>& words) : missing_(words) {}

  // What the event says, not what the trail says about it.
  bool visit_event(const json::Value& event) {
    for (std::size_t i = 0; i < event.size(); ++i) {
      const auto key = event.key_at(i);
      if (key != "leaf" && key != "index" && key != "sealed" && visit(event.at(i))) return true;
    }
    return missing_.empty();
  }

  bool visit(const json::Value& value) {
    if (value.is_string()) return visit_text(value.string());
    if (value.is_number()) return visit_text(value.number());
    if (value.is_array() || value.is_object())
      for (std::size_t i = 0; i < value.size(); ++i)
        if (visit(value.at(i))) return true;
    return missing_.empty();
  }

 private:
  bool visit_text(std::string_view text) {
    for (std::size_t at = 0; at < text.size() && !missing_.empty();) {
      while (at < text.size() && !is_word_byte(text[at])) ++at;
      const auto start = at;
      while (at < text.size() && is_word_byte(text[at])) ++at;
      if (at > start) cross_off(text.substr(start, at - start));
    }
    return missing_.empty();
  }
  void cross_off(std::string_view word) {
    std::erase_if(missing_, [&](const std::string& wanted) {
      return wanted.size() == word.size() &&
             std::ranges::equal(wanted, word, [](char a, char b) { return a == lower(b); });
    });
  }

  std::vector<std::string> missing_;
};

bool time_matches(const Search& search, const json::Value& event) {
  if (!search.time_from && !search.time_to) return true;
  const auto value = event.find("time");
  const auto time = value.is_string() ? parse_time(value.string()) : std::nullopt;
  if (!time) return false;
  return (!search.time_from || *time >= *search.time_from) && (!search.time_to || *time < *search.time_to);
}

}  // namespace

void append_words(std::string_view text, std::vector<std::string>& to) {
  for (std::size_t at = 0; at < text.size();) {
    while (at < text.size() && !is_word_byte(text[at])) ++at;
    std::string word;
    for (; at < text.size() && is_word_byte(text[at]); ++at) word.push_back(lower(text[at]));
    if (!word.empty() && std::ranges::find(to, word) == to.end()) to.push_back(std::move(word));
  }
}

Result<Search> parse_search(const json::Document& document) {
  const auto root = document.root();
  if (!root.is_object()) return refuse(root, "", "the search must be a JSON object");
  for (std::size_t i = 0; i < root.size(); ++i)
    if (std::ranges::find(members, root.key_at(i)) == std::end(members)) {
      std::string path;
      json::append_pointer(path, root.key_at(i));
      return refuse(root.at(i), path, fmt::format("\"{}\" is no member of a search", root.key_at(i)));
    }
  Search search;
  if (const auto id = root.find("id"); is_set(id)) {
    search.id = id.is_string() ? parse_uuid(id.string()) : std::nullopt;
    if (!search.id) return refuse(id, "/id", "must be a UUID");
  }
  VESTIGE_CHECKED(take_text(root, "sourceId", search.source_id));
  VESTIGE_CHECKED(take_text(root, "sourceType", search.source_type));
  VESTIGE_CHECKED(take_text(root, "action", search.action));
  VESTIGE_CHECKED(take_text(root, "targetId", search.target_id));
  VESTIGE_CHECKED(take_text(root, "kind", search.kind));
  VESTIGE_CHECKED(take_types(root, search));
  VESTIGE_CHECKED(take_object(root, "sourceEntityMeta", search.source_meta));
  VESTIGE_CHECKED(take_object(root, "targetEntityMeta", search.target_meta));
  VESTIGE_CHECKED(take_object(root, "detail", search.detail));
  VESTIGE_CHECKED(take_time(root, "timeFrom", search.time_from));
  VESTIGE_CHECKED(take_time(root, "timeTo", search.time_to));
  std::optional<std::string> text;
  VESTIGE_CHECKED(take_text(root, "text", text));
  if (text) append_words(*text, search.words);
  if (search.words.size() > search_words_max)
    return refuse(root.find("text"), "/text", "has too many words",
                  fmt::format("search_words_max = {}", search_words_max));
  VESTIGE_CHECKED(take_paging(root, search));
  search.digest = digest_of(root);
  return search;
}

bool matches(const Search& search, const json::Value& event) {
  if (search.id) {
    const auto id = event.find("id");
    if (!id.is_string() || parse_uuid(id.string()) != search.id) return false;
  }
  if (!text_equals(event, "sourceId", search.source_id) ||
      !text_equals(event, "sourceType", search.source_type) || !text_equals(event, "action", search.action) ||
      !text_equals(event, "targetId", search.target_id) || !text_equals(event, "kind", search.kind))
    return false;
  if (!search.target_types.empty()) {
    const auto type = event.find("targetType");
    if (!type.is_string() ||
        std::ranges::find(search.target_types, type.string()) == search.target_types.end())
      return false;
  }
  if (!time_matches(search, event)) return false;
  if (search.source_meta.exists() && !contains(event.find("sourceEntityMeta"), search.source_meta))
    return false;
  if (search.target_meta.exists() && !contains(event.find("targetEntityMeta"), search.target_meta))
    return false;
  if (search.detail.exists() && !contains(event.find("detail"), search.detail)) return false;
  return search.words.empty() || WordSearch(search.words).visit_event(event);
}

trail::RowTest row_test(const Search& search) {
  trail::RowTest test;
  const auto add = [&](std::string column, const std::vector<std::string>& values, bool may_be_sealed) {
    trail::RowTest::Text text{std::move(column), {}, may_be_sealed};
    for (const auto& value : values) {
      std::string quoted;
      json::append_quoted(quoted, value);
      text.any_of.push_back(quoted.substr(1, quoted.size() - 2));
    }
    test.texts.push_back(std::move(text));
  };
  if (search.action) add("action", {*search.action}, false);
  if (search.kind) add("kind", {*search.kind}, false);
  if (search.source_id) add("sourceId", {*search.source_id}, true);
  if (search.source_type) add("sourceType", {*search.source_type}, false);
  if (search.target_id) add("targetId", {*search.target_id}, true);
  if (!search.target_types.empty()) add("targetType", search.target_types, false);
  if (search.time_from || search.time_to) {
    test.time_column = "time";
    if (search.time_from) test.time_from = search.time_from->value;
    if (search.time_to) test.time_to = search.time_to->value;
  }
  return test;
}

bool words_may_occur(const Search& search, std::string_view entry) {
  for (const auto& word : search.words) {
    if (std::ranges::any_of(word, [](char c) { return static_cast<unsigned char>(c) & 0x80; })) continue;
    const char first = word.front();
    const char other = first >= 'a' && first <= 'z' ? static_cast<char>(first - ('a' - 'A')) : first;
    bool found = false;
    for (std::size_t at = 0; at + word.size() <= entry.size() && !found; ++at) {
      if (entry[at] != first && entry[at] != other) continue;
      found = std::ranges::equal(entry.substr(at, word.size()), word,
                                 [](char a, char b) { return lower(a) == b; });
    }
    if (!found) return false;
  }
  return true;
}

}  // namespace vestige::audit
