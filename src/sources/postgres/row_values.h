// The JSON that stands for a value of PostgreSQL's in an event, made from the value's text
// (docs/formats/capture.md, "Values").
//
// The way back is open: from the JSON, the column's type and whether its pointer is in `lossless` follows the
// text, of jsonb an equal value, or how long the text was and its SHA-256. Therefore two values of jsonb are
// text in JSON although they would survive: null, which is not the absence of a value, and an object that
// reads like the digest of a long value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "json/json.h"
#include "sources/postgres/pgoutput.h"

namespace vestige::sources::postgres {

// Of PostgreSQL's own types, which have the same numbers everywhere.
namespace type_ids {
inline constexpr ObjectId boolean{16};
inline constexpr ObjectId int8{20};
inline constexpr ObjectId int2{21};
inline constexpr ObjectId int4{23};
inline constexpr ObjectId text{25};
inline constexpr ObjectId oid{26};
inline constexpr ObjectId float4{700};
inline constexpr ObjectId float8{701};
inline constexpr ObjectId numeric{1700};
inline constexpr ObjectId jsonb{3802};
}  // namespace type_ids

inline constexpr std::size_t value_bytes_max = 65'536;  // of longer texts an event has the digest
// Of the digest's JSON, since PostgreSQL's values have less than 2^32 bytes.
inline constexpr std::size_t digest_bytes_max = 96;
inline constexpr std::uint32_t value_depth_max = 32;  // of jsonb, and of what a message says

// Whether an event can hold the text: UTF-8 without a zero byte. PostgreSQL sends no other to a client whose
// encoding is UTF8.
bool is_plain(std::string_view text);
// {"bytes":N,"sha256":"hex"} of a text, whatever its bytes.
std::string digest_of(std::string_view text);
// A JSON string of the text, or its digest where an event cannot hold it.
std::string quoted_or_digest(std::string_view text);

struct JsonValue {
  std::string json;
  bool lossless = false;  // a JSON string of what is no string: its pointer belongs into `lossless`
};

// Reusable; not thread-safe.
class ValueWriter {
 public:
  JsonValue write(ObjectId type, std::string_view text);

 private:
  JsonValue number(std::string_view text);
  JsonValue document(std::string_view text);
  static std::size_t blanks_in(std::string_view text);

  json::Parser parser_;
  json::Document document_;
};

}  // namespace vestige::sources::postgres
