#include <charconv>

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

constexpr std::chrono::seconds heartbeat{15};
constexpr std::uint32_t events_a_turn = 500;
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

void Api::Impl::get_stream(const Caller& caller, http::Request request, http::Responder responder) {
  std::uint64_t next = caller.trail->reader().size();
  if (const auto last = request.header("last-event-id")) {
    const auto index = parse_index(*last);
    if (!index || *index == UINT64_MAX)
      return responder.respond(
          http::problem(400, "the header Last-Event-ID must be an index, as an event of the stream had it"));
    next = *index + 1;
  } else if (const auto from = request.query_value("from")) {
    const auto index = parse_index(*from);
    if (!index)
      return responder.respond(
          http::problem(400, "the parameter from must be an index, a whole number from 0 on"));
    next = *index;
  }
  if (const auto name = request.query_value("cursor"); name && !request.header("last-event-id")) {
    if (!audit::is_cursor_name(*name))
      return responder.respond(http::problem(400, "the parameter cursor must be the name of a cursor"));
    if (const auto cursor = saved_cursor(caller, *name)) next = cursor->next;
  }
  const auto search = search_of(request);
  if (!search) return responder.respond(http::problem(search.error()));
  const auto visibility = visibility_of(caller);
  if (const auto visible = audit::check_visible(visibility, (*search)->search); !visible)
    return answer_look(caller, {}, {}, refusal(caller, visible.error()), std::move(responder));
  Follower follower{.stream = nullptr,
                    .search = *search,
                    .next = next,
                    .last_sent = {},
                    .caller = caller,
                    .at = {.query = caller.trail->digests().recorded((*search)->search),
                           .target_type = {},
                           .target_id = {}},
                    .visibility = visibility};
  auto look = look_of(caller, follower.at, {}, 200);
  look.action = "WATCH_BEGUN";
  auto shared =
      std::make_shared<std::pair<http::Responder, Follower>>(std::move(responder), std::move(follower));
  record_look(caller, look, [self = shared_from_this(), shared](Status recorded) {
    if (!recorded) return shared->first.respond(http::problem(recorded.error()));
    self->begin_stream(std::move(shared->second), std::move(shared->first));
  });
}

void Api::Impl::begin_stream(Follower follower, http::Responder responder) {
  Lock lock(streams_mutex_);
  if (streams_closed_ || followers_.size() >= event_streams_max)
    return responder.respond(http::problem(
        Error{.kind = ErrorKind::unavailable,
              .message = fmt::format("no more event streams can be opened now (event_streams_max = {})",
                                     event_streams_max)}));
  follower.stream = responder.stream();
  follower.last_sent = parts_.clock.monotonic();
  followers_.push_back(std::move(follower));
}

// What a follower was given; nothing waits for this entry.
void Api::Impl::record_stream(const Follower& ended) {
  record_look(ended.caller, look_of(ended.caller, ended.at, *ended.visibility.given_out, 200),
              [](const Status&) {});
}

void Api::Impl::start_streams(std::chrono::milliseconds period) {
  parts_.queries.every(period, [self = weak_from_this()] {
    if (const auto impl = self.lock()) impl->pump_streams();
  });
}

// Brings a follower on; false when it is over.
bool Api::Impl::feed(Follower& follower, std::chrono::nanoseconds now) {
  if (!follower.stream->open()) return false;
  if (follower.stream->unsent_bytes() > unsent_bytes_max) return true;
  auto& reader = follower.caller.trail->reader();
  if (follower.next < reader.size()) {
    const auto answer =
        reader.follow(follower.next, events_a_turn, follower.search->search, follower.visibility);
    // Damage ends the stream; the search that follows says what it is.
    if (!answer) return false;
    std::string bytes;
    for (const auto& item : answer->items)
      fmt::format_to(std::back_inserter(bytes), "id: {}\nevent: entry\ndata: {}\n\n", item.index, item.event);
    follower.next = answer->next;
    if (bytes.empty()) return true;
    follower.last_sent = now;
    return follower.stream->send(std::move(bytes));
  }
  if (now - follower.last_sent < heartbeat) return true;
  follower.last_sent = now;
  return follower.stream->send(": nothing new\n\n");
}

// Gives every follower what is new. Runs on a query thread, never twice at a time.
void Api::Impl::pump_streams() {
  Lock lock(streams_mutex_);
  const auto now = parts_.clock.monotonic();
  std::erase_if(followers_, [&](Follower& follower) {
    if (feed(follower, now)) return false;
    record_stream(follower);
    return true;
  });
}

void Api::Impl::close_streams() {
  Lock lock(streams_mutex_);
  streams_closed_ = true;
  for (const auto& follower : followers_) record_stream(follower);
  followers_.clear();
}

}  // namespace vestige::api
