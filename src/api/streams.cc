#include <charconv>

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

constexpr std::chrono::seconds heartbeat{15};
constexpr std::uint32_t events_a_turn = 500;
constexpr std::chrono::milliseconds pump_max{50};  // then others may have the thread
constexpr std::size_t unsent_bytes_max = 1 << 20;  // of one follower, before it has to catch up

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<std::shared_ptr<const Api::Impl::ParsedSearch>> Api::Impl::search_of(
    const http::Request& request) const {
  std::string body = "{";
  if (const auto query = request.query_value("query")) {
    body += "\"query\":";
    json::append_quoted(body, *query);
  }
  if (const auto filter = request.query_value("filter")) {
    json::Parser parser;
    json::Document document;
    VESTIGE_CHECKED(parser.parse(*filter, document));
    body += fmt::format("{}\"filter\":{}", body.size() > 1 ? "," : "", json::canonical(document.root()));
  }
  return parse_search(body + "}");
}

Result<std::shared_ptr<const Api::Impl::ParsedSearch>> Api::Impl::parse_search(std::string_view body) const {
  json::Parser parser;
  auto parsed = std::make_shared<ParsedSearch>();
  VESTIGE_CHECKED(parser.parse(body, parsed->document));
  VESTIGE_TRY(parsed->search, audit::parse_search(parsed->document, parts_.clock.now()));
  return parsed;
}

// Where a stream begins: behind what the client had last, at an index, at a saved place, or with what comes.
Result<std::uint64_t> Api::Impl::first_of_stream(const Caller& caller, const http::Request& request) const {
  const auto last = request.header("last-event-id");
  const auto from = request.query_value("from");
  const auto name = request.query_value("cursor");
  const auto refuse = [](std::string what) { return fail(ErrorKind::invalid, std::move(what)); };
  // Where these lead may change after somebody said yes to the request.
  if (!caller.approval.empty() && (last || name))
    return refuse(
        "with an approval a stream begins at the parameter from, or with what comes; leave the header "
        "Last-Event-ID and the parameter cursor out");
  if (last) {
    const auto index = parse_index(*last);
    if (!index || *index == UINT64_MAX)
      return refuse("the header Last-Event-ID must be an index, as an event of the stream had it");
    return *index + 1;
  }
  if (name) {
    if (!audit::is_cursor_name(*name)) return refuse("the parameter cursor must be the name of a cursor");
    if (const auto cursor = saved_cursor(caller, *name)) return cursor->next;
  }
  if (!from) return caller.trail->reader().size();
  const auto index = parse_index(*from);
  if (!index) return refuse("the parameter from must be an index, a whole number from 0 on");
  return *index;
}

void Api::Impl::get_stream(const Caller& caller, http::Request request, http::Responder responder) {
  const auto next = first_of_stream(caller, request);
  if (!next) return responder.respond(http::problem(next.error()));
  const auto search = search_of(request);
  if (!search) return responder.respond(http::problem(search.error()));
  const auto visibility = visibility_of(caller);
  if (const auto visible = audit::check_visible(visibility, (*search)->search); !visible)
    return answer_look(caller, {}, {}, refusal(caller, visible.error()), std::move(responder));
  Follower follower{.stream = nullptr,
                    .search = *search,
                    .next = *next,
                    .last_sent = {},
                    .caller = caller,
                    .at = {.query = caller.trail->digests().recorded((*search)->search)},
                    .visibility = visibility};
  auto shared =
      std::make_shared<std::pair<http::Responder, Follower>>(std::move(responder), std::move(follower));
  // What lies before now is counted as an export is, which may take reading.
  parts_.queries.post([self = shared_from_this(), shared, asked = exact(caller, request)]() mutable {
    auto& [answer, begun] = *shared;
    const auto large = self->is_large(begun.caller, begun.search->search, begun.next);
    if (!large || *large) {
      auto response = large ? self->ask_bulk(begun.caller, std::move(asked)) : http::problem(large.error());
      return self->answer_look(begun.caller, begun.at, {}, std::move(response), std::move(answer));
    }
    auto look = self->look_of(begun.caller, begun.at, {}, 200);
    look.action = "WATCH_BEGUN";
    self->record_look(begun.caller, look, [self, shared](Status recorded) {
      if (!recorded) return shared->first.respond(http::problem(recorded.error()));
      self->begin_stream(std::move(shared->second), std::move(shared->first));
    });
  });
}

