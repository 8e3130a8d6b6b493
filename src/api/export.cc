#include <limits>

#include "api/internal/impl.h"
#include "base/uuid.h"

namespace vestige::api {
namespace {

constexpr std::size_t unsent_bytes_max = 1 << 20;  // of one export, before its receiver has to catch up
constexpr std::size_t piece_bytes_max = 1 << 20;   // sent at a time

constexpr std::string_view stopped = "the server was stopped";
constexpr std::string_view withdrawn =
    "whoever asked for it may not have it any more: the key or session ended, or the policy was changed";

// What a page needs, and a whole has no use for.
constexpr std::string_view of_pages[] = {"cursor", "facets", "histogram", "limit", "order", "total"};
// Members of a search that a URL can give as they are; "filter" is JSON.
constexpr std::string_view of_urls[] = {"action",  "id",       "kind", "query",    "sourceId", "sourceType",
                                        "subject", "targetId", "text", "timeFrom", "timeTo"};

std::unexpected<Error> refuse(std::string path, std::string what) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = std::move(path);
  return std::unexpected(std::move(error));
}

// The search of a URL as a body. What is not known is refused: it might have been meant to keep something
// out.
Result<std::string> body_of(const http::Request& request) {
  std::string body = "{";
  for (const auto& [name, value] : request.query) {
    if (name == "format") continue;
    if (body.size() > 1) body += ',';
    json::append_quoted(body, name);
    body += ':';
    if (name == "filter") {
      json::Parser parser;
      json::Document document;
      VESTIGE_CHECKED(parser.parse(value, document));
      json::append_canonical(body, document.root());
    } else if (std::ranges::find(of_urls, name) != std::end(of_urls)) {
      json::append_quoted(body, value);
    } else {
      return refuse("/" + name, fmt::format("an export takes no parameter \"{}\"", name));
    }
  }
  return body + "}";
}

Result<bool> wants_csv(const http::Request& request) {
  const auto format = request.query_value("format");
  if (!format || *format == "ndjson") return false;
  if (*format == "csv") return true;
  return refuse("/format", "must be ndjson or csv");
}

Status check_whole(const json::Value& asked) {
  for (const auto name : of_pages)
    if (asked.find(name).exists())
      return refuse(fmt::format("/{}", name), "has no place here: an export is whole, and oldest first");
  return {};
}

}  // namespace

void Api::Impl::get_export(const Caller& caller, http::Request request, http::Responder responder) {
  auto body = body_of(request);
  if (!body) return responder.respond(http::problem(body.error()));
  export_search(caller, request, *std::move(body), std::move(responder));
}

void Api::Impl::post_export(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "a search")) return responder.respond(*std::move(refused));
  auto body = request.body.empty() ? std::string("{}") : request.body;
  export_search(caller, request, std::move(body), std::move(responder));
}

void Api::Impl::export_search(const Caller& caller, const http::Request& request, std::string body,
                              http::Responder responder) {
  // As it came: an approval is for that.
  auto exact_request = exact(caller, request);
  const auto csv = wants_csv(request);
  if (!csv) return responder.respond(http::problem(csv.error()));
  auto search = parse_search(body);
  if (!search) return responder.respond(http::problem(search.error()));
  const auto asked = (*search)->document.root();
  if (const auto whole = check_whole(asked); !whole) return responder.respond(http::problem(whole.error()));
  audit::ExportOrder order{.search = (*search)->search,
                           .asked = json::canonical(asked),
                           .csv = *csv,
                           .exporter = caller.principal.id,
                           .exporter_name = caller.principal.name,
                           .now = parts_.clock.now()};
  {
    const Lock lock(exports_mutex_);
    const std::pair who(caller.principal.tenant, caller.principal.id);
    if (exports_closed_ || exporting_.size() >= exports_max ||
        std::ranges::count(exporting_, who) >= exports_of_one_max)
      return responder.respond(http::problem(Error{
          .kind = ErrorKind::unavailable,
          .message = "no more exports can be begun now; wait for one to end",
          .limit = fmt::format("exports_max = {}, of one caller {}", exports_max, exports_of_one_max)}));
    exporting_.push_back(who);
  }
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.queries.post([self = shared_from_this(), caller, exact_request = std::move(exact_request),
                       order = std::move(order), search = *std::move(search), shared]() mutable {
    self->begin_export(caller, std::move(exact_request), std::move(order), std::move(search),
                       std::move(*shared));
  });
}

// Whether an export is of so many entries that it waits for somebody's yes. Counts no further than that.
Result<bool> Api::Impl::is_large(const Caller& caller, const audit::Search& search, std::uint64_t from) {
  const auto& grant = caller.decision.grant;
  const auto waits = [&](std::uint64_t entries) {
    return caller.policy->waits_for_bulk(grant, caller.approved_by, entries);
  };
  if (!waits(std::numeric_limits<std::uint64_t>::max())) return false;
  std::uint64_t entries = 0;
  auto visibility = visibility_of(caller);
  visibility.masks = false;
  VESTIGE_CHECKED(caller.trail->reader().visit(from, caller.trail->reader().size(), search, visibility,
                                               [&](const audit::MatchedEntry&) -> Result<bool> {
                                                 ++entries;
                                                 return !waits(entries);
                                               }));
  return waits(entries);
}

