// Writing canonical JSON (RFC 8785). Objects are in canonical order since they were parsed.
#include <algorithm>

#include "base/check.h"
#include "json/internal/storage.h"

namespace vestige::json {

// Walks the nodes of a document. The depth was limited when it was parsed, which bounds the recursion.
class CanonicalWriter {
 public:
  CanonicalWriter(std::string& to, const Value& value) : to_(to), storage_(*value.document_->storage_) {}

  void write(std::uint32_t number) {
    const auto& node = storage_.nodes[number];
    switch (node.type) {
      case Type::null:
        to_ += "null";
        break;
      case Type::boolean:
        to_ += node.size == 1 ? "true" : "false";
        break;
      case Type::number:
        to_ += storage_.text_of(node);
        break;
      case Type::string:
        write_string(node);
        break;
      case Type::array:
        write_children(node, '[', ']');
        break;
      case Type::object:
        write_children(node, '{', '}');
        break;
    }
  }
  static std::uint32_t node_of(const Value& value) { return value.node_; }

 private:
  // A string that had no escapes in the text needs none in canonical form either.
  void write_string(const Node& node) {
    const auto text = storage_.text_of(node);
    if (node.in_arena) {
      append_quoted(to_, text);
    } else {
      to_.append(text.data() - 1, text.size() + 2);  // with its quotes
    }
  }
  void write_children(const Node& node, char open, char close) {
    to_.push_back(open);
    for (std::uint32_t i = 0; i < node.size; ++i) {
      if (i > 0) to_.push_back(',');
      const auto child = storage_.children[node.offset + i];
      if (node.type == Type::object) {
        write_string(storage_.nodes[child - 1]);
        to_.push_back(':');
      }
      write(child);
    }
    to_.push_back(close);
  }

  std::string& to_;
  const Document::Storage& storage_;
};

void append_canonical(std::string& to, const Value& value) {
  DCHECK(value.exists());
  if (value.exists()) CanonicalWriter(to, value).write(CanonicalWriter::node_of(value));
}

std::string canonical(const Value& value) {
  std::string text;
  append_canonical(text, value);
  return text;
}

// UTF-8 orders like code points, and so does UTF-16 except that U+E000-U+FFFF (lead bytes 0xee, 0xef) stand
// behind the characters of two units (lead bytes from 0xf0), which begin with surrogates.
bool canonical_less(std::string_view a, std::string_view b) {
  const auto [at_a, at_b] = std::ranges::mismatch(a, b);
  if (at_b == b.end()) return false;
  if (at_a == a.end()) return true;
  const auto byte_a = static_cast<unsigned char>(*at_a);
  const auto byte_b = static_cast<unsigned char>(*at_b);
  const bool swapped = byte_a >= 0xee && byte_b >= 0xee && (byte_a < 0xf0) != (byte_b < 0xf0);
  return swapped ? byte_a > byte_b : byte_a < byte_b;
}

void append_pointer(std::string& to, std::string_view token) {
  to.push_back('/');
  for (const char c : token) {
    if (c == '~') {
      to += "~0";
    } else if (c == '/') {
      to += "~1";
    } else {
      to.push_back(c);
    }
  }
}

std::string unescaped_token(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size();
    out.push_back(escape ? (token[++i] == '1' ? '/' : '~') : token[i]);
  }
  return out;
}

}  // namespace vestige::json
