// Preprocessors add metadata that an event lacks, in a fixed order; each is a small pure unit and none
// overwrites what was sent. What cannot be known is left out rather than guessed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/event.h"

namespace vestige::audit {

// What the server knows about one request.
// Who sent what the server itself says.
inline constexpr std::string_view system_service = "vestige";

struct RequestContext {
  std::string tenant = "default";
  std::string service;     // name of the API key
  UnixMs received{};       // of the request, not yet the entry's receivedAt
  std::string approval{};  // that the request used up, as context.approval says it; empty: none
};

struct ServerContext {
  std::string node;
  std::string location;  // empty: not configured
  // Gives canonical JSON for an address, from the operator's own database; empty function: none configured.
  std::function<std::optional<std::string>(std::string_view address)> locate;
};

// A member for the event's context that was not sent; `json` is canonical.
struct ContextAddition {
  std::string name;
  std::string json;
};

struct Additions {
  UnixMs time{};
  std::vector<ContextAddition> context;  // in canonical order of names
};

class Preprocessor {
 public:
  virtual ~Preprocessor() = default;
  virtual void add(const Event& event, const RequestContext& request, const ServerContext& server,
                   Additions& additions) const = 0;
};

// In order: server time, node and server location, client location, service, approval.
class Preprocessors {
 public:
  Preprocessors();
  Additions run(const Event& event, const RequestContext& request, const ServerContext& server) const;

 private:
  std::vector<std::unique_ptr<Preprocessor>> units_;
};

}  // namespace vestige::audit
