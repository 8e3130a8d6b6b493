// The handlers, by resource. One file each: authorise.cc, approvals.cc, looks.cc, events.cc, search.cc,
// export.cc, records.cc, entities.cc, keys.cc, sign_in.cc, sessions.cc, accounts.cc, customer_links.cc,
// tenants.cc, policy.cc, review.cc, coverage.cc, cursors.cc, subjects.cc, tlog.cc, service.cc, streams.cc.
#pragma once

#include <fmt/format.h>

#include <atomic>

#include "api/api.h"
#include "api/internal/body.h"
#include "api/internal/caller.h"
#include "audit/export.h"
#include "audit/gather.h"
#include "audit/limits.h"
#include "base/check.h"
#include "base/mutex.h"
#include "json/json.h"
#include "json/object_writer.h"

namespace vestige::api {

// What takes no caller, since it is how one becomes one.
inline bool is_sign_in(std::string_view path) {
  return path == "/api/sign-in" || path.starts_with("/api/sign-in/");
}

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
    Caller caller;
    LookedAt at;
    audit::Visibility visibility;
  };
  struct RunningExport {
    std::shared_ptr<const ParsedSearch> search;
    std::unique_ptr<audit::Export> file;
    std::shared_ptr<http::EventStream> stream;
    Caller caller;
    LookedAt at;
    std::shared_ptr<audit::GivenOut> given_out;
    std::string bytes{};  // of the file, made and not yet sent from `sent` on
    std::size_t sent = 0;
    bool whole = false;  // no more will be made
    bool advance();      // false when it is over
    void abandon(std::string_view why);
  };

  http::Handler open_to_all(void (Impl::*handler)(http::Request, http::Responder));
  // The handler of an operation, which gets callers who may.
  http::Handler needs(std::string_view operation,
                      void (Impl::*handler)(const Caller&, http::Request, http::Responder));
  class Routes;
  struct SignedIn {
    access::Principal principal;
    access::Scopes scopes{};     // of an API key without role
    std::string token{};         // of a session
    bool restricted = false;     // the password has to be changed first
    bool changes_safely = true;  // false: it may change nothing, for want of the session's CSRF token
  };
  // From where a request comes, behind the proxies that are trusted.
  access::Client client_of(const http::Request& request) const;
  std::optional<SignedIn> signed_in(const http::Request& request, const access::Client& client) const;
  static std::optional<http::Response> refuse_body(const http::Request& request);
  // Whether what was decided about a caller is what would be decided now: for what goes on after it was
  // answered.
  bool still_holds(const Caller& caller) const;
  // Puts a refused act on record; refused looks are entries of their own.
  void record_refusal(const Caller& caller);
  // What a tenant is asked that may be suspended: a key that may only record is let in even then.
  static access::Tenants::Use use_of(const SignedIn& caller);
  std::expected<Caller, http::Response> admit(const http::Request& request,
                                              const access::Operation& operation) const;
  // Decides what the caller may, as it is now.
  static void decide(Caller& caller, const http::Request& request);
  using Act = void (Impl::*)(const Caller&, http::Request, http::Responder);
  void go_on_approved(Caller caller, Act handler, http::Request request, http::Responder responder);
  void go_on(const Caller& caller, Act handler, http::Request request, http::Responder responder);

  static access::ExactRequest exact(const Caller& caller, const http::Request& request);
  // These two write state, so on a thread that may wait. The first gives the 202, or why there is none; after
  // the second the caller is as it was decided with the approval.
  http::Response ask_bulk(const Caller& caller, access::ExactRequest request);
  http::Response ask_approval(const Caller& caller, access::ExactRequest request, std::string_view rule,
                              std::string words, std::string about = {});
  Status use_approval(Caller& caller, const http::Request& request, const Uuid& id);
  // Of a request to record: that some of its events wait for a yes that it does not have. Nothing of any
  // other request.
  struct WaitingEvents {
    std::string rule{};
    std::string words{};  // how many of them
    std::string about{};  // the person, where it is about one
  };
  Result<std::optional<WaitingEvents>> waiting_events(const Caller& caller, const http::Request& request);
  void ask_and_answer(const Caller& caller, access::ExactRequest request, std::string rule,
                      WaitingEvents waiting, http::Responder responder);
  // Records, or asks for the yes that is missing.
  void record(const Caller& caller, const http::Request& request, http::Responder responder,
              const std::function<Result<audit::Batch>(const audit::RequestContext&)>& prepare);

  audit::Visibility visibility_of(const Caller& caller) const;
  // An error of a look; of what a reason would allow, it says so.
  static http::Response refusal(const Caller& caller, Error error);
  audit::Look look_of(const Caller& caller, const LookedAt& at, const audit::GivenOut& given_out,
                      unsigned status) const;
  void record_look(const Caller& caller, const audit::Look& look, std::function<void(Status)> then);
  // The same of what was given already, so that nothing waits for it. It may be the server's last act:
  // nothing of this object is touched once it is submitted.
  static void note_look(const Caller& caller, const audit::Look& look);
  // Answers when the look is on record.
  void answer_look(const Caller& caller, const LookedAt& at, const audit::GivenOut& given_out,
                   http::Response response, http::Responder responder);
  // Runs on a query thread; what is answered goes on record first.
  using Looking = std::function<http::Response(const audit::Visibility&, LookedAt&)>;
  void look(const Caller& caller, http::Responder responder, Looking looking);
  // Runs on a query thread what is public.
  void query(http::Responder responder, std::function<http::Response()> answer);
  // Runs where state is written. Answers when what was added to the outbox is in the trail, or after a while:
  // then it waits there and will be.
  void write_state(http::Responder responder, std::function<http::Response()> answer);
  void write_state_on(platform::EventLoop& loop, http::Responder responder,
                      std::function<http::Response()> answer);
  // Runs where erasures do.
  void act(http::Responder responder, std::function<http::Response()> answer);

  void post_events(const Caller& caller, http::Request request, http::Responder responder);
  void post_import(const Caller& caller, http::Request request, http::Responder responder);
  void submit(audit::Ingest& ingest, audit::Batch batch, http::Responder responder);
  void look_at_event(const Caller& caller, const http::Request& request, http::Responder responder,
                     std::function<http::Response(const Uuid&, const audit::Visibility&)> answer);
  void get_event(const Caller& caller, http::Request request, http::Responder responder);
  void get_sealed(const Caller& caller, http::Request request, http::Responder responder);
  void get_proof(const Caller& caller, http::Request request, http::Responder responder);
  void post_disclose(const Caller& caller, http::Request request, http::Responder responder);
  void get_export(const Caller& caller, http::Request request, http::Responder responder);
  void post_export(const Caller& caller, http::Request request, http::Responder responder);
  void export_search(const Caller& caller, const http::Request& request, std::string body,
                     http::Responder responder);
  // Whether what is handed out from entry `from` on is so much that it waits for somebody's yes.
  Result<bool> is_large(const Caller& caller, const audit::Search& search, std::uint64_t from = 0);
  void begin_export(const Caller& caller, access::ExactRequest exact_request, audit::ExportOrder order,
                    std::shared_ptr<const ParsedSearch> search, http::Responder responder);
  void leave_export(const Caller& caller);
  void record_export(const RunningExport& ended);
  void run_export(RunningExport running, bool csv, http::Responder responder);
  Result<std::uint64_t> first_of_stream(const Caller& caller, const http::Request& request) const;
  void begin_stream(Follower follower, http::Responder responder);
  void record_stream(const Follower& ended);
  void end_stream(const Follower& ended);
  enum class Fed { over, some, enough };
  Fed feed(Follower& follower, std::chrono::nanoseconds now);
  void get_stream(const Caller& caller, http::Request request, http::Responder responder);
  std::optional<audit::Cursor> saved_cursor(const Caller& caller, std::string_view name) const;
  void get_cursors(const Caller& caller, http::Request request, http::Responder responder);
  void get_cursor(const Caller& caller, http::Request request, http::Responder responder);
  void put_cursor(const Caller& caller, http::Request request, http::Responder responder);
  void post_search(const Caller& caller, http::Request request, http::Responder responder);
  void post_search_looks(const Caller& caller, http::Request request, http::Responder responder);
  void search_in(audit::Reader& reader, const Caller& caller, http::Request request,
                 http::Responder responder);
  void get_matrix(const Caller& caller, http::Request request, http::Responder responder);
  void get_session_record(const Caller& caller, http::Request request, http::Responder responder);
  void get_review(const Caller& caller, http::Request request, http::Responder responder);
  void post_review(const Caller& caller, http::Request request, http::Responder responder);
  void get_coverage(const Caller& caller, http::Request request, http::Responder responder);
  void get_policy(const Caller& caller, http::Request request, http::Responder responder);
  void put_policy(const Caller& caller, http::Request request, http::Responder responder);
  void get_record(const Caller& caller, http::Request request, http::Responder responder);
  void get_history(const Caller& caller, http::Request request, http::Responder responder);
  void get_timeline(const Caller& caller, http::Request request, http::Responder responder);
  void get_state(const Caller& caller, http::Request request, http::Responder responder);
  void get_diff(const Caller& caller, http::Request request, http::Responder responder);
  void get_blame(const Caller& caller, http::Request request, http::Responder responder);
  void post_approvals(const Caller& caller, http::Request request, http::Responder responder);
  void get_approvals(const Caller& caller, http::Request request, http::Responder responder);
  void get_approval(const Caller& caller, http::Request request, http::Responder responder);
  void post_decision(const Caller& caller, http::Request request, http::Responder responder);
  void delete_approval(const Caller& caller, http::Request request, http::Responder responder);
  void post_keys(const Caller& caller, http::Request request, http::Responder responder);
  void get_keys(const Caller& caller, http::Request request, http::Responder responder);
  void delete_key(const Caller& caller, http::Request request, http::Responder responder);
  void post_erase(const Caller& caller, http::Request request, http::Responder responder);
  void post_reauthorise(const Caller& caller, http::Request request, http::Responder responder);
  void get_subject_keys(const Caller& caller, http::Request request, http::Responder responder);
  void get_certificate(const Caller& caller, http::Request request, http::Responder responder);
  void get_session(const Caller& caller, http::Request request, http::Responder responder);
  void delete_own_session(const Caller& caller, http::Request request, http::Responder responder);
  void get_sessions(const Caller& caller, http::Request request, http::Responder responder);
  void delete_session(const Caller& caller, http::Request request, http::Responder responder);
  void post_password(const Caller& caller, http::Request request, http::Responder responder);
  void post_second_factor(const Caller& caller, http::Request request, http::Responder responder);
  void post_second_factor_confirm(const Caller& caller, http::Request request, http::Responder responder);
  void post_recovery_codes(const Caller& caller, http::Request request, http::Responder responder);
  void post_accounts(const Caller& caller, http::Request request, http::Responder responder);
  void get_accounts(const Caller& caller, http::Request request, http::Responder responder);
  void get_account(const Caller& caller, http::Request request, http::Responder responder);
  void put_roles(const Caller& caller, http::Request request, http::Responder responder);
  void put_end(const Caller& caller, http::Request request, http::Responder responder);
  void post_disable(const Caller& caller, http::Request request, http::Responder responder);
  void post_enable(const Caller& caller, http::Request request, http::Responder responder);
  void post_unlock(const Caller& caller, http::Request request, http::Responder responder);
  void post_reset_password(const Caller& caller, http::Request request, http::Responder responder);
  void post_require_password_change(const Caller& caller, http::Request request, http::Responder responder);
  void post_remove_second_factor(const Caller& caller, http::Request request, http::Responder responder);
  void delete_account_sessions(const Caller& caller, http::Request request, http::Responder responder);
  void post_tenants(const Caller& caller, http::Request request, http::Responder responder);
  void get_tenants(const Caller& caller, http::Request request, http::Responder responder);
  void put_tenant_tier(const Caller& caller, http::Request request, http::Responder responder);
  void post_suspend(const Caller& caller, http::Request request, http::Responder responder);
  void post_resume(const Caller& caller, http::Request request, http::Responder responder);
  void post_tenant_administrator(const Caller& caller, http::Request request, http::Responder responder);
  // The page that a link opens; it says for which tenant, where that is another than the home tenant.
  std::string link_to(std::string_view page_and_token, std::string_view tenant) const;
  // The tenant, with the link by which its first administrator comes in.
  http::Response offered(unsigned status, const access::Tenant& tenant, const std::string& token) const;
  void post_customer_links(const Caller& caller, http::Request request, http::Responder responder);
  void post_sign_in(http::Request request, http::Responder responder);
  void post_first_administrator(http::Request request, http::Responder responder);
  void post_invitation(http::Request request, http::Responder responder);
  void post_customer_sign_in(http::Request request, http::Responder responder);
  void get_providers(http::Request request, http::Responder responder);
  void get_provider_begin(http::Request request, http::Responder responder);
  void get_provider_callback(http::Request request, http::Responder responder);
  void get_checkpoint(http::Request request, http::Responder responder);
  void get_verifier_key(http::Request request, http::Responder responder);
  void get_tile(http::Request request, http::Responder responder);
  void get_health(http::Request request, http::Responder responder);
  void get_ready(http::Request request, http::Responder responder);
  void get_metrics(http::Request request, http::Responder responder);
  http::Response metrics();

  // A page of what is wanted, with the request's order, limit and cursor; oldest first by default.
  // How a look at an entity stands on record.
  static LookedAt look_at(const Caller& caller, std::string_view type, std::string_view id);
  void answer_page(const Caller& caller, LookedAt at, http::Request request, audit::Wanted wanted,
                   http::Responder responder);
  // The log that a path names, where whoever asks may see it; null otherwise.
  audit::TenantTrail* log_of(const http::Request& request) const;
  // What all entries wanted are folded into; 404 where there are none.
  using Fold = std::function<Result<std::string>(const audit::Gathered&)>;
  void answer_fold(const Caller& caller, LookedAt at, audit::Wanted wanted, Fold fold,
                   http::Responder responder);

  // Of what anybody may send who is not known yet: whether the page of another site did, and why it is not
  // even read.
  Result<access::LoginRequest> login_of(const Body& body) const;
  // A link that somebody was sent, and of which tenant it is said to be.
  struct SentLink {
    std::string tenant, token;
  };
  Result<SentLink> link_of(const Body& body) const;
  bool comes_from_elsewhere(const http::Request& request) const;
  std::optional<http::Response> refuse_unread(const http::Request& request) const;
  // Runs where passwords are hashed, and no more at a time than can be waited for.
  void let_in(http::Responder responder, std::function<http::Response()> answer);
  void let_in_on(platform::EventLoop& loop, std::atomic<std::size_t>& waiting, http::Responder responder,
                 std::function<http::Response()> answer);
  // The same of what asks an OpenID provider, which may take its time: on threads that nobody else waits for.
  void ask_provider(http::Responder responder, std::function<http::Response()> answer);
  http::Response come_back(const std::string& provider, const access::oidc::Callback& callback,
                           const access::Client& client);
  // Answers with a session and its cookie: a new one, which ends the `old` one of the same browser, or one
  // that goes on under another token.
  http::Response opened(const access::Sessions::Opened& opened, const std::string& old,
                        const access::Client& client);
  http::Response renewed(const access::Sessions::Opened& opened, std::string_view recovery_codes = {}) const;
  json::ObjectWriter session_writer(const access::Session& session) const;
  std::vector<access::Session> own_sessions(const Caller& caller) const;
  http::Response invitation_response(const Result<access::Invitation>& invitation) const;
  // Runs `act` for the account that the path names.
  void act_on_account(const http::Request& request, http::Responder responder,
                      std::function<http::Response(const Uuid&)> act);

  ApiParts parts_;
  std::atomic<std::size_t> letting_in_{0};
  std::atomic<std::size_t> asking_providers_{0};
  Mutex streams_mutex_;
  std::vector<Follower> followers_ GUARDED_BY(streams_mutex_);  // but for those that are fed just now
  // Tenant and id of who has a stream, once for each.
  std::vector<std::pair<std::string, Uuid>> watching_ GUARDED_BY(streams_mutex_);
  bool streams_closed_ GUARDED_BY(streams_mutex_) = false;
  Mutex exports_mutex_;
  std::vector<RunningExport> exports_
      GUARDED_BY(exports_mutex_);  // but for those that are brought on just now
  // Tenant and id of who exports, once for each export from when it is asked for until it ended.
  std::vector<std::pair<std::string, Uuid>> exporting_ GUARDED_BY(exports_mutex_);
  bool exports_closed_ GUARDED_BY(exports_mutex_) = false;
};

http::Response json_response(unsigned status, std::string body);
http::Response empty_response(unsigned status);
http::Response text_response(std::string body, std::string cache_control);
std::string account_json(const access::Account& account);
// The id captured by the route, or a 404: no other text names an event.
std::optional<Uuid> captured_id(const http::Request& request);
http::Response no_such(std::string_view what);
// invalid, with the JSON pointer of what is wrong.
std::unexpected<Error> refuse_at(std::string path, std::string what);
// invalid where this is no object, or has a member that is none of these.
Status only_members(const json::Value& object, std::initializer_list<std::string_view> known);
// A member that is a string; nothing where it is absent or null.
Result<std::optional<std::string>> text_member(const json::Value& object, std::string_view name);
Result<std::optional<UnixMs>> time_member(const json::Value& object, std::string_view name);
// 415 where the body is of another type than JSON; `what` is what comes as it. curl -d names a form unless
// told otherwise; what follows is read as JSON all the same.
std::optional<http::Response> wrong_type(const http::Request& request, std::string_view what);
// A page of a search as JSON.
std::string answer_json(const audit::SearchAnswer& answer);
// A JSON string.
std::string quoted(std::string_view text);

}  // namespace vestige::api
