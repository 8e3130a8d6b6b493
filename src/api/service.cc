#include "api/internal/impl.h"
#include "platform/process.h"

namespace vestige::api {
namespace {

void figure(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            std::uint64_t value) {
  fmt::format_to(std::back_inserter(out), "# HELP vestige_{0} {1}\n# TYPE vestige_{0} {2}\nvestige_{0} {3}\n",
                 name, help, type, value);
}

// Each figure once for every source that has it; nothing where none does.
void append_capture_figures(std::string& out, const std::vector<CaptureFigures>& captures) {
  using Value = std::optional<std::uint64_t>;
  const auto append = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value_of) {
    bool first = true;
    for (const auto& capture : captures) {
      const Value value = value_of(capture);
      if (!value) continue;
      if (first)
        fmt::format_to(std::back_inserter(out),
                       "# HELP vestige_capture_{0} {1}\n# TYPE vestige_capture_{0} {2}\n", name, help, type);
      first = false;
      fmt::format_to(std::back_inserter(out), "vestige_capture_{}{{capture=\"{}\"}} {}\n", name, capture.name,
                     *value);
    }
  };
  append("connected", "gauge", "1 while the source's changes are followed.",
         [](const auto& capture) -> Value { return std::uint64_t{capture.connected}; });
  append("lag_bytes", "gauge", "Log that the source keeps because it is not on record yet.",
         [](const auto& capture) { return capture.lag_bytes; });
  append("lag_messages", "gauge", "Commands that are there and not on record yet.",
         [](const auto& capture) { return capture.lag_messages; });
  append("rows_total", "counter", "Rows and commands put on record since start.",
         [](const auto& capture) -> Value { return capture.rows; });
  append("unattributed_total", "counter", "Rows of which nobody said who changed them.",
         [](const auto& capture) { return capture.unattributed; });
  append("refused_total", "counter",
         "Commands that went to the topic for dead letters; each is an entry REFUSED.",
         [](const auto& capture) { return capture.refused; });
  append("gaps_total", "counter", "Times that changes were lost; each is an entry GAP.",
         [](const auto& capture) -> Value { return capture.gaps; });
  append("rebalances_total", "counter", "Times that Kafka shared out the partitions anew.",
         [](const auto& capture) { return capture.rebalances; });
}

}  // namespace

void Api::Impl::get_health(http::Request, http::Responder responder) {
  responder.respond(
      json_response(200, fmt::format("{{\"status\":\"ok\",\"version\":\"{}\"}}", parts_.version)));
}

void Api::Impl::get_ready(http::Request, http::Responder responder) {
  if (parts_.log.figures().writing_stopped)
    return responder.respond(http::problem(Error{
        .kind = ErrorKind::unavailable,
        .message =
            "writing has stopped because the disk failed a write or a sync; restart the server when the disk "
            "is in order. Reading goes on"}));
  responder.respond(json_response(200, "{\"status\":\"ready\"}"));
}

void Api::Impl::get_matrix(const Caller& caller, http::Request, http::Responder responder) {
  responder.respond(json_response(200, access::matrix_json(*caller.policy)));
}

// Figures are of all tenants together, and would tell one of the others: where there are others, they are for
// the home tenant. Asks the database, so not on the loop's threads.
void Api::Impl::get_metrics(http::Request request, http::Responder responder) {
  if (!parts_.tenants.alone()) {
    const auto caller = signed_in(request, client_of(request));
    const bool may = caller && !caller->restricted && caller->principal.tenant == access::home_tenant_id &&
                     caller->principal.kind != access::PrincipalKind::customer;
    if (!may)
      return responder.respond(http::problem(
          401,
          "this server has several tenants, whose figures are for whoever runs it: send the header "
          "Authorization: Bearer <key> with a key of the tenant default"));
  }
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.signing.post([self = shared_from_this(), shared] { shared->respond(self->metrics()); });
}

http::Response Api::Impl::metrics() {
  const auto log = parts_.log.figures();
  const auto server = parts_.http_figures();
  auto& home = *parts_.trail_of(access::home_tenant_id);
  const auto ids = home.stream().ids().figures();
  std::string out;
  figure(out, "entries", "gauge", "Entries of the audit stream.", home.stream().size());
  figure(out, "entries_sealed", "gauge", "Entries of the audit stream that are in segments.",
         home.stream().sealed_size());
  figure(out, "checkpoint_size", "gauge", "Size of the tree that was signed last.",
         home.signer().signed_size());
  figure(out, "commit_groups_total", "counter", "Group commits since start.", log.groups);
  figure(out, "commit_records_total", "counter", "Entries committed since start.", log.records);
  figure(out, "commit_refused_total", "counter", "Requests that the log refused since start.", log.refused);
  figure(out, "commit_queue", "gauge", "Requests that wait for the committer.", log.queued);
  figure(out, "wal_bytes", "gauge", "Bytes of write-ahead log files.", log.wal_bytes);
  figure(out, "head_bytes", "gauge", "Bytes of entries in memory that are not yet in pages.", log.head_bytes);
  figure(out, "segments_sealed_total", "counter", "Segments closed since start.", log.segments_sealed);
  figure(out, "sealing_failing", "gauge", "1 while sealing fails and is tried again.",
         log.sealing_problem.empty() ? 0 : 1);
  figure(out, "writing_stopped", "gauge", "1 after the disk failed a write or a sync, until a restart.",
         log.writing_stopped ? 1 : 0);
  figure(out, "ids_in_memory", "gauge", "Ids that are in no run yet.", ids.in_memory);
  figure(out, "ids_filter_bytes", "gauge", "Bytes of the id filter.", ids.filter_bytes);
  figure(out, "http_connections", "gauge", "Open connections.", server.connections_open);
  figure(out, "http_connections_total", "counter", "Connections since start.", server.connections_total);
  figure(out, "http_refused_total", "counter", "Connections and requests refused for a limit since start.",
         server.refused_total);
  figure(
      out, "http_answers_cut_total", "counter",
      "Answers cut off since start because those that wait for slow readers took all the memory set aside.",
      server.answers_cut_total);
  figure(out, "http_bytes_in_total", "counter", "Bytes received since start.", server.bytes_in);
  figure(out, "http_bytes_out_total", "counter", "Bytes sent since start.", server.bytes_out);
  if (const auto outbox = parts_.outbox.figures()) {
    figure(out, "outbox_waiting", "gauge", "Changes of state that are not in the trail yet.",
           outbox->waiting);
    figure(out, "outbox_oldest_ms", "gauge",
           "How long the first of them has waited: raise an alarm past a minute.",
           static_cast<std::uint64_t>(outbox->oldest.count()));
    figure(out, "outbox_refused", "gauge", "Events that the trail refused and that were set aside.",
           outbox->refused);
  }
  figure(out, "sessions", "gauge", "Sessions of people who are signed in.",
         parts_.identity.sessions().size());
  figure(out, "password_hashes_total", "counter", "Passwords hashed or compared since start.",
         parts_.identity.passwords_hashed());
  figure(out, "resident_bytes", "gauge", "Resident memory of the server.", platform::resident_bytes());
  append_capture_figures(out, parts_.capture_figures());
  out.append(
      "# HELP vestige_http_responses_total Answers since start, by status.\n# TYPE "
      "vestige_http_responses_total counter\n");
  for (const auto& [status, count] : server.responses_by_status)
    fmt::format_to(std::back_inserter(out), "vestige_http_responses_total{{status=\"{}\"}} {}\n", status,
                   count);
  return {.status = 200,
          .content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = std::move(out),
          .headers = {}};
}

}  // namespace vestige::api
