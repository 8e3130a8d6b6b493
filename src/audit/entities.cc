#include "audit/entities.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/schema.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

// One side of a change.
struct Side {
  enum class Form : std::uint8_t { value, none, erased, hidden };
  Form form = Form::none;
  std::string value{};  // canonical JSON
  bool operator==(const Side&) const = default;
};

struct Setting {
  std::size_t step;  // position in the order of things
  Side before;
  Side after;
};

// What an event does to one field; the path of the change says what was discarded of it.
Side side_of(const json::Value& event, const json::Value& change, std::size_t position,
             std::string_view member, bool partial) {
  if (const auto value = change.find(member); value.exists())
    return {Side::Form::value, json::canonical(value)};
  if (has_erased_section(event)) return {Side::Form::erased};
  const auto discarded = event.find("discarded");
  const auto path = fmt::format("/changes/{}/{}", position, member);
  for (std::size_t i = 0; discarded.is_array() && i < discarded.size(); ++i)
    if (const auto gone = discarded.at(i); gone.is_string() && gone.string().starts_with(path))
      return {Side::Form::erased};
  return {partial ? Side::Form::hidden : Side::Form::none};
}

// All changes of an entity, by field, in the order in which they happened.
class FieldHistories {
 public:
  static Result<FieldHistories> of(const Gathered& gathered) {
    FieldHistories histories;
    histories.partial_ = gathered.partial;
    StepParser parser;
    for (const auto* step : in_order(gathered.steps)) {
      VESTIGE_TRY(const auto event, parser.parse(step->event));
      histories.add(step->time, event);
    }
    return histories;
  }

  const auto& fields() const { return fields_; }
  const std::string& origin(std::size_t step) const { return origins_[step]; }

  // How many steps happened until then, inclusive.
  std::size_t until(std::optional<UnixMs> time) const {
    if (!time) return times_.size();
    return static_cast<std::size_t>(std::ranges::upper_bound(times_, *time) - times_.begin());
  }

  // The state of a field after so many steps, as the header says; empty where it is unknown.
  std::string state(const std::vector<Setting>& settings, std::size_t steps) const {
    const auto next = std::ranges::lower_bound(settings, steps, {}, &Setting::step);
    if (next != settings.begin())
      return fmt::format("{{{},\"setBy\":{}}}", text_of(std::prev(next)->after),
                         origin(std::prev(next)->step));
    if (next->before.form != Side::Form::value) return {};
    return fmt::format("{{{},\"replacedBy\":{}}}", text_of(next->before), origin(next->step));
  }

  // What the last change replaced.
  std::string previous(const std::vector<Setting>& settings) const {
    const auto& last = settings.back();
    if (last.before.form == Side::Form::value) return fmt::format("{{{}}}", text_of(last.before));
    if (settings.size() > 1) {
      const auto& earlier = settings[settings.size() - 2];
      return fmt::format("{{{},\"setBy\":{}}}", text_of(earlier.after), origin(earlier.step));
    }
    return last.before.form == Side::Form::none ? "" : fmt::format("{{{}}}", text_of(last.before));
  }

  // Equal where a field is the same after both numbers of steps. What is gone or hidden equals itself alone.
  static std::string comparable(const std::vector<Setting>& settings, std::size_t steps) {
    const auto next = std::ranges::lower_bound(settings, steps, {}, &Setting::step);
    const bool set = next != settings.begin();
    const auto& side = set ? std::prev(next)->after : next->before;
    if (side.form == Side::Form::value) return text_of(side);
    if (!set) return {};
    return side.form == Side::Form::none ? text_of(side) : fmt::format("gone in {}", std::prev(next)->step);
  }

 private:
  static std::string text_of(const Side& side) {
    if (side.form == Side::Form::value) return fmt::format("\"value\":{}", side.value);
    if (side.form == Side::Form::hidden) return "\"hidden\":true";
    return side.form == Side::Form::none ? "\"removed\":true" : "\"erased\":true";
  }

