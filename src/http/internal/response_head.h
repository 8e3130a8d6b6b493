// The status line and header fields of an answer as bytes. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/strong.h"
#include "http/message.h"

namespace vestige::http::internal {

enum class Framing {
  length,       // Content-Length and that many bytes
  chunked,      // an event stream to HTTP/1.1
  until_close,  // an event stream to HTTP/1.0
};

struct HeadPlan {
  Framing framing = Framing::length;
  bool keep_alive = true;
  bool http_1_0 = false;    // whether the request was; then keep-alive must be said
  std::string_view date{};  // an IMF-fixdate
};

// Appends the head of `response`, with the security headers and without anything that a handler's value could
// smuggle in: names that are no tokens and fields that belong to the server are left out, control characters
// in values become spaces.
void append_head(std::string& to, const Response& response, const HeadPlan& plan);

// Whether an answer of this status carries content at all (RFC 9110 §6.4.1).
bool has_content(unsigned status);

std::string_view reason_of(unsigned status);

// "Wed, 25 Nov 2026 14:40:11 GMT"
std::string imf_fixdate(UnixMs time);

}  // namespace vestige::http::internal
