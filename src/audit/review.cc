#include "audit/review.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <set>

#include "audit/internal/members.h"
#include "audit/limits.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "json/object_writer.h"

namespace vestige::audit {
namespace {

constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr int first_hour = 6;  // of those in which people work, UTC
constexpr int last_hour = 20;
constexpr std::string_view look_kind = "data.access";
constexpr std::string_view sign_off_kind = "system.review";
constexpr std::string_view customer_type = "CUSTOMER";
constexpr std::uint64_t waiting_status = 202;

// The strings of a list; none where this is no list.
std::vector<std::string_view> texts_of(const json::Value& list) {
  std::vector<std::string_view> texts;
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i)
    if (list.at(i).is_string()) texts.push_back(list.at(i).string());
  return texts;
}

std::string day_text(std::int64_t day) { return format_time(UnixMs{day * day_ms}).substr(0, 10); }

bool is_off_hours(UnixMs time) {
  const std::chrono::sys_days day{std::chrono::days{time.value / day_ms}};
  const std::chrono::weekday weekday{day};
  const auto hour = time.value % day_ms / hour_ms;
  return weekday == std::chrono::Saturday || weekday == std::chrono::Sunday || hour < first_hour ||
         hour >= last_hour;
}

// How often something was, and the first looks of it.
struct Tally {
  std::uint64_t count = 0;
  std::vector<std::uint64_t> looks;
  void add(std::uint64_t index) {
    ++count;
    if (looks.size() < review_looks_named_max) looks.push_back(index);
  }
};

struct Who {
  std::string type, id, role;
  auto operator<=>(const Who&) const = default;
};

// What a finding is about besides who; each may be empty.
struct Where {
  std::string day{}, person{};
};

struct Person {
  std::string name;
  std::uint64_t before[review_months_before] = {};  // looks, by month
  Tally looks, off_hours, shown;
  std::map<std::string, std::uint64_t, std::less<>> actions;
  std::set<std::int64_t> days;
  UnixMs first{}, last{};
  std::uint64_t entries = 0, refused = 0, revealed = 0, exports = 0, exported = 0, prints = 0,
                without_reason = 0;
  std::map<std::string, Tally, std::less<>> persons;  // whose values were in what was given out, by ref
  bool more_persons = false;
  std::map<std::int64_t, Tally> refused_by_day;
  // Whose values were shown, by day.
  std::map<std::int64_t, std::set<std::string, std::less<>>> persons_by_day;
  std::map<std::int64_t, Tally> shown_by_day;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> large_exports;  // index, entries

  std::uint64_t looks_before() const {
    std::uint64_t sum = 0;
    for (const auto count : before) sum += count;
    return sum;
  }
  std::uint64_t usual() const {
    std::uint64_t months = 0;
    for (const auto count : before) months += count > 0;
    return months == 0 ? 0 : looks_before() / months;
  }
};

class Review {
 public:
  explicit Review(Month month) : month_(month) {}

  Result<bool> take(const MatchedEntry& found) {
    const auto& event = found.value;
    if (text_of(event, "kind") == sign_off_kind) {
      take_sign_off(found);
      return true;
    }
    const auto time = parse_time(text_of(event, "time"));
    if (!time) return true;
    const Who who{std::string(text_of(event, "sourceType")), std::string(text_of(event, "sourceId")),
                  std::string(text_of(event.find("detail"), "role"))};
    // Customers see what is about themselves, and who they are is sealed.
    if (who.type == customer_type) return true;
    auto place = people_.find(who);
    if (place == people_.end()) {
      if (people_.size() >= review_people_max) {
        more_people_ = true;
        return true;
      }
      place = people_.emplace(who, Person{}).first;
    }
    // What an export or a live view begins with is told once more when it ends.
    if (text_of(event, "action").ends_with("_BEGUN")) return true;
    for (int i = 0; i < review_months_before; ++i)
      if (*time >= month_.before(i + 1).begin() && *time < month_.before(i).begin()) {
        ++place->second.before[i];
        anybody_before_ = true;
      }
    if (*time >= month_.begin() && *time < month_.before(-1).begin())
      take_look(place->second, found.index, *time, event);
    return true;
  }

  std::string report(const std::string& tree) {
    std::vector<std::pair<const Who*, const Person*>> rows;
    for (const auto& [who, person] : people_)
      if (person.looks.count > 0) rows.emplace_back(&who, &person);
    // Most looks first; equal ones stay in the order of the map.
    std::ranges::sort(rows, [](const auto& a, const auto& b) {
      return std::pair(b.second->looks.count, *a.first) < std::pair(a.second->looks.count, *b.first);
    });
    json::ObjectWriter out;
    out.text("month", month_.text()).raw("tree", tree);
    std::string list;
    for (const auto& [who, person] : rows) list += (list.empty() ? "" : ",") + row_json(*who, *person);
    out.raw("people", "[" + list + "]");
    for (const auto& [who, person] : rows) find_unusual(*who, *person);
    out.raw("unusual", fmt::format("[{}]", fmt::join(findings_, ",")));
    out.raw("signOffs", fmt::format("[{}]", fmt::join(sign_offs_, ",")));
    if (more_people_ || more_findings_) out.raw("more", "true");
    return out.str();
  }