void Api::Impl::begin_stream(Follower follower, http::Responder responder) {
  Lock lock(streams_mutex_);
  const auto& who = follower.caller.principal;
  const auto own = std::ranges::count(watching_, std::pair(who.tenant, who.id));
  if (streams_closed_ || watching_.size() >= event_streams_max || own >= event_streams_of_one_max)
    return responder.respond(
        http::problem(Error{.kind = ErrorKind::unavailable,
                            .message = "no more event streams can be opened now; close one, or try again",
                            .limit = fmt::format("event_streams_max = {}, of one caller {}",
                                                 event_streams_max, event_streams_of_one_max)}));
  watching_.emplace_back(who.tenant, who.id);
  follower.stream = responder.stream();
  follower.last_sent = parts_.clock.monotonic();
  followers_.push_back(std::move(follower));
}

// What a follower was given; nothing waits for this entry.
void Api::Impl::record_stream(const Follower& ended) {
  note_look(ended.caller, look_of(ended.caller, ended.at, *ended.visibility.given_out, 200));
}

void Api::Impl::start_streams(std::chrono::milliseconds period) {
  parts_.queries.every(period, [self = weak_from_this()] {
    if (const auto impl = self.lock()) impl->pump_streams();
  });
}

// Brings a follower on by one turn.
Api::Impl::Fed Api::Impl::feed(Follower& follower, std::chrono::nanoseconds now) {
  if (!follower.stream->open()) return Fed::over;
  if (follower.stream->unsent_bytes() > unsent_bytes_max) return Fed::enough;
  auto& reader = follower.caller.trail->reader();
  if (follower.next < reader.size()) {
    const auto answer =
        reader.follow(follower.next, events_a_turn, follower.search->search, follower.visibility);
    // Damage ends the stream; the search that follows says what it is.
    if (!answer) return Fed::over;
    std::string bytes;
    for (const auto& item : answer->items)
      fmt::format_to(std::back_inserter(bytes), "id: {}\nevent: entry\ndata: {}\n\n", item.index, item.event);
    follower.next = answer->next;
    const auto fed = follower.next < reader.size() ? Fed::some : Fed::enough;
    if (bytes.empty()) return fed;
    follower.last_sent = now;
    return follower.stream->send(std::move(bytes)) ? fed : Fed::over;
  }
  if (now - follower.last_sent < heartbeat) return Fed::enough;
  follower.last_sent = now;
  return follower.stream->send(": nothing new\n\n") ? Fed::enough : Fed::over;
}

// Gives every follower what is new, as long as they may have it. Runs on a query thread, never twice at a
// time, and without the lock: whoever opens a stream waits on a thread that others need.
void Api::Impl::pump_streams() {
  std::vector<Follower> fed;
  {
    Lock lock(streams_mutex_);
    fed.swap(followers_);
  }
  const auto now = parts_.clock.monotonic();
  std::vector<Follower> left;
  while (!fed.empty()) {
    std::vector<Follower> more;
    for (auto& follower : fed) {
      const auto outcome = still_holds(follower.caller) ? feed(follower, now) : Fed::over;
      const bool go_on = outcome == Fed::some && parts_.clock.monotonic() - now < pump_max;
      if (outcome == Fed::over)
        end_stream(follower);
      else
        (go_on ? more : left).push_back(std::move(follower));
    }
    fed = std::move(more);
  }
  Lock lock(streams_mutex_);
  for (auto& follower : left) followers_.push_back(std::move(follower));
  if (!streams_closed_) return;
  for (const auto& follower : followers_) record_stream(follower);
  followers_.clear();
}

void Api::Impl::end_stream(const Follower& ended) {
  record_stream(ended);
  Lock lock(streams_mutex_);
  const auto& who = ended.caller.principal;
  watching_.erase(std::ranges::find(watching_, std::pair(who.tenant, who.id)));
}

void Api::Impl::close_streams() {
  Lock lock(streams_mutex_);
  streams_closed_ = true;
  for (const auto& follower : followers_) record_stream(follower);
  followers_.clear();
}

}  // namespace vestige::api
