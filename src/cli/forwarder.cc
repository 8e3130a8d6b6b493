#include "cli/internal/forwarder.h"

#include <fmt/format.h>

#include <charconv>

#include "base/check.h"
#include "cli/cli.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "json/object_writer.h"

namespace vestige::cli {
namespace {

using sources::kafka::Outgoing;
using std::chrono::milliseconds;

constexpr milliseconds serve_patience{50};  // while there is no room
constexpr milliseconds rest_step{100};
constexpr std::string_view mask = "•••";  // what the server shows in the place of a masked value

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One entity's entries have one key, so that they are in one partition, in order. There is none where the
// entity is not shown, since the key would show it.
std::optional<std::string> key_of(const json::Value& event) {
  const auto type = text_of(event, "targetType");
  const auto id = text_of(event, "targetId");
  if (type.empty() || id.empty() || type == mask || id == mask) return std::nullopt;
  return type + "/" + id;
}

// What an operator can do where Kafka takes nothing.
std::string_view remedy(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return " Make the topic, or name another one with --topic, and start again.";
    case ErrorKind::denied:
      return " Let its user write to the topic (in Kafka: Write, Describe), and start again.";
    default:
      return "";
  }
}

bool passes(unsigned status) { return status == 503; }  // stopping, or no room now

}  // namespace

Forwarder::Forwarder(const ForwardArguments& arguments, Surroundings& surroundings,
                     const std::function<Ending()>& ending)
    : arguments_(arguments), surroundings_(surroundings), ending_(ending), progress_(surroundings) {}

Status Forwarder::run() {
  // Whoever ends it at once may have cut off what it was asking.
  if (auto prepared = prepare(); !prepared) return ending_() == Ending::at_once ? Status{} : prepared;
  auto followed = follow_until_over();
  drain();
  if (auto saved = save_at_end(); !saved && followed) followed = std::move(saved);
  progress_.clear();
  return followed ? outcome_ : followed;
}

Status Forwarder::prepare() {
  VESTIGE_TRY(cursor_, cursor_of(arguments_));
  VESTIGE_TRY(auto cluster, cluster_of(arguments_));
  VESTIGE_CHECKED(find_server());
  VESTIGE_CHECKED(find_beginning());
  sender_ = std::make_unique<sources::kafka::Sender>(
      std::move(cluster), arguments_.topic,
      sources::kafka::Sender::Parts{
          .clock = platform::system_clock(),
          .say = [this](const std::string& text) { say(text); },
          .too_large = [this](std::uint64_t index,
                              const Outgoing& message) { return too_large(index, message); }});
  const auto id = sender_->connect();
  if (!id) {
    auto error = id.error();
    error.message = fmt::format("Kafka at {} cannot be written to: {}.{}", escaped(arguments_.brokers),
                                escaped(error.message), remedy(error.kind));
    return std::unexpected(std::move(error));
  }
  return look_for_loops(*id);
}

Status Forwarder::find_server() {
  VESTIGE_TRY(auto target, locate(arguments_.connection, surroundings_, KeyNeed::required));
  // An approval is for one request, and used up by it; so is what is asked for with a purpose.
  if (heard_ever_) target.approval.clear();
  auto plain = target;
  plain.approval.clear();
  plain.purpose.clear();
  connection_.emplace(std::move(target), [this] { return pump(milliseconds(0)); });
  beside_.emplace(std::move(plain), [this] { return ending_() != Ending::at_once; });
  return {};
}

// At the saved cursor, at --from, or at the first entry.
Status Forwarder::find_beginning() {
  next_ = arguments_.from.value_or(0);
  VESTIGE_TRY(const auto response, beside_->client().send("GET", cursor_path()));
  if (response.status == 404) return {};
  if (passes(response.status)) return fail(ErrorKind::unavailable, describe_refusal(response));
  if (response.status != 200) return std::unexpected(refusal(response));
  json::Document document;
  VESTIGE_CHECKED(parse_answer(response.body, document));
  const auto next = number_of(document.root(), "next", UINT64_MAX);
  if (next == UINT64_MAX)
    return fail(ErrorKind::corrupt, "The server's answer does not say where the cursor stands.");
  saved_ = next_ = next;
  return {};
}

Status Forwarder::look_for_loops(const std::string& cluster) {
  guard_.emplace(arguments_.topic, cluster);
  const auto looked = guard_->look_back(*beside_);
  if (looked || looked.error().kind != ErrorKind::denied) return looked;
  say(fmt::format("whether a capture of this trail reads {} is not known, since the key may not search: {}",
                  arguments_.topic, looked.error().message));
  return {};
}