 private:
  void take_sign_off(const MatchedEntry& found) {
    const auto detail = found.value.find("detail");
    if (text_of(detail, "month") != month_.text() || sign_offs_.size() >= review_sign_offs_max) return;
    json::ObjectWriter out;
    out.raw("index", fmt::format("{}", found.index)).text("time", text_of(found.value, "time"));
    name_source(out,
                {std::string(text_of(found.value, "sourceType")),
                 std::string(text_of(found.value, "sourceId")), std::string(text_of(detail, "role"))},
                text_of(found.value.find("sourceEntityMeta"), "name"));
    out.raw("size", fmt::format("{}", count_of(detail, "size")));
    out.text_if_any("comment", text_of(detail, "comment"));
    sign_offs_.push_back(out.str());
  }

  static void take_look(Person& person, std::uint64_t index, UnixMs time, const json::Value& event) {
    const auto detail = event.find("detail");
    const auto day = time.value / day_ms;
    if (const auto name = text_of(event.find("sourceEntityMeta"), "name"); !name.empty()) person.name = name;
    person.looks.add(index);
    ++person.actions[std::string(text_of(event, "action"))];
    person.days.insert(day);
    if (person.looks.count == 1) person.first = time;
    person.last = time;
    const auto entries = count_of(detail, "count");
    person.entries += entries;
    person.prints += text_of(detail, "access_type") == "print";
    // Not what waits for a yes: that was asked for as it should be.
    if (text_of(detail, "outcome") == "unauthorized" && count_of(detail, "status") != waiting_status) {
      ++person.refused;
      person.refused_by_day[day].add(index);
    }
    const auto action = text_of(event, "action");
    if (action == "EXPORTED" || action == "WATCHED") {
      person.exports += action == "EXPORTED";
      if (action == "EXPORTED") person.exported += entries;
      if (entries >= review_large_export) person.large_exports.emplace_back(index, entries);
    }
    const auto refs = texts_of(detail.find("subjects"));
    const auto classes = texts_of(detail.find("shown"));
    const bool shown = !refs.empty() && std::ranges::find(classes, "personal") != classes.end();
    if (shown) {
      person.shown.add(index);
      person.shown_by_day[day].add(index);
      if (is_off_hours(time)) person.off_hours.add(index);
      person.without_reason += text_of(detail, "access_reason").empty();
      person.revealed += std::ranges::find(classes, "sensitive") != classes.end();
    }
    for (const auto ref : refs) {
      auto known = person.persons.find(ref);
      if (known == person.persons.end()) {
        if (person.persons.size() >= review_persons_max) {
          person.more_persons = true;
          continue;
        }
        known = person.persons.emplace(std::string(ref), Tally{}).first;
      }
      if (!shown) continue;
      // On a single one: a list of a hundred customers is a look at none of them.
      if (refs.size() == 1) known->second.add(index);
      person.persons_by_day[day].emplace(ref);
    }
  }

  static void name_source(json::ObjectWriter& out, const Who& who, std::string_view name) {
    out.text_if_any("sourceType", who.type).text_if_any("sourceId", who.id);
    out.text_if_any("name", name).text_if_any("role", who.role);
  }

  static std::string row_json(const Who& who, const Person& person) {
    const auto number = [](std::uint64_t value) { return fmt::format("{}", value); };
    json::ObjectWriter actions;
    for (const auto& [action, count] : person.actions) actions.raw(action, number(count));
    json::ObjectWriter out;
    name_source(out, who, person.name);
    out.raw("looks", number(person.looks.count))
        .raw("usual", number(person.usual()))
        .raw("days", number(person.days.size()))
        .text("first", format_time(person.first))
        .text("last", format_time(person.last))
        .raw("actions", actions.str())
        .raw("entries", number(person.entries))
        .raw("persons", number(person.persons.size()));
    if (person.more_persons) out.raw("personsMore", "true");
    return out.raw("refused", number(person.refused))
        .raw("offHours", number(person.off_hours.count))
        .raw("revealed", number(person.revealed))
        .raw("exports", number(person.exports))
        .raw("exported", number(person.exported))
        .raw("prints", number(person.prints))
        .raw("withoutReason", number(person.without_reason))
        .str();
  }

