// Values of Elixir as JSON, so that they read like those of captured rows (docs/formats/capture.md,
// "Values"): what Ecto keeps in a column, and what it keeps inside of a json column.
#pragma once

#include <string>

#include "cli/import/internal/external_term.h"

namespace vestige::cli::importing {

inline constexpr std::size_t elixir_value_bytes_max = 65'536;  // of longer values an event has the digest
inline constexpr std::uint32_t elixir_value_depth_max = 32;    // of deeper ones their JSON as text

// Where a value stands: PostgreSQL writes the time of a column its way, and Elixir that of a member of a json
// column.
enum class Place : std::uint8_t { column, inside };

// Canonical JSON:
//   nil, true, false         null, true, false; other atoms are text
//   integers, Decimal        a number where canonical JSON writes it with the same digits, else text
//   binaries                 text; what is none, or has a zero byte in it, as bytea is written: \x00ff
//   DateTime, NaiveDateTime  "2025-11-01 08:00:00.12"; inside "2025-11-01T08:00:00.120000Z"
//   Date, Time               "2025-11-01", "08:00:00.5"
//   lists, tuples            arrays
//   maps, other structs      objects, without __struct__ and __meta__
std::string json_of_elixir(const Term& value, Place place);

// {"bytes":N,"sha256":"hex"}: what stands in the place of a text that is too long.
std::string digest_json(std::string_view text);

// What a key of a map is called: an atom or a text by itself, any other one by its JSON.
std::string name_of_key(const Term& key);

}  // namespace vestige::cli::importing
