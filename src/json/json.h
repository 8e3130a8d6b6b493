// JSON as this project accepts it: RFC 8259, and stricter where RFC 8785 (canonical JSON) needs it.
//
// - invalid UTF-8, duplicate keys, lone surrogates, nesting deeper than Limits::depth_max are refused;
// - a number that does not survive the trip through a double (its shortest form denotes another value) is
//   refused: 9007199254740993, 1e400 and 0.10000000000000000001 are, 1.50 and -0 are not;
// - objects are kept sorted in canonical order, so writing canonical bytes is a plain walk.
// Every refusal names the JSON pointer, the byte position and, where one was hit, the limit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vestige::json {

enum class Type : std::uint8_t { null, boolean, number, string, array, object };

struct Limits {
  std::uint32_t depth_max = 64;        // of nested arrays and objects; a scalar has depth 0; 1,024 at most
  std::uint64_t bytes_max = 16 << 20;  // of the text; 256 MiB at most
};

class Document;

// One value of a Document; valid while the document lives and is not parsed into again. Cheap to copy.
class Value {
 public:
  Value() = default;  // absent: exists() is false
  bool exists() const { return document_ != nullptr; }
  Type type() const;
  bool is_null() const { return exists() && type() == Type::null; }
  bool is_string() const { return exists() && type() == Type::string; }
  bool is_number() const { return exists() && type() == Type::number; }
  bool is_boolean() const { return exists() && type() == Type::boolean; }
  bool is_array() const { return exists() && type() == Type::array; }
  bool is_object() const { return exists() && type() == Type::object; }

  bool boolean() const;             // of a boolean
  std::string_view string() const;  // of a string: unescaped UTF-8
  std::string_view number() const;  // of a number: its canonical text (RFC 8785 §3.2.2.3)
  double number_value() const;

  // Of an array or object: how many, and the i-th in order (canonical order for objects).
  std::size_t size() const;
  Value at(std::size_t i) const;
  std::string_view key_at(std::size_t i) const;  // of an object
  // Of an object; absent where there is no such member, or where this is no object.
  Value find(std::string_view key) const;

  std::uint64_t position() const;  // byte offset in the parsed text where the value starts

 private:
  friend class Document;
  friend class CanonicalWriter;
  Value(const Document* document, std::uint32_t node) : document_(document), node_(node) {}
  const Document* document_ = nullptr;
  std::uint32_t node_ = 0;
};

// Holds parsed values; its memory is reused by the next parse. Not thread-safe; movable.
class Document {
 public:
  Document();
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  Value root() const;

  struct Storage;  // internal/storage.h
 private:
  friend class CanonicalWriter;
  friend class Parser;
  friend class Value;
  std::unique_ptr<Storage> storage_;
};

// Reusable; not thread-safe. `text` needs no padding.
class Parser {
 public:
  Parser();
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  // One value and nothing after it but white space. On failure ErrorKind::invalid with path, position
  // and limit (or unavailable, for want of memory); `document` then holds nothing.
  Status parse(std::string_view text, Document& document, const Limits& limits = {});
  // The same, but a number that does not survive the trip through a double becomes a string of its text, and
  // `lossless` gets the JSON pointers of these, in canonical order.
  Status parse_lossless(std::string_view text, Document& document, std::vector<std::string>& lossless,
                        const Limits& limits = {});

 private:
  Status fill(std::string_view text, Document& document, const Limits& limits,
              std::vector<std::uint64_t>* kept_as_text);
  struct State;
  std::unique_ptr<State> state_;
};

// Appends RFC 8785 bytes.
void append_canonical(std::string& to, const Value& value);
std::string canonical(const Value& value);
// Appends a JSON string with quotes, escaped as RFC 8785 §3.2.2.2 says. `text` is valid UTF-8.
void append_quoted(std::string& to, std::string_view text);
// Appends the ECMAScript form of a finite number; of an integer beyond 2^53, that of the nearest double.
void append_number(std::string& to, double value);
void append_number(std::string& to, std::int64_t value);
// Whether key a stands before key b in canonical order (by UTF-16 code units, RFC 8785 §3.2.3).
bool canonical_less(std::string_view a, std::string_view b);
// Orders the members of a container so.
struct CanonicalLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return canonical_less(a, b); }
};
// Appends "/" and the token with ~ and / escaped (RFC 6901).
void append_pointer(std::string& to, std::string_view token);
// Undoes that for one token, given without its "/".
std::string unescaped_token(std::string_view token);

}  // namespace vestige::json