  void finding(std::string_view rule, const Who& who, const Person& person, std::uint64_t count,
               std::uint64_t limit, const std::vector<std::uint64_t>& looks, const Where& where = {}) {
    if (count < limit) return;
    if (findings_.size() >= review_findings_max) {
      more_findings_ = true;
      return;
    }
    json::ObjectWriter out;
    out.text("rule", rule);
    name_source(out, who, person.name);
    out.raw("count", fmt::format("{}", count)).raw("limit", fmt::format("{}", limit));
    out.text_if_any("day", where.day).text_if_any("person", where.person);
    findings_.push_back(out.raw("looks", fmt::format("[{}]", fmt::join(looks, ","))).str());
  }

  void find_unusual(const Who& who, const Person& person) {
    for (const auto& [day, refused] : person.refused_by_day)
      finding("refusals", who, person, refused.count, review_refusals_a_day, refused.looks,
              {.day = day_text(day)});
    for (const auto& [day, persons] : person.persons_by_day)
      finding("persons_in_a_day", who, person, persons.size(), review_persons_a_day,
              person.shown_by_day.at(day).looks, {.day = day_text(day)});
    for (const auto& [ref, looks] : person.persons)
      finding("one_person", who, person, looks.count, review_looks_on_one_person, looks.looks,
              {.person = ref});
    if (person.looks.count > review_times_usual * person.usual() && person.usual() > 0)
      finding("more_than_usual", who, person, person.looks.count, review_looks_more_than_usual,
              person.looks.looks);
    finding("off_hours", who, person, person.off_hours.count, review_off_hours, person.off_hours.looks);
    for (const auto& [index, entries] : person.large_exports)
      finding("large_export", who, person, entries, review_large_export, {index});
    if (anybody_before_ && person.looks_before() == 0)
      finding("newcomer", who, person, person.shown.count, review_newcomer_looks, person.shown.looks);
  }

  const Month month_;
  std::map<Who, Person> people_;
  bool more_people_ = false;
  bool more_findings_ = false;
  bool anybody_before_ = false;
  std::vector<std::string> findings_, sign_offs_;
};

}  // namespace

std::optional<Month> Month::parse(std::string_view text) {
  const auto number = [](std::string_view digits) -> int {
    int value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : -1;
  };
  if (text.size() != 7 || text[4] != '-') return std::nullopt;
  const Month month{number(text.substr(0, 4)), number(text.substr(5))};
  // The month after it is written too.
  if (month.year < 1970 || month.year > 9998 || month.number < 1 || month.number > 12) return std::nullopt;
  return month;
}

std::string Month::text() const { return fmt::format("{:04}-{:02}", year, number); }

UnixMs Month::begin() const {
  const std::chrono::sys_days day{std::chrono::year_month_day{
      std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(number)}, std::chrono::day{1}}};
  return UnixMs{day.time_since_epoch().count() * day_ms};
}

Month Month::before(int months) const {
  const int all = year * 12 + number - 1 - months;
  return {all / 12, all % 12 + 1};
}

Result<std::string> review_access(Reader& looks, const Visibility& visibility, Month month) {
  // Signed off is any time after the month began.
  const auto asked = fmt::format(
      R"({{"filter":{{"or":[{{"and":[{{"field":"kind","equals":"{}"}},{{"field":"time","range":{{"gte":"{}","lt":"{}"}}}}]}},{{"and":[{{"field":"kind","equals":"{}"}},{{"field":"targetId","equals":"{}"}}]}}]}}}})",
      look_kind, format_time(month.before(review_months_before).begin()),
      format_time(month.before(-1).begin()), sign_off_kind, month.text());
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(asked, document));
  VESTIGE_TRY(const auto search, parse_search(document, month.begin()));
  const auto snapshot = looks.stream().snapshot();
  Review review(month);
  VESTIGE_CHECKED(looks.visit(0, snapshot.size(), search, visibility,
                              [&](const MatchedEntry& found) { return review.take(found); }));
  return review.report(json::ObjectWriter()
                           .raw("size", fmt::format("{}", snapshot.size()))
                           .text("root", to_base64(snapshot.root()))
                           .str());
}

Result<std::string> sign_off_event(const SignOff& sign_off) {
  if (sign_off.comment.size() > look_reason_bytes_max)
    return std::unexpected(Error{.kind = ErrorKind::invalid,
                                 .message = "is longer than a comment may be",
                                 .path = "/comment",
                                 .limit = fmt::format("look_reason_bytes_max = {}", look_reason_bytes_max)});
  json::ObjectWriter detail;
  detail.text("month", sign_off.month.text()).raw("size", fmt::format("{}", sign_off.size));
  detail.text_if_any("comment", sign_off.comment).text_if_any("role", sign_off.role);
  json::ObjectWriter event;
  event.text("kind", sign_off_kind).text("action", "SIGNED_OFF");
  event.text("sourceType", sign_off.source_type).text("sourceId", sign_off.source_id);
  event.raw("sourceEntityMeta", json::ObjectWriter().text_if_any("name", sign_off.source_name).str());
  event.text("targetType", "MONTH").text("targetId", sign_off.month.text()).raw("detail", detail.str());
  return event.str();
}

}  // namespace vestige::audit
