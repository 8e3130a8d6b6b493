// The server's own messages, on standard error: one line each, for people or as JSON. Never a secret, never
// an event's content.
#pragma once

#include <string>

namespace vestige::app {

// "text" or "json".
void start_logging(const std::string& format);

}  // namespace vestige::app