Status Forwarder::follow_until_over() {
  auto pause = forward_pause_min;
  bool told = false;
  while (!over()) {
    const auto followed = follow();
    if (!outcome_ || over()) return {};
    if (!followed && (followed.error().kind != ErrorKind::unavailable || !heard_ever_)) return followed;
    if (heard_) {
      pause = forward_pause_min;
      told = false;
    }
    if (!told)
      say(fmt::format("the connection to {} was lost; going on from entry {} when it is back",
                      described(connection_->target()), next_));
    told = true;
    if (!rest(pause)) return {};
    pause = std::min(pause * 2, forward_pause_max);
    // One that was started anew may have another address. One that is down has none just now.
    if (const auto found = find_server(); !found && found.error().kind != ErrorKind::unavailable)
      return found;
  }
  return {};
}

Status Forwarder::follow() {
  heard_ = false;
  EventStreamParser parser;
  Status outcome;
  const auto response = connection_->client().stream(
      fmt::format("/api/events/stream?from={}{}", next_,
                  arguments_.query.empty() ? "" : "&query=" + encoded(arguments_.query)),
      {}, [&](std::string_view piece) {
        heard_ = heard_ever_ = true;
        const auto fed = parser.feed(piece, [&](const StreamEvent& event) {
          outcome = take(event);
          return outcome.has_value() && outcome_.has_value() && !over();
        });
        if (!fed) outcome = std::unexpected(fed.error());
        return outcome.has_value() && fed.value_or(false) && pump(milliseconds(0));
      });
  if (!outcome) return outcome;
  if (!response) return std::unexpected(response.error());
  if (passes(response->status)) return fail(ErrorKind::unavailable, describe_refusal(*response));
  if (response->status != 200) return std::unexpected(refusal(*response));
  heard_ = heard_ever_ = true;
  return {};
}

Status Forwarder::take(const StreamEvent& event) {
  if (event.type != "entry") return {};
  const auto index = parse_index(event.id);
  if (!index)
    return fail(ErrorKind::corrupt,
                fmt::format("The server sent an entry whose id \"{}\" is no index.", escaped(event.id)));
  if (*index < next_) return {};  // taken before the connection was lost
  // Whoever asked for some entries only gets them with gaps.
  if (*index > next_ && arguments_.query.empty())
    return fail(
        ErrorKind::corrupt,
        fmt::format("The server left out entries {} to {}: it sent {} instead. Nothing after the gap was "
                    "forwarded.",
                    next_, *index - 1, *index));
  VESTIGE_CHECKED(parse_answer(event.data, document_));
  VESTIGE_CHECKED(guard_->check(*index, document_.root()));
  VESTIGE_TRY(auto message, message_of(*index, event, document_.root()));
  while (!sender_->has_room())
    if (!pump(serve_patience)) return {};
  sender_->add(*index, std::move(message));
  next_ = *index + 1;
  ++taken_;
  return {};
}

Result<Outgoing> Forwarder::message_of(std::uint64_t index, const StreamEvent& event,
                                       const json::Value& root) {
  const auto tenant = text_of(root, "tenant");
  VESTIGE_TRY(const auto origin, origin_of(tenant));
  return Outgoing{.key = key_of(root),
                  .value = event.data,
                  .headers = {{"vestige.origin", origin},
                              {"vestige.index", std::to_string(index)},
                              {"vestige.id", text_of(root, "id")},
                              {"vestige.tenant", tenant}}};
}

// The name of the log: with the index it says which entry of which trail it is.
Result<std::string> Forwarder::origin_of(const std::string& tenant) {
  if (tenant == tenant_ && !origin_.empty()) return origin_;
  VESTIGE_TRY(const auto response,
              beside_->client().send("GET", fmt::format("/tlog/{}/audit/vkey", encoded(tenant))));
  if (passes(response.status)) return fail(ErrorKind::unavailable, describe_refusal(response));
  if (response.status != 200) return std::unexpected(refusal(response));
  const auto name_end = response.body.find('+');
  if (name_end == std::string::npos || name_end == 0)
    return fail(ErrorKind::corrupt, "The server's answer is no verifier key, whose name every message has.");
  tenant_ = tenant;
  origin_ = response.body.substr(0, name_end);
  return origin_;
}

// In the place of an entry that the topic does not take, so that nobody counts the indexes and misses one.
Result<Outgoing> Forwarder::too_large(std::uint64_t index, const Outgoing& message) {
  const auto bytes = message.value->size();
  const auto told =
      fmt::format("entry {} has {} bytes, more than the topic {} takes", index, bytes, arguments_.topic);
  if (!arguments_.skip_too_large)
    return fail(
        ErrorKind::exhausted,
        fmt::format("It ends here: {}. Raise the topic's max.message.bytes, let messages be compressed "
                    "(--option compression.type=zstd), or send a message that names the entry in its "
                    "place (--skip-too-large), and start again.",
                    told));
  ++skipped_;
  say(told + ", and was sent as its id and index alone");
  Outgoing stand_in{.key = message.key, .headers = message.headers};
  json::ObjectWriter value;
  for (const auto& [name, text] : message.headers)
    if (name == "vestige.id") value.text("id", *text);
  stand_in.value = value.raw("index", std::to_string(index)).raw("skippedBytes", std::to_string(bytes)).str();
  stand_in.headers.emplace_back("vestige.skipped", std::to_string(bytes));
  return stand_in;
}

