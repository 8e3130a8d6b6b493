// The handlers, by resource. One file each: events.cc, search.cc, export.cc, records.cc, entities.cc,
// keys.cc, cursors.cc, subjects.cc, tlog.cc, service.cc, streams.cc.
#pragma once

#include <fmt/format.h>

#include "api/api.h"
#include "audit/export.h"
#include "audit/gather.h"
#include "base/mutex.h"
#include "json/json.h"

namespace vestige::api {

// Who calls: a key that exists, with the scope that the operation needs.
using AuthorisedHandler = std::function<void(const ApiKey&, http::Request, http::Responder)>;

class Api::Impl : public std::enable_shared_from_this<Api::Impl> {
 public:
  explicit Impl(ApiParts parts) : parts_(std::move(parts)) {}

  void add_routes(http::Router& router);
  std::optional<http::Response> gate(const http::Request& request) const;
  void start_streams(std::chrono::milliseconds period);
  void pump_streams();
  void close_streams();
  void start_exports(std::chrono::milliseconds period);
  void pump_exports();
  void close_exports();

 private:
  // A search and the text that it points into.
  struct ParsedSearch {
    json::Document document;
    audit::Search search;
  };
  // Of the members of a search that a URL gives: "query" and "filter".
  Result<std::shared_ptr<const ParsedSearch>> search_of(const http::Request& request) const;
  Result<std::shared_ptr<const ParsedSearch>> parse_search(std::string_view body) const;

  struct Follower {
    std::shared_ptr<http::EventStream> stream;
    std::shared_ptr<const ParsedSearch> search;
    std::uint64_t next;
    std::chrono::nanoseconds last_sent;
  };
  struct RunningExport {
    std::shared_ptr<const ParsedSearch> search;
    std::unique_ptr<audit::Export> file;
    std::shared_ptr<http::EventStream> stream;
    std::string bytes{};  // of the file, made and not yet sent from `sent` on
    std::size_t sent = 0;
    bool whole = false;  // no more will be made
    bool advance();      // false when it is over
    void abandon(std::string_view why);
  };

  http::Handler open_to_all(void (Impl::*handler)(http::Request, http::Responder));
  http::Handler needs(Scope scope, void (Impl::*handler)(const ApiKey&, http::Request, http::Responder));
  std::optional<ApiKey> caller_of(const http::Request& request) const;
  // Runs on a query thread.
  void query(http::Responder responder, std::function<http::Response()> answer);
  // Runs where erasures do.
  void act(http::Responder responder, std::function<http::Response()> answer);

  void post_events(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_import(const ApiKey& caller, http::Request request, http::Responder responder);
  void submit(audit::Batch batch, http::Responder responder);
  void get_event(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_sealed(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_proof(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_disclose(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_export(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_export(const ApiKey& caller, http::Request request, http::Responder responder);
  void export_search(const ApiKey& caller, const http::Request& request, std::string body,
                     http::Responder responder);
  void begin_export(audit::ExportOrder order, std::shared_ptr<const ParsedSearch> search,
                    http::Responder responder);
  void get_stream(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_cursors(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_cursor(const ApiKey& caller, http::Request request, http::Responder responder);
  void put_cursor(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_search(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_record(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_history(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_timeline(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_state(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_diff(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_blame(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_keys(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_keys(const ApiKey& caller, http::Request request, http::Responder responder);
  void delete_key(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_erase(const ApiKey& caller, http::Request request, http::Responder responder);
  void post_reauthorise(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_subject_keys(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_certificate(const ApiKey& caller, http::Request request, http::Responder responder);
  void get_checkpoint(http::Request request, http::Responder responder);
  void get_verifier_key(http::Request request, http::Responder responder);
  void get_tile(http::Request request, http::Responder responder);
  void get_health(http::Request request, http::Responder responder);
  void get_ready(http::Request request, http::Responder responder);
  void get_metrics(http::Request request, http::Responder responder);

  // A page of what is wanted, with the request's order, limit and cursor; oldest first by default.
  void answer_page(const ApiKey& caller, http::Request request, audit::Wanted wanted,
                   http::Responder responder);
  // What all entries wanted are folded into; 404 where there are none.
  using Fold = std::function<Result<std::string>(const audit::Gathered&)>;
  void answer_fold(const ApiKey& caller, audit::Wanted wanted, Fold fold, http::Responder responder);

  bool is_public_log(const http::Request& request) const;
  // Puts an act on record, then runs `act`, then answers.
  void record_then(std::string event, http::Responder responder, std::function<http::Response()> act);

  ApiParts parts_;
  Mutex streams_mutex_;
  std::vector<Follower> followers_ GUARDED_BY(streams_mutex_);
  bool streams_closed_ GUARDED_BY(streams_mutex_) = false;
  Mutex exports_mutex_;
  std::vector<RunningExport> exports_
      GUARDED_BY(exports_mutex_);  // but for those that are brought on just now
  std::size_t exports_elsewhere_ GUARDED_BY(exports_mutex_) = 0;  // these, and those that are being begun
  bool exports_closed_ GUARDED_BY(exports_mutex_) = false;
};

// Until roles decide otherwise, a key of scope read sees all entries and all of them.
inline const audit::Visibility everything{};

http::Response json_response(unsigned status, std::string body);
http::Response text_response(std::string body, std::string cache_control);
// The id captured by the route, or a 404: no other text names an event.
std::optional<Uuid> captured_id(const http::Request& request);
http::Response no_such(std::string_view what);
// A page of a search as JSON.
std::string answer_json(const audit::SearchAnswer& answer);
// A JSON string.
std::string quoted(std::string_view text);

}  // namespace vestige::api
