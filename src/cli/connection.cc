#include "cli/internal/connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "http/url.h"

namespace vestige::cli {
namespace {

constexpr std::uint64_t line_file_bytes_max = 4'096;
constexpr std::size_t raw_answer_shown_max = 300;
// Events may nest to depth 64, and stand inside the answer.
constexpr json::Limits answer_limits{.depth_max = 128, .bytes_max = std::uint64_t{256} << 20};

struct Setting {
  std::string value;
  std::string source;
};

std::optional<Setting> given(const std::string& option, std::string_view option_name,
                             const std::string& variable, const Surroundings& surroundings) {
  if (!option.empty()) return Setting{option, std::string(option_name)};
  if (auto value = surroundings.environment(variable); value && !value->empty())
    return Setting{*std::move(value), variable};
  return std::nullopt;
}

Result<std::string> first_line(const std::string& path) {
  VESTIGE_TRY(auto content, read_local(path, line_file_bytes_max));
  content.resize(std::min(content.find('\n'), content.size()));
  while (!content.empty() && (content.back() == '\r' || content.back() == ' ')) content.pop_back();
  return content;
}

std::string in_directory(const std::string& directory, std::string_view name) {
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

// A token goes into a header line.
bool is_token(std::string_view key) {
  for (const char c : key)
    if (c <= ' ' || c > '~') return false;
  return !key.empty();
}

bool is_header_text(std::string_view text) {
  return is_utf8(text) &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

http::Fields headers_of(const Target& target) {
  http::Fields headers;
  if (!target.reason.empty()) headers.emplace_back("X-Vestige-Reason", target.reason);
  if (!target.approval.empty()) headers.emplace_back("X-Vestige-Approval", target.approval);
  if (!target.subject.empty()) headers.emplace_back("X-Vestige-Subject", target.subject);
  if (!target.purpose.empty()) headers.emplace_back("X-Vestige-Purpose", target.purpose);
  return headers;
}

Result<Setting> url_of_directory(const Setting& data) {
  const auto file = in_directory(data.value, "LOCK");
  auto line = first_line(file);
  const auto missing = [&](std::string_view why) {
    return fail(
        ErrorKind::unavailable,
        fmt::format("No server is known: neither --url nor VESTIGE_URL is set, and {} (the data directory "
                    "comes from {}) {}. Start one with \"vestige serve --data {}\", or name its address "
                    "with --url or its data directory with --data.",
                    file, data.source, why, data.value));
  };
  if (!line && line.error().kind == ErrorKind::not_found) return missing("does not exist");
  if (!line) return missing(fmt::format("cannot be read: {}", line.error().message));
  if (line->empty()) return missing("names none, so no server runs on that directory");
  return Setting{*std::move(line), file};
}

Result<std::string> key_of_directory(const Setting& data) {
  const auto file = in_directory(data.value, "admin.key");
  auto line = first_line(file);
  if (line && is_token(*line)) return line;
  return fail(
      ErrorKind::invalid,
      fmt::format(
          "No API key is known: neither --key nor VESTIGE_KEY is set, and {} (the data directory "
          "comes from {}) {}. Give one of the three.",
          file, data.source,
          line ? std::string("holds no key") : fmt::format("cannot be read: {}", line.error().message)));
}

}  // namespace

Result<Target> locate(const ConnectionArguments& arguments, const Surroundings& surroundings, KeyNeed need) {
  const auto named_data = given(arguments.data, "--data", "VESTIGE_DATA", surroundings);
  const auto data = named_data.value_or(Setting{"./var", "the default"});
  const auto named_url = given(arguments.url, "--url", "VESTIGE_URL", surroundings);
  auto url = named_url ? Result<Setting>(*named_url) : url_of_directory(data);
  if (!url) return std::unexpected(std::move(url).error());
  Target target{.url = url->value,
                .url_source = url->source,
                .key = {},
                .ca_file = arguments.ca_file,
                .reason = arguments.reason,
                .subject = arguments.subject,
                .purpose = arguments.purpose,
                .tenant = arguments.tenant};
  for (const auto& [name, text] : {std::pair{"--subject", &target.subject}, {"--purpose", &target.purpose}})
    if (!is_header_text(*text))
      return fail(ErrorKind::invalid,
                  fmt::format("{} must be UTF-8 in one line, without control characters.", name));
  if (const auto ca_file = given(arguments.ca_file, "--ca-file", "VESTIGE_CA_FILE", surroundings))
    target.ca_file = ca_file->value;
  if (const auto reason = given(arguments.reason, "--reason", "VESTIGE_REASON", surroundings)) {
    if (!is_header_text(reason->value))
      return fail(ErrorKind::invalid,
                  fmt::format("{} must be UTF-8 in one line, without control characters.", reason->source));
    target.reason = reason->value;
  }
  const auto approval = given(arguments.approval, "--approval", "VESTIGE_APPROVAL", surroundings);
  if (approval && arguments.takes_approval) {
    if (!parse_uuid(approval->value))
      return fail(ErrorKind::invalid,
                  fmt::format("{} must be the id of an approval, as \"vestige approval list\" shows it.",
                              approval->source));
    target.approval = approval->value;
  }
  if (need == KeyNeed::none) return target;
  if (const auto named_key = given(arguments.key, "--key", "VESTIGE_KEY", surroundings)) {
    if (!is_token(named_key->value))
      return fail(
          ErrorKind::invalid,
          fmt::format("{} holds no API key: one has only visible ASCII characters.", named_key->source));
    target.key = named_key->value;
    return target;
  }
  if (named_url && !named_data)
    return fail(
        ErrorKind::invalid,
        fmt::format("No API key is known for {} (from {}): set --key or VESTIGE_KEY, or name the server's "
                    "data directory with --data to use its admin.key.",
                    target.url, target.url_source));
  VESTIGE_TRY(target.key, key_of_directory(data));
  return target;
}

Connection::Connection(Target target, std::function<bool()> while_waiting)
    : target_(std::move(target)),
      client_({.url = target_.url,
               .bearer_token = target_.key,
               .ca_file = target_.ca_file,
               .headers = headers_of(target_),
               .while_waiting = std::move(while_waiting)}) {}

Result<http::ClientResponse> Connection::get(const std::string& path) { return send("GET", path, {}, {}); }

Result<http::ClientResponse> Connection::send(const std::string& method, const std::string& path,
                                              const std::string& body, const std::string& content_type) {
  auto response = client_.send(method, path, body, content_type);
  if (!response) {
    if (response.error().kind == ErrorKind::unavailable)
      response.error().message += fmt::format(" (The address comes from {}.)", target_.url_source);
    return response;
  }
  if (response->status >= 300 || response->status == waiting_status)
    return std::unexpected(refusal(*response));
  return response;
}

Result<Connection> connect(const ConnectionArguments& arguments, const Surroundings& surroundings,
                           KeyNeed need) {
  VESTIGE_TRY(auto target, locate(arguments, surroundings, need));
  return Connection(std::move(target));
}

std::string described(const Target& target) {
  return fmt::format("{} (from {})", escaped(target.url), escaped(target.url_source));
}

std::string describe_refusal(const http::ClientResponse& response) {
  json::Parser parser;
  json::Document document;
  if (response.status == waiting_status && parser.parse(response.body, document)) {
    const auto approval = document.root().find("approval");
    return fmt::format(
        "Nothing was done: this waits for an approval ({}), which is asked for now. Its id is {}. Once "
        "\"vestige "
        "approval show {}\" says that it is approved, run the same command again with --approval {}.",
        escaped(text_of(approval, "ruleAbout")), escaped(text_of(approval, "id")),
        escaped(text_of(approval, "id")), escaped(text_of(approval, "id")));
  }
  const bool is_problem =
      response.content_type.starts_with("application/problem+json") && parser.parse(response.body, document);
  if (!is_problem)
    return fmt::format("The server answered with status {}: {}", response.status,
                       escaped(std::string_view(response.body).substr(0, raw_answer_shown_max)));
  const auto problem = document.root();
  auto detail = text_of(problem, "detail");
  if (detail.empty()) detail = text_of(problem, "title");
  auto message = fmt::format("The server refused with status {}: {}", response.status, escaped(detail));
  for (const auto* const name : {"path", "position", "limit"})
    if (const auto value = text_of(problem, name); !value.empty())
      message += fmt::format("\n  {}: {}", name, escaped(value));
  if (response.status == 401)
    message += "\n  The API key is none that this server knows, has ended, or is not for use from here.";
  return message;
}

Error refusal(const http::ClientResponse& response) {
  const auto kind = response.status == 404 ? ErrorKind::not_found : ErrorKind::denied;
  return Error{.kind = kind, .message = describe_refusal(response)};
}

std::string log_path(const Target& target, std::string_view what) {
  return fmt::format("/tlog/{}/audit/{}", encoded(target.tenant), what);
}

Result<std::string> verifier_key_of(Connection& connection, const std::string& given) {
  if (!given.empty()) return read_verifier_key(given);
  VESTIGE_TRY(auto answer, connection.get(log_path(connection.target(), "vkey")));
  return trimmed(std::move(answer.body));
}

Status parse_answer(const std::string& body, json::Document& document) {
  json::Parser parser;
  auto parsed = parser.parse(body, document, answer_limits);
  if (parsed) return {};
  return fail(ErrorKind::corrupt,
              fmt::format("The server's answer is not the JSON that was expected: {} Is this "
                          "address a Vestige server of this version?",
                          parsed.error().message));
}

std::string encoded(std::string_view text) { return http::percent_encode(text); }

int report(Surroundings& surroundings, const Error& error) {
  surroundings.say(fmt::format("vestige: {}\n", error.message));
  if (error.kind == ErrorKind::invalid) return exit_usage;
  if (error.kind == ErrorKind::unavailable) return exit_unreachable;
  return exit_found_wrong;
}

bool wants_json(const ConnectionArguments& arguments, const Surroundings& surroundings) {
  return arguments.json || !surroundings.output_is_terminal();
}

}  // namespace vestige::cli