http::Response Api::Impl::ask_bulk(const Caller& caller, access::ExactRequest request) {
  return ask_approval(caller, std::move(request), access::bulk_export_rule,
                      fmt::format("more than {} entries", caller.policy->export_entries()));
}

// Every export passes here, with who asks for what: that it begins goes on record before anything of it is
// sent, and what it gave out when it ends.
void Api::Impl::begin_export(const Caller& caller, access::ExactRequest exact_request,
                             audit::ExportOrder order, std::shared_ptr<const ParsedSearch> search,
                             http::Responder responder) {
  const bool csv = order.csv;
  const auto asked_for = order.search;
  const LookedAt at{
      .query = caller.trail->digests().recorded(order.search), .target_type = {}, .target_id = {}};
  auto visibility = visibility_of(caller);
  visibility.masks = false;
  auto given_out = visibility.given_out;
  auto begun = audit::Export::begin(caller.trail->reader(), std::move(visibility), std::move(order));
  if (!begun) {
    leave_export(caller);
    return answer_look(caller, at, {}, refusal(caller, begun.error()), std::move(responder));
  }
  const auto large = is_large(caller, asked_for);
  if (!large || *large) {
    leave_export(caller);
    auto response = large ? ask_bulk(caller, std::move(exact_request)) : http::problem(large.error());
    return answer_look(caller, at, {}, std::move(response), std::move(responder));
  }
  auto look = look_of(caller, at, {}, 200);
  look.action = "EXPORT_BEGUN";
  auto running = std::make_shared<RunningExport>(RunningExport{.search = std::move(search),
                                                               .file = *std::move(begun),
                                                               .stream = nullptr,
                                                               .caller = caller,
                                                               .at = at,
                                                               .given_out = std::move(given_out)});
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  record_look(caller, look, [self = shared_from_this(), running, csv, shared](Status recorded) {
    if (recorded) return self->run_export(std::move(*running), csv, std::move(*shared));
    self->leave_export(running->caller);
    shared->respond(http::problem(recorded.error()));
  });
}

void Api::Impl::leave_export(const Caller& caller) {
  const Lock lock(exports_mutex_);
  exporting_.erase(std::ranges::find(exporting_, std::pair(caller.principal.tenant, caller.principal.id)));
}

void Api::Impl::run_export(RunningExport running, bool csv, http::Responder responder) {
  const Lock lock(exports_mutex_);
  if (exports_closed_)
    return responder.respond(
        http::problem(Error{.kind = ErrorKind::unavailable, .message = std::string(stopped)}));
  running.stream =
      responder.stream({{"Content-Disposition",
                         fmt::format("attachment; filename=\"vestige-export.{}\"", csv ? "csv" : "ndjson")}},
                       csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
  exports_.push_back(std::move(running));
}

// What an export gave out, whether it came to its end or not; it was given, so nothing waits for this entry.
void Api::Impl::record_export(const RunningExport& ended) {
  auto look = look_of(ended.caller, ended.at, *ended.given_out, 200);
  if (!ended.whole || ended.sent < ended.bytes.size()) look.outcome = "failure";
  note_look(ended.caller, look);
}

bool Api::Impl::RunningExport::advance() {
  if (!stream->open()) return false;
  if (stream->unsent_bytes() > unsent_bytes_max) return true;
  if (sent == bytes.size()) {
    bytes.clear();
    sent = 0;
    whole = !file->next(bytes);
  }
  auto piece = bytes.substr(sent, piece_bytes_max);
  sent += piece.size();
  if (!stream->send(std::move(piece))) return false;
  return !whole || sent < bytes.size();
}

void Api::Impl::start_exports(std::chrono::milliseconds period) {
  parts_.queries.every(period, [self = weak_from_this()] {
    if (const auto impl = self.lock()) impl->pump_exports();
  });
}

// What is made is followed by the reason why there is no more; a receiver far behind misses both and sees the
// file end without a closing line.
void Api::Impl::RunningExport::abandon(std::string_view why) {
  auto rest = bytes.substr(sent);
  file->abandon(rest, why);
  stream->send(std::move(rest));
}

// Brings every export on by a piece. Runs on a query thread, never twice at a time, so that exports leave the
// other one to those who search; and without the lock, so that nobody waits for it who begins one.
void Api::Impl::pump_exports() {
  std::vector<RunningExport> running;
  {
    const Lock lock(exports_mutex_);
    running.swap(exports_);
  }
  if (running.empty()) return;
  std::erase_if(running, [&](RunningExport& each) {
    if (!still_holds(each.caller))
      each.abandon(withdrawn);
    else if (each.advance())
      return false;
    record_export(each);
    leave_export(each.caller);
    return true;
  });
  const Lock lock(exports_mutex_);
  for (auto& each : running) {
    if (!exports_closed_) {
      exports_.push_back(std::move(each));
      continue;
    }
    each.abandon(stopped);
    record_export(each);
  }
}

void Api::Impl::close_exports() {
  const Lock lock(exports_mutex_);
  exports_closed_ = true;
  for (auto& running : exports_) {
    running.abandon(stopped);
    record_export(running);
  }
  exports_.clear();
}

}  // namespace vestige::api
