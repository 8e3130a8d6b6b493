// What this module puts on record: events of the kinds access.session, access.security and system.key, as
// JSON for the outbox. Pure. No secret is ever handed to these functions, and what was typed into a login
// form is not either.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "access/client.h"
#include "access/principal.h"
#include "base/strong.h"

namespace vestige::access {

// Who came in, and who was refused: into the stream that nobody but the server writes to, so that no client
// can make up a login. What was changed stands beside the other acts.
inline constexpr std::string_view access_stream = "access";
inline constexpr std::string_view acts_stream = "audit";

// Who did something: a principal, or the server itself.
struct Doer {
  std::string id;
  std::string type;  // ACCOUNT, API_KEY, CUSTOMER, SYSTEM
  std::string name;
  std::optional<Uuid> session{};

  static Doer of(const Principal& principal);
  static Doer system();
};

// One member of an event's detail or one changed field.
struct Detail {
  std::string_view name;
  std::string value;
  bool raw = false;  // JSON already
};
struct Changed {
  std::string_view field;
  std::string before, after;  // empty: there was or is none
};

struct Fact {
  std::string_view kind;
  std::string_view action;
  UnixMs time{};
  std::optional<Doer> source{};
  std::string target_id{};
  std::string_view target_type{};
  std::string subject{};  // whose data it is
  const Client* client = nullptr;
  std::vector<Detail> detail{};
  std::vector<Changed> changes{};
};
std::string to_json(const Fact& fact);

// "a,b" of a list, as columns and changes have it.
std::string joined(std::span<const std::string> parts);
std::vector<std::string> split(std::string_view text, char at);

}  // namespace vestige::access
