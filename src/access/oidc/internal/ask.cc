#include "access/oidc/internal/ask.h"

#include <fmt/format.h>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "http/url.h"

namespace vestige::access::oidc::internal {

Result<http::ClientResponse> ask(const Configuration& configuration, const Question& question) {
  VESTIGE_TRY(const auto url, http::parse_url(question.address));
  http::Client client({.url = url.origin(),
                       .ca_file = configuration.ca_file,
                       .timeout_seconds = limits::stall_seconds_max,
                       .total_seconds = limits::ask_seconds_max,
                       .body_bytes_max = limits::document_bytes_max});
  http::Fields headers{{"Accept", "application/json"}};
  if (!question.authorization.empty()) headers.emplace_back("Authorization", question.authorization);
  auto answer = client.send(question.method, url.target(), question.form,
                            question.form.empty() ? "" : "application/x-www-form-urlencoded", headers);
  for (auto& [name, value] : headers) SecretText::wipe(value);
  if (!answer)
    return fail(answer.error().kind == ErrorKind::invalid ? ErrorKind::invalid : ErrorKind::unavailable,
                fmt::format("Asking for {} failed. {}", question.what, answer.error().message));
  if (answer->status >= 300 && answer->status < 400)
    return fail(
        ErrorKind::unavailable,
        fmt::format(
            "Asking for {} failed: {} answers with a redirect ({}), which is not followed. Configure the "
            "address that it leads to.",
            question.what, question.address, answer->status));
  return answer;
}

Result<std::string> fetch_document(const Configuration& configuration, std::string what,
                                   const std::string& address) {
  VESTIGE_TRY(auto answer, ask(configuration, {.what = what, .address = address}));
  if (answer.status != 200)
    return fail(ErrorKind::unavailable,
                fmt::format("Asking for {} failed: {} answers with status {} instead of 200.", what, address,
                            answer.status));
  return std::move(answer.body);
}

Result<json::Document> parse_object(std::string_view text, std::string_view what) {
  json::Parser parser;
  json::Document document;
  std::vector<std::string> lossless;  // numbers that nobody reads are no reason to refuse a document
  if (const auto status = parser.parse_lossless(
          text, document, lossless,
          {.depth_max = limits::document_depth_max, .bytes_max = limits::document_bytes_max});
      !status || !document.root().is_object())
    return fail(
        ErrorKind::invalid,
        fmt::format("{} is no JSON object{}", what,
                    status ? std::string(".") : fmt::format(": {}", shown(status.error().message, 200))));
  return document;
}

}  // namespace vestige::access::oidc::internal
