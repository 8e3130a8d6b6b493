#include "audit/entities.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <map>

#include "audit/internal/places.h"
#include "audit/limits.h"
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

// Where a change stands in the order of things: in which event, and where among its changes.
struct Order {
  std::size_t step = 0;
  std::size_t position = 0;
  auto operator<=>(const Order&) const = default;
};

struct Setting {
  Order order;
  Side before;
  Side after;
};

struct Field {
  std::string_view name;
  std::vector<Setting> settings;     // in order
  std::vector<const Field*> around;  // those that this one is a place of, the outermost first
  std::vector<const Field*> inside;  // its places
};

// What a field is: set by a change, or what that replaced.
struct Standing {
  Side side;
  Order order;
  bool set = false;
};

const Setting* last_before(const Field& field, std::size_t step) {
  const auto next = std::ranges::lower_bound(field.settings, Order{step, 0}, {}, &Setting::order);
  return next == field.settings.begin() ? nullptr : &*std::prev(next);
}

bool is_set_within(const Field& field, std::size_t from, Order to) {
  const auto next = std::ranges::lower_bound(field.settings, Order{from, 0}, {}, &Setting::order);
  return next != field.settings.end() && next->order < to;
}

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
    histories.link();
    return histories;
  }

  const auto& fields() const { return fields_; }
  const std::string& origin(std::size_t step) const { return origins_[step]; }

  // How many steps happened until then, inclusive.
  std::size_t until(std::optional<UnixMs> time) const {
    if (!time) return times_.size();
    return static_cast<std::size_t>(std::ranges::upper_bound(times_, *time) - times_.begin());
  }

  // As the header says; empty where it is unknown.
  std::string state(const std::optional<Standing>& standing) const {
    if (!standing) return {};
    return fmt::format("{{{},\"{}\":{}}}", text_of(standing->side), standing->set ? "setBy" : "replacedBy",
                       origin(standing->order.step));
  }

  // What the last change replaced.
  std::string previous(const std::vector<Setting>& settings) const {
    const auto& last = settings.back();
    if (last.before.form == Side::Form::value) return fmt::format("{{{}}}", text_of(last.before));
    if (settings.size() > 1) {
      const auto& earlier = settings[settings.size() - 2];
      return fmt::format("{{{},\"setBy\":{}}}", text_of(earlier.after), origin(earlier.order.step));
    }
    return last.before.form == Side::Form::none ? "" : fmt::format("{{{}}}", text_of(last.before));
  }

  // Equal where a field is the same. What is gone or hidden equals itself alone.
  static std::string comparable(const std::optional<Standing>& standing) {
    if (!standing) return {};
    const bool is_gone =
        standing->side.form == Side::Form::erased || standing->side.form == Side::Form::hidden;
    return is_gone ? fmt::format("gone in {}", standing->order.step) : text_of(standing->side);
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
      auto& settings = fields_[std::string(field.string())].settings;
      Setting setting{
          {step, i}, side_of(event, change, i, "old", partial_), side_of(event, change, i, "new", partial_)};
      // Twice in one event: one setting, from the first old to the last new.
      if (!settings.empty() && settings.back().order.step == step)
        settings.back().after = std::move(setting.after);
      else
        settings.push_back(std::move(setting));
    }
  }

  // The fields stay where they are in memory, wherever their map goes.
  void link() {
    for (auto& [name, field] : fields_) {
      field.name = name;
      for (const auto size : names_around(name))
        if (const auto around = fields_.find(std::string_view(name).substr(0, size));
            around != fields_.end()) {
          field.around.push_back(&around->second);
          around->second.inside.push_back(&field);
        }
    }
  }

  bool partial_ = false;
  std::vector<UnixMs> times_;
  std::vector<std::string> origins_;
  std::map<std::string, Field, CanonicalLess> fields_;
};

