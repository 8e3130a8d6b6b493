#include "http/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "http/internal/response_head.h"
#include "http/internal/target.h"
#include "json/json.h"

namespace vestige::http {
namespace {

// Messages may quote what a client sent; a byte that is no UTF-8 must not make the answer invalid JSON.
void append_text(std::string& to, std::string_view text) {
  if (is_utf8(text)) return json::append_quoted(to, text);
  std::string ascii;
  for (const char c : text) ascii.push_back(static_cast<unsigned char>(c) < 0x80 ? c : '?');
  json::append_quoted(to, ascii);
}

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::denied:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::exhausted:
      return 413;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::corrupt:
    case ErrorKind::io:
      return 500;
  }
  return 500;
}

}  // namespace

std::optional<std::string_view> Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return std::nullopt;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

Status set_target(Request& request, std::string_view target) {
  VESTIGE_TRY(auto taken, internal::parse_target(target));
  request.path = std::move(taken.path);
  request.encoded_path = std::move(taken.encoded_path);
  request.query = std::move(taken.query);
  return {};
}

std::string Request::content_type() const {
  const auto whole = header("content-type");
  if (!whole) return {};
  auto media = whole->substr(0, whole->find(';'));
  while (!media.empty() && (media.back() == ' ' || media.back() == '\t')) media.remove_suffix(1);
  std::string lower(media);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

Response problem(unsigned status, std::string_view title, const Error& error) {
  Response response{.status = status, .content_type = "application/problem+json"};
  auto& body = response.body;
  body = R"({"type":"about:blank","title":)";
  append_text(body, title);
  body += fmt::format(R"(,"status":{},"detail":)", status);
  append_text(body, error.message);
  if (!error.path.empty()) {
    body += R"(,"path":)";
    append_text(body, error.path);
  }
  if (error.position) body += fmt::format(R"(,"position":{})", *error.position);
  if (!error.limit.empty()) {
    body += R"(,"limit":)";
    append_text(body, error.limit);
  }
  body += "}\n";
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response problem(const Error& error) {
  const unsigned status = status_of(error.kind);
  return problem(status, internal::reason_of(status), error);
}

Response problem(unsigned status, std::string_view detail) {
  return problem(status, internal::reason_of(status),
                 Error{.kind = ErrorKind::invalid, .message = std::string(detail)});
}

}  // namespace vestige::http
