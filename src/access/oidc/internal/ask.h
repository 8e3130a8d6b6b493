// One question to a provider over HTTP, within the limits of time and size. A redirect is not followed: what
// is asked is asked at the address that was configured or discovered, over https, or nowhere.
#pragma once

#include <string>
#include <string_view>

#include "access/oidc/configuration.h"
#include "base/result.h"
#include "http/client.h"
#include "json/json.h"

namespace vestige::access::oidc::internal {

struct Question {
  std::string what;  // for messages: "the provider's keys"
  std::string method = "GET";
  std::string address;
  std::string authorization{};  // the field's value; a secret
  std::string form{};           // of a POST; a secret
};

// Any status but a redirect. unavailable where the provider cannot be reached, is too slow or too long.
Result<http::ClientResponse> ask(const Configuration& configuration, const Question& question);

// The text of a GET that has to succeed: unavailable for any other status than 200.
Result<std::string> fetch_document(const Configuration& configuration, std::string what,
                                   const std::string& address);

// A JSON object within the limits; `what` begins a sentence.
Result<json::Document> parse_object(std::string_view text, std::string_view what);

}  // namespace vestige::access::oidc::internal