// What a field is after so many steps, looked at by itself. Unknown is, of a place, what was there before the
// value around it was set; and what a later change replaced, where something around or inside came to be in
// between.
std::optional<Standing> alone(const Field& field, std::size_t steps) {
  const auto* const last = last_before(field, steps);
  for (const auto* around : field.around)
    if (const auto* whole = last_before(*around, steps);
        whole != nullptr && (last == nullptr || last->order < whole->order))
      return std::nullopt;
  if (last != nullptr) return Standing{last->after, last->order, true};
  const auto& next = field.settings.front();
  const auto changes = [&](const Field* other) { return is_set_within(*other, steps, next.order); };
  if (next.before.form != Side::Form::value || std::ranges::any_of(field.inside, changes) ||
      std::ranges::any_of(field.around, changes))
    return std::nullopt;
  return Standing{next.before, next.order, false};
}

// What all fields are after so many steps, with what changed inside of a value put into it.
class Moment {
 public:
  explicit Moment(std::size_t steps) : steps_(steps) {}

  std::optional<Standing> of(const Field& field) {
    for (const auto* around : field.around)
      if (together(*around)) return std::nullopt;
    if (!field.inside.empty())
      if (const auto& whole = together(field)) return whole;
    return alone(field, steps_);
  }

 private:
  const std::optional<Standing>& together(const Field& field) {
    const auto [known, is_new] = known_.try_emplace(&field);
    if (is_new) known->second = put_together(field);
    return known->second;
  }

  // Empty where no value is known, or a place that changed is not in it.
  std::optional<Standing> put_together(const Field& field) const {
    auto whole = alone(field, steps_);
    if (!whole || !whole->set || whole->side.form != Side::Form::value) return std::nullopt;
    std::vector<std::pair<const Setting*, std::string_view>> changes;
    for (const auto* place : field.inside)
      for (const auto& setting : place->settings)
        if (setting.order > whole->order && setting.order.step < steps_)
          changes.emplace_back(&setting, pointer_from(field.name.size(), place->name));
    if (changes.empty()) return whole;
    std::ranges::sort(changes, {}, [](const auto& change) { return change.first->order; });
    json::Parser parser;
    json::Document document;
    if (!parser.parse(whole->side.value, document, {.depth_max = event_depth_max})) return std::nullopt;
    auto value = json::TreeNode::of(document.root());
    for (const auto& [setting, pointer] : changes) {
      const auto& side = setting->after;
      const bool done = side.form == Side::Form::value  ? put_at(value, pointer, side.value)
                        : side.form == Side::Form::none ? take_from(value, pointer)
                                                        : false;
      if (!done) return std::nullopt;
      whole->order = setting->order;
    }
    whole->side.value.clear();
    value.write(whole->side.value);
    return whole;
  }

  std::size_t steps_;
  std::map<const Field*, std::optional<Standing>> known_;
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
  Moment moment(steps);
  for (const auto& [name, field] : histories.fields())
    if (const auto state = histories.state(moment.of(field)); !state.empty())
      append_member(out, first, name, state);
  out.append("},\"last\":").append(steps == 0 ? "null" : histories.origin(steps - 1));
  fmt::format_to(std::back_inserter(out), ",\"entries\":{}", steps);
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

Result<std::string> fold_diff(EntityName entity, const Gathered& gathered, UnixMs from, UnixMs to) {
  VESTIGE_TRY(const auto histories, FieldHistories::of(gathered));
  Moment before(histories.until(from));
  Moment after(histories.until(to));
  auto out = begin(entity);
  out.append(",\"from\":").append(quoted_time(from)).append(",\"to\":").append(quoted_time(to));
  out.append(",\"fields\":{");
  bool first = true;
  for (const auto& [name, field] : histories.fields()) {
    const auto old_standing = before.of(field);
    const auto new_standing = after.of(field);
    if (histories.comparable(old_standing) == histories.comparable(new_standing)) continue;
    const auto old_state = histories.state(old_standing);
    const auto new_state = histories.state(new_standing);
    const auto shown = [](const std::string& state) { return state.empty() ? "null" : state; };
    append_member(out, first, name,
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
  for (const auto& [name, field] : histories.fields()) {
    auto text = histories.state(alone(field, steps));
    if (text.empty()) continue;
    text.pop_back();
    if (const auto previous = histories.previous(field.settings); !previous.empty())
      text.append(",\"previous\":").append(previous);
    append_member(out, first, name, fmt::format("{},\"changes\":{}}}", text, field.settings.size()));
  }
  out.push_back('}');
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

}  // namespace vestige::audit
