#include "audit/search/visibility.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"

namespace vestige::audit {
namespace {

using Keys = std::span<const std::string>;

bool begins_with(Keys path, Keys start) {
  return path.size() >= start.size() && std::ranges::equal(path.first(start.size()), start);
}

void append(std::string& to, const json::Value& value, const std::vector<Keys>& hidden) {
  if (hidden.empty() || (!value.is_object() && !value.is_array())) return json::append_canonical(to, value);
  to.push_back(value.is_object() ? '{' : '[');
  bool first = true;
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::vector<Keys> below;
    bool gone = false;
    if (value.is_object()) {
      for (const auto& path : hidden)
        if (path.front() == value.key_at(i)) {
          if (path.size() == 1)
            gone = true;
          else
            below.push_back(path.subspan(1));
        }
    } else {
      below = hidden;  // as in conditions, a path passes through arrays
    }
    if (gone) continue;
    if (!first) to.push_back(',');
    first = false;
    if (value.is_object()) {
      json::append_quoted(to, value.key_at(i));
      to.push_back(':');
    }
    append(to, value.at(i), below);
  }
  to.push_back(value.is_object() ? '}' : ']');
}

}  // namespace

void GivenOut::add(const std::vector<seal::Reference>& references) {
  ++entries;
  for (const auto& reference : references)
    for (const auto& ref : reference.refs)
      if (refs.size() < given_out_refs_max || refs.contains(ref))
        refs.insert(ref);
      else
        more_refs = true;
}

Status check_visible(const Visibility& visibility, const std::vector<FieldPath>& fields) {
  const auto refuse = [](const FieldPath& field, std::string_view what) {
    return fail(
        ErrorKind::denied,
        fmt::format("you may not read {}, so you cannot search, sort or count by {}", what, field.text()));
  };
  for (const auto& field : fields) {
    for (const auto& hidden : visibility.hidden)
      if (begins_with(field.keys, hidden.keys) || begins_with(hidden.keys, field.keys))
        return refuse(field, hidden.text());
    if (visibility.kinds == nullptr) continue;
    if (!visibility.personal && visibility.kinds->is_personal(field.keys))
      return refuse(field, "personal values");
    if (!visibility.sensitive && visibility.kinds->is_sensitive(field.keys))
      return refuse(field, "sensitive values");
  }
  return {};
}

void append_visible(std::string& to, const json::Value& event, const Visibility& visibility) {
  std::vector<Keys> paths;
  for (const auto& path : visibility.hidden) paths.emplace_back(path.keys);
  append(to, event, paths);
}

}  // namespace vestige::audit
