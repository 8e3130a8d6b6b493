// For the tests of postgres: from the JSON of an event back to PostgreSQL's text, by a reader of its own.
#pragma once

#include <string>
#include <string_view>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "sources/postgres/row_values.h"

namespace vestige::sources::postgres::testing {

inline bool is_digest_of(const json::Value& value, std::string_view text) {
  return value.is_object() && value.size() == 2 && value.find("bytes").is_number() &&
         value.find("bytes").number() == std::to_string(text.size()) && value.find("sha256").is_string() &&
         value.find("sha256").string() == to_hex(crypto::sha256(view(text)));
}

inline bool is_same_document(const json::Value& value, std::string_view text) {
  json::Parser parser;
  json::Document document;
  return parser.parse(text, document) && json::canonical(document.root()) == json::canonical(value);
}

// Whether the JSON stands for the text and for no other; of jsonb for no other value.
inline bool is_same_value(const json::Value& value, bool lossless, ObjectId type, std::string_view text) {
  const bool numeric = type == type_ids::int2 || type == type_ids::int4 || type == type_ids::int8 ||
                       type == type_ids::oid || type == type_ids::float4 || type == type_ids::float8 ||
                       type == type_ids::numeric;
  if (lossless) return (numeric || type == type_ids::jsonb) && value.is_string() && value.string() == text;
  if (value.is_object() && value.find("bytes").exists() && value.find("sha256").exists())
    return is_digest_of(value, text);
  if (type == type_ids::jsonb) return !value.is_null() && is_same_document(value, text);
  if (numeric) return value.is_number() && value.number() == text;
  if (value.is_boolean()) return type == type_ids::boolean && text == (value.boolean() ? "t" : "f");
  return value.is_string() && value.string() == text;
}

inline bool is_same_value(const JsonValue& value, ObjectId type, std::string_view text) {
  json::Parser parser;
  json::Document document;
  return parser.parse(value.json, document) && is_same_value(document.root(), value.lossless, type, text);
}

}  // namespace vestige::sources::postgres::testing
