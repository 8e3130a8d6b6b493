#include "cli/import/mapping.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/time_text.h"
#include "cli/import/internal/event_text.h"
#include "cli/import/internal/rules.h"

namespace vestige::cli::importing {
namespace {

using Rules = Mapping::Rules;

constexpr std::size_t word_bytes_max = 256;          // of an event's action and types
constexpr std::size_t identifier_bytes_max = 1'024;  // of its ids
constexpr std::size_t subjects_max = 16;
constexpr std::size_t changes_max = 1'000;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// A pattern whose stars stand for any characters. Goes back to the last star only, so it takes at most the
// product of the lengths.
bool matches(std::string_view text, std::string_view pattern) {
  std::size_t at = 0, star = std::string_view::npos, resume = 0, position = 0;
  while (at < text.size()) {
    if (position < pattern.size() && pattern[position] == '*') {
      star = position++;
      resume = at;
    } else if (position < pattern.size() && lower(pattern[position]) == lower(text[at])) {
      ++position;
      ++at;
    } else if (star != std::string_view::npos) {
      position = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', position) == std::string_view::npos;
}

std::optional<std::string> text_of(const json::Value& value) {
  if (value.is_string() && !value.string().empty()) return std::string(value.string());
  if (value.is_number()) return std::string(value.number());
  if (value.is_boolean()) return value.boolean() ? "true" : "false";
  return std::nullopt;
}

// "192.0.2.1", "192.0.2.1:443", "[2001:db8::1]:443", "2001:db8::1" as the address alone.
std::optional<std::string> address_of(std::string text) {
  if (text.starts_with('['))
    text = text.substr(1, text.find(']') - 1);
  else if (std::ranges::count(text, ':') == 1)
    text.resize(text.find(':'));
  in6_addr scratch;
  const bool is_address =
      ::inet_pton(AF_INET, text.c_str(), &scratch) == 1 || ::inet_pton(AF_INET6, text.c_str(), &scratch) == 1;
  return is_address ? std::optional(std::move(text)) : std::nullopt;
}

// One record on its way to an event.
class Run {
 public:
  Run(const Rules& rules, const json::Value& record, std::string_view changes)
      : rules_(rules), record_(record), changes_(changes) {}

  MappedEvent run() {
    event_.begin_object();
    write_action();
    write_time();
    set(Reported::actor, write_entity(rules_.sources, "source"));
    set(Reported::target, write_entity(rules_.targets, "target"));
    write_subject();
    write_members("sourceEntityMeta", rules_.source_meta);
    write_members("targetEntityMeta", rules_.target_meta);
    write_members("detail", rules_.detail);
    write_context();
    write_changes();
    event_.end_object();
    result_.json = event_.take();
    return std::move(result_);
  }

 private:
  void set(Reported member, bool there) { result_.has[static_cast<std::size_t>(member)] = there; }

  // Notes which member of the record was of use; not of an element of its list of changes.
  json::Value look_up(const Path& path, const json::Value& in) {
    std::string_view first;
    const auto value = path.find(in, &first);
    const bool of_record = in.position() == record_.position() && !first.empty();
    if (value.exists() && of_record && std::ranges::find(result_.used, first) == result_.used.end())
      result_.used.push_back(first);
    return value;
  }

  std::optional<std::string> text(const Rule& rule, const json::Value& in) {
    for (const auto& candidate : rule.candidates) {
      if (!candidate.path) return candidate.constant;
      // Looked up without being noted, until it turns out to be of use.
      auto found = text_of(candidate.path->find(in));
      if (!found) continue;
      look_up(*candidate.path, in);
      if (const auto* value = rules_value(rule, *found)) return *value;
      return found;
    }
    return std::nullopt;
  }
  static const std::string* rules_value(const Rule& rule, const std::string& text) {
    return rule.values.empty() ? nullptr : rule.values.find(text);
  }

  std::string fitting(std::string text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    result_.cut = true;
    auto end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
    return text;
  }

  void write_action() {
    auto action = text(rules_.action, record_);
    set(Reported::action, action.has_value());
    result_.action = fitting(action.value_or(std::string(unrecognised_action)), word_bytes_max);
    const auto* by_action = rules_.kinds.find(result_.action);
    result_.action_is_known = by_action != nullptr;
    const auto kind = by_action != nullptr ? std::optional(*by_action) : text(rules_.kind, record_);
    event_.text("kind", fitting(kind.value_or("data.change"), word_bytes_max));
    event_.text("action", result_.action);
  }

  void write_time() {
    for (const auto& candidate : rules_.time.candidates) {
      const auto found = candidate.path ? text_of(candidate.path->find(record_)) : std::nullopt;
      if (!found) continue;
      std::optional<UnixMs> time;
      for (const auto& format : rules_.time_formats)
        if (!time) time = format.parse(*found, rules_.time_offset_minutes);
      if (!time) continue;
      look_up(*candidate.path, record_);
      event_.text("time", format_time(*time));
      return set(Reported::time, true);
    }
  }

  // The first of the entities whose id is there; a type alone where none is.
  bool write_entity(const std::vector<Entity>& entities, std::string_view which) {
    for (const auto& entity : entities) {
      auto id = text(entity.id, record_);
      if (!id) continue;
      if (auto type = text(entity.type, record_))
        event_.text(fmt::format("{}Type", which), fitting(*std::move(type), word_bytes_max));
      event_.text(fmt::format("{}Id", which), fitting(*std::move(id), identifier_bytes_max));
      return true;
    }
    for (const auto& entity : entities)
      if (auto type = entity.id.empty() ? text(entity.type, record_) : std::nullopt) {
        event_.text(fmt::format("{}Type", which), fitting(*std::move(type), word_bytes_max));
        break;
      }
    return false;
  }

  // A list stands for several persons.
  void write_subject() {
    for (const auto& candidate : rules_.subject.candidates) {
      if (!candidate.path) continue;
      const auto value = candidate.path->find(record_);
      std::vector<std::string> persons;
      for (std::size_t i = 0; i < (value.is_array() ? std::min(value.size(), subjects_max) : 1); ++i) {
        auto person = text_of(value.is_array() ? value.at(i) : value);
        if (person && std::ranges::find(persons, *person) == persons.end())
          persons.push_back(fitting(*std::move(person), identifier_bytes_max));
      }
      if (persons.empty()) continue;
      look_up(*candidate.path, record_);
      if (value.is_array() && value.size() > subjects_max) result_.cut = true;
      event_.begin_array("subject");
      for (const auto& person : persons) event_.element(person);
      event_.end_array();
      return;
    }
  }

  // Values as they are, objects and arrays included.
  void write_members(std::string_view key, const std::vector<std::pair<std::string, Rule>>& members) {
    bool begun = false;
    for (const auto& [name, rule] : members) {
      auto json = value_json(rule, record_);
      if (!json) continue;
      if (!std::exchange(begun, true)) event_.begin_object(key);
      event_.raw(name, *json);
    }
    if (begun) event_.end_object();
  }
  std::optional<std::string> value_json(const Rule& rule, const json::Value& in) {
    for (const auto& candidate : rule.candidates) {
      if (candidate.path) {
        const auto value = candidate.path->find(in);
        const bool container = value.is_array() || value.is_object();
        if (container && value.size() > 0 && rule.values.empty()) {
          look_up(*candidate.path, in);
          return json::canonical(value);
        }
        if (!text_of(value)) continue;
        look_up(*candidate.path, in);
        if (!value.is_string() && rule.values.empty()) return json::canonical(value);
      }
      const auto found = text(Rule{.candidates = {candidate}, .values = rule.values}, in);
      if (!found) continue;
      std::string json;
      json::append_quoted(json, *found);
      return json;
    }
    return std::nullopt;
  }

  void write_context() {
    bool begun = false;
    const auto put = [&](std::string_view name, std::string_view json) {
      if (!std::exchange(begun, true)) event_.begin_object("context");
      event_.raw(name, json);
    };
    for (const auto& [name, rule] : rules_.context) {
      if (name == "location" || name == "serverLocation") {
        if (const auto json = value_json(rule, record_);
            json && (json->front() == '"' || json->front() == '{'))
          put(name, *json);
        continue;
      }
      if (name == "rollback") {
        if (const auto json = value_json(rule, record_)) put(name, *json);
        continue;
      }
      auto found = name == "ip" ? address(rule) : text(rule, record_);
      if (!found) continue;
      std::string json;
      json::append_quoted(json, *found);
      put(name, json);
      if (name == "ip") set(Reported::ip, true);
    }
    if (begun) event_.end_object();
  }
  // The first candidate that is an address: some systems write their own name there.
  std::optional<std::string> address(const Rule& rule) {
    for (const auto& candidate : rule.candidates) {
      const auto found = candidate.path ? text_of(candidate.path->find(record_)) : std::nullopt;
      auto found_address = found ? address_of(*found) : std::nullopt;
      if (!found_address) continue;
      look_up(*candidate.path, record_);
      return found_address;
    }
    return std::nullopt;
  }

  void write_changes() {
    if (!changes_.empty()) event_.raw("changes", changes_);
    if (!changes_.empty() || !rules_.changes) return;
    const auto& changes = *rules_.changes;
    const auto list = changes.each ? look_up(*changes.each, record_) : record_;
    bool begun = false;
    const auto add = [&](const json::Value& in) {
      const auto field = text(changes.field, in);
      const auto old_json = value_json(changes.old_value, in);
      const auto new_json = value_json(changes.new_value, in);
      if (!field || (!old_json && !new_json)) return;
      if (!std::exchange(begun, true)) event_.begin_array("changes");
      event_.begin_object().text("field", *field);
      if (old_json) event_.raw("old", *old_json);
      if (new_json) event_.raw("new", *new_json);
      event_.end_object();
    };
    if (!changes.each)
      add(record_);
    else if (list.is_array())
      for (std::size_t i = 0; i < std::min(list.size(), changes_max); ++i) add(list.at(i));
    if (begun) event_.end_array();
  }

  const Rules& rules_;
  const json::Value record_;
  const std::string_view changes_;
  EventWriter event_;
  MappedEvent result_;
};

}  // namespace

void Patterns::add(std::string pattern, std::string result) {
  const auto shorter = [&](const auto& other) { return other.first.size() < pattern.size(); };
  const auto same = std::ranges::find(patterns_, pattern, [](const auto& each) { return each.first; });
  if (same != patterns_.end()) {
    same->second = std::move(result);
    return;
  }
  const auto place = std::ranges::find_if(patterns_, shorter);
  patterns_.insert(place, {std::move(pattern), std::move(result)});
}

const std::string* Patterns::find(std::string_view text) const {
  for (const auto& [pattern, result] : patterns_)
    if (matches(text, pattern)) return &result;
  return nullptr;
}

Mapping::Mapping() : rules_(std::make_unique<Rules>()) {}
Mapping::~Mapping() = default;
Mapping::Mapping(Mapping&&) noexcept = default;
Mapping& Mapping::operator=(Mapping&&) noexcept = default;

const std::string& Mapping::name() const { return rules_->name; }
const std::string& Mapping::array_name() const { return rules_->array_name; }

bool Mapping::recognises(const json::Value& record) const {
  return std::ranges::any_of(rules_->recognise, [&](const auto& conditions) {
    return std::ranges::all_of(conditions, [&](const auto& condition) {
      const auto value = condition.path.find(record);
      if (!condition.value) return value.exists();
      const auto text = text_of(value);
      return text && matches(*text, *condition.value);
    });
  });
}

json::Value Mapping::inside(const json::Value& record, std::string_view* first) const {
  for (const auto& path : rules_->inside)
    if (const auto value = path.find(record, first); value.is_object() || value.is_string()) return value;
  return {};
}

MappedEvent Mapping::map(const json::Value& record, std::string_view changes) const {
  return Run(*rules_, record, changes).run();
}

}  // namespace vestige::cli::importing
