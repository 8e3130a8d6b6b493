#include "http/internal/response_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/status.hpp>
#include <chrono>
#include <iterator>

namespace vestige::http::internal {
namespace {

constexpr std::string_view html_policy =
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view name) {
  constexpr std::string_view extra = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           extra.find(c) != std::string_view::npos;
  });
}

// Framing, connection and what the server vouches for are its own to say.
bool belongs_to_server(std::string_view name) {
  constexpr std::array<std::string_view, 12> names{
      "server",  "date",       "content-type", "content-length",         "transfer-encoding", "connection",
      "trailer", "keep-alive", "upgrade",      "x-content-type-options", "referrer-policy",   "te"};
  return std::ranges::any_of(names, [&](std::string_view own) { return equal_ignoring_case(own, name); });
}

void append_field(std::string& to, std::string_view name, std::string_view value) {
  to.append(name).append(": ");
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  if (std::ranges::none_of(value, is_control)) [[likely]] {
    to.append(value);
  } else {
    for (const char c : value) to.push_back(is_control(c) ? ' ' : c);
  }
  to.append("\r\n");
}

bool sets(const Response& response, std::string_view name) {
  return std::ranges::any_of(response.headers,
                             [&](const auto& field) { return equal_ignoring_case(field.first, name); });
}

void append_framing(std::string& to, const Response& response, const HeadPlan& plan) {
  if (plan.framing == Framing::chunked) to.append("Transfer-Encoding: chunked\r\n");
  if (plan.framing == Framing::length && has_content(response.status))
    fmt::format_to(std::back_inserter(to), "Content-Length: {}\r\n", response.body.size());
  if (!plan.keep_alive) to.append("Connection: close\r\n");
  if (plan.keep_alive && plan.http_1_0) to.append("Connection: keep-alive\r\n");
}

}  // namespace

void append_head(std::string& to, const Response& response, const HeadPlan& plan) {
  fmt::format_to(std::back_inserter(to), "HTTP/1.1 {} {}\r\nServer: vestige\r\nDate: {}\r\n", response.status,
                 reason_of(response.status), plan.date);
  to.append("X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
  if (!sets(response, "cache-control")) to.append("Cache-Control: no-store\r\n");
  if (!response.content_type.empty() && has_content(response.status))
    append_field(to, "Content-Type", response.content_type);
  const auto media = std::string_view(response.content_type).substr(0, response.content_type.find(';'));
  if (equal_ignoring_case(media, "text/html") && !sets(response, "content-security-policy"))
    append_field(to, "Content-Security-Policy", html_policy);
  for (const auto& [name, value] : response.headers)
    if (is_token(name) && !belongs_to_server(name)) append_field(to, name, value);
  append_framing(to, response, plan);
  to.append("\r\n");
}

bool has_content(unsigned status) { return status >= 200 && status != 204 && status != 304; }

std::string_view reason_of(unsigned status) {
  const auto reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
  return {reason.data(), reason.size()};
}

std::string imf_fixdate(UnixMs time) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_time<std::chrono::milliseconds> instant{std::chrono::milliseconds(time.value)};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(instant - day)};
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[std::chrono::weekday{day}.c_encoding()],
                     static_cast<unsigned>(date.day()), months[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

}  // namespace vestige::http::internal
