// What a program says about the transaction that it is in: pg_logical_emit_message(true, 'vestige', CONTENT),
// docs/formats/capture.md, "Who".
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace vestige::sources::postgres {

inline constexpr std::size_t id_bytes_max = 1'024;         // and of other texts about an event
inline constexpr std::size_t word_bytes_max = 256;         // types and names
inline constexpr std::size_t message_bytes_max = 1 << 20;  // what is longer is not read

struct Actor {
  std::string type, id, name;
  bool operator==(const Actor&) const = default;
};

// What a message says beyond that; empty where nothing is left.
struct Remainder {
  std::string text;
  bool json = false;  // an object in canonical form, or the digest of what is too long or no UTF-8; else text
};

// Texts are empty where nothing is said.
struct Statement {
  std::optional<Actor> actor{};  // with an id
  std::string organization{}, request_id{}, reason{};
  Remainder more{};
};

// Never fails: what is no JSON object is kept whole as text, and so is, in an object, each member that is not
// understood: neither text nor number, empty, or too long. Without an id nothing of an actor is understood.
Statement parse_statement(ByteView content);

}  // namespace vestige::sources::postgres