  void add(UnixMs time, const json::Value& event) {
    const auto step = times_.size();
    times_.push_back(time);
    append_origin(origins_.emplace_back(), event);
    const auto changes = event.find("changes");
    for (std::size_t i = 0; changes.is_array() && i < changes.size(); ++i) {
      const auto change = changes.at(i);
      const auto field = change.find("field");
      if (!field.is_string()) continue;
      auto& settings = fields_[std::string(field.string())];
      Setting setting{step, side_of(event, change, i, "old", partial_),
                      side_of(event, change, i, "new", partial_)};
      // Twice in one event: one setting, from the first old to the last new.
      if (!settings.empty() && settings.back().step == step)
        settings.back().after = std::move(setting.after);
      else
        settings.push_back(std::move(setting));
    }
  }

  bool partial_ = false;
  std::vector<UnixMs> times_;
  std::vector<std::string> origins_;
  std::map<std::string, std::vector<Setting>, CanonicalLess> fields_;
};

std::string begin(EntityName entity) {
  std::string out = "{\"type\":";
  json::append_quoted(out, entity.type);
  out.append(",\"id\":");
  json::append_quoted(out, entity.id);
  return out;
}

void append_member(std::string& to, bool& first, std::string_view name, std::string_view json) {
  if (!first) to.push_back(',');
  first = false;
  json::append_quoted(to, name);
  to.push_back(':');
  to.append(json);
}

std::string quoted_time(UnixMs time) { return fmt::format("\"{}\"", format_time(time)); }

}  // namespace

Result<std::string> fold_state(EntityName entity, const Gathered& gathered, std::optional<UnixMs> at) {
  VESTIGE_TRY(const auto histories, FieldHistories::of(gathered));
  const auto steps = histories.until(at);
  auto out = begin(entity);
  out.append(",\"at\":").append(at ? quoted_time(*at) : "null").append(",\"fields\":{");
  bool first = true;
  for (const auto& [field, settings] : histories.fields())
    if (const auto state = histories.state(settings, steps); !state.empty())
      append_member(out, first, field, state);
  out.append("},\"last\":").append(steps == 0 ? "null" : histories.origin(steps - 1));
  fmt::format_to(std::back_inserter(out), ",\"entries\":{}", steps);
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

Result<std::string> fold_diff(EntityName entity, const Gathered& gathered, UnixMs from, UnixMs to) {
  VESTIGE_TRY(const auto histories, FieldHistories::of(gathered));
  const auto before = histories.until(from);
  const auto after = histories.until(to);
  auto out = begin(entity);
  out.append(",\"from\":").append(quoted_time(from)).append(",\"to\":").append(quoted_time(to));
  out.append(",\"fields\":{");
  bool first = true;
  for (const auto& [field, settings] : histories.fields()) {
    if (histories.comparable(settings, before) == histories.comparable(settings, after)) continue;
    const auto old_state = histories.state(settings, before);
    const auto new_state = histories.state(settings, after);
    const auto shown = [](const std::string& state) { return state.empty() ? "null" : state; };
    append_member(out, first, field,
                  fmt::format("{{\"from\":{},\"to\":{}}}", shown(old_state), shown(new_state)));
  }
  out.push_back('}');
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

Result<std::string> fold_blame(EntityName entity, const Gathered& gathered) {
  VESTIGE_TRY(const auto histories, FieldHistories::of(gathered));
  const auto steps = histories.until(std::nullopt);
  auto out = begin(entity);
  out.append(",\"fields\":{");
  bool first = true;
  for (const auto& [field, settings] : histories.fields()) {
    auto text = histories.state(settings, steps);
    text.pop_back();
    if (const auto previous = histories.previous(settings); !previous.empty())
      text.append(",\"previous\":").append(previous);
    append_member(out, first, field, fmt::format("{},\"changes\":{}}}", text, settings.size()));
  }
  out.push_back('}');
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

}  // namespace vestige::audit
