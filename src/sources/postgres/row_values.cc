#include "sources/postgres/row_values.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::sources::postgres {
namespace {

bool is_number(ObjectId type) {
  using namespace type_ids;
  return type == int2 || type == int4 || type == int8 || type == oid || type == float4 || type == float8 ||
         type == numeric;
}

bool reads_like_digest(const json::Value& value) {
  return value.is_object() && value.size() == 2 && value.find("bytes").exists() &&
         value.find("sha256").exists();
}

}  // namespace

bool is_plain(std::string_view text) { return text.find('\0') == std::string_view::npos && is_utf8(text); }

std::string digest_of(std::string_view text) {
  return fmt::format(R"({{"bytes":{},"sha256":"{}"}})", text.size(), to_hex(crypto::sha256(view(text))));
}

std::string quoted_or_digest(std::string_view text) {
  if (text.size() > value_bytes_max || !is_plain(text)) return digest_of(text);
  std::string json;
  json::append_quoted(json, text);
  return json;
}

JsonValue ValueWriter::write(ObjectId type, std::string_view text) {
  if (text.size() > value_bytes_max || !is_plain(text)) return {.json = digest_of(text)};
  if (type == type_ids::boolean && (text == "t" || text == "f"))
    return {.json = text == "t" ? "true" : "false"};
  if (is_number(type)) return number(text);
  if (type == type_ids::jsonb) return document(text);
  return {.json = quoted_or_digest(text)};
}

// Between the tokens of a JSON text.
std::size_t ValueWriter::blanks_in(std::string_view text) {
  std::size_t blanks = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text[i] == ' ')
      ++blanks;
  }
  return blanks;
}

JsonValue ValueWriter::number(std::string_view text) {
  const bool same =
      parser_.parse(text, document_) && document_.root().is_number() && document_.root().number() == text;
  if (same) return {.json = std::string(text)};
  return {.json = quoted_or_digest(text), .lossless = true};
}

JsonValue ValueWriter::document(std::string_view text) {
  const bool survives = parser_.parse(text, document_, {.depth_max = value_depth_max}).has_value();
  if (survives && !document_.root().is_null() && !reads_like_digest(document_.root())) {
    // The order of members and blanks say nothing; a number that is written shorter (1.50) is another text.
    if (auto canonical = json::canonical(document_.root()); canonical.size() == text.size() - blanks_in(text))
      return {.json = std::move(canonical)};
  }
  return {.json = quoted_or_digest(text), .lossless = true};
}

}  // namespace vestige::sources::postgres