// What is too large has said what to do about it.
Status Forwarder::serve(milliseconds patience) {
  auto served = sender_->serve(patience);
  if (served || served.error().kind == ErrorKind::exhausted) return served;
  auto& error = served.error();
  error.message = fmt::format("It ends here, at entry {}, and passes nothing over: {}.{}", done_up_to(),
                              escaped(error.message), remedy(error.kind));
  return served;
}

// False where it is to end, or cannot go on (outcome_).
bool Forwarder::pump(milliseconds patience) {
  if (!outcome_ || !sender_) return outcome_.has_value();
  outcome_ = serve(patience);
  const auto now = surroundings_.monotonic();
  if (outcome_ && now - looked_at_cursor_ >= cursor_save_period) {
    looked_at_cursor_ = now;
    auto saved = save_cursor();
    if (!saved && saved.error().kind != ErrorKind::unavailable) outcome_ = std::move(saved);
  }
  progress_.update(fmt::format("to {}, at entry {}", arguments_.topic, done_up_to()), std::nullopt,
                   sender_->acknowledged());
  return outcome_.has_value() && !over();
}

bool Forwarder::rest(milliseconds duration) {
  for (auto left = duration; left > left.zero(); left -= rest_step) {
    surroundings_.pause(std::min(left, rest_step));
    if (!pump(milliseconds(0))) return false;
  }
  return true;
}

bool Forwarder::over() {
  return ending_() != Ending::not_yet || (arguments_.count != 0 && taken_ >= arguments_.count);
}

// What was sent is waited for: as long as it takes where only the count has been reached.
void Forwarder::drain() {
  const auto end = surroundings_.monotonic() + flush_patience;
  const bool patient = outcome_ && arguments_.count != 0 && taken_ >= arguments_.count;
  while (outcome_ && sender_->held() > 0 && ending_() != Ending::at_once) {
    if ((!patient || ending_() != Ending::not_yet) && surroundings_.monotonic() >= end) return;
    outcome_ = serve(serve_patience);
  }
}

Status Forwarder::save_cursor() {
  const auto next = done_up_to();
  if (next == saved_) return {};
  VESTIGE_TRY(const auto response,
              beside_->client().send("PUT", cursor_path(), JsonObject().number("next", next).str(),
                                     "application/json"));
  if (passes(response.status)) return fail(ErrorKind::unavailable, describe_refusal(response));
  if (response.status != 200) return std::unexpected(refusal(response));
  saved_ = next;
  return {};
}

// A server that is away by then costs nothing but that some come again, which tell() says.
Status Forwarder::save_at_end() {
  const auto end = surroundings_.monotonic() + flush_patience;
  while (ending_() != Ending::at_once) {
    auto saved = save_cursor();
    if (saved || saved.error().kind != ErrorKind::unavailable) return saved;
    if (surroundings_.monotonic() >= end) break;
    surroundings_.pause(rest_step);
  }
  return {};
}

void Forwarder::tell() const {
  if (!sender_) return;
  const auto held = sender_->held();
  const bool is_saved = saved_ == done_up_to();
  if (wants_json(arguments_.connection, surroundings_)) {
    JsonObject object;
    object.number("acknowledged", sender_->acknowledged())
        .text("cursor", cursor_)
        .number("next", done_up_to());
    object.boolean("saved", is_saved).number("skipped", skipped_).number("unacknowledged", held);
    surroundings_.print(object.str() + "\n");
    return;
  }
  surroundings_.print(
      fmt::format("{} entries are acknowledged in {}; it goes on with entry {} (cursor {}{}).\n",
                  with_separators(sender_->acknowledged()), arguments_.topic, done_up_to(), cursor_,
                  is_saved ? "" : ", which could not be saved: some come again"));
  if (held > 0)
    surroundings_.print(
        fmt::format("{} more were sent and not acknowledged in time; they are sent again then.\n", held));
}

void Forwarder::say(const std::string& text) {
  progress_.clear();
  surroundings_.say(fmt::format("vestige: {}.\n", escaped(text)));
}

int forward(const ForwardArguments& arguments, Surroundings& surroundings,
            const std::function<Ending()>& ending) {
  Forwarder forwarder(arguments, surroundings, ending);
  const auto done = forwarder.run();
  forwarder.tell();
  return done ? exit_ok : report(surroundings, done.error());
}

}  // namespace vestige::cli
