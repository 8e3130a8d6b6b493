// Reading a parsed document. Asking a value for what its type does not have is a mistake of the caller: debug
// builds stop, others answer with nothing, so that it never becomes a way to end a server from outside.
#include "json/json.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "json/internal/storage.h"

namespace vestige::json {

namespace {

constexpr std::size_t linear_search_max = 8;

}  // namespace

Document::Document() : storage_(std::make_unique<Storage>()) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Value Document::root() const {
  return storage_ != nullptr && storage_->holds_value ? Value(this, 0) : Value();
}

Type Value::type() const {
  DCHECK(exists());
  return exists() ? document_->storage_->nodes[node_].type : Type::null;
}

bool Value::boolean() const {
  DCHECK(is_boolean());
  return is_boolean() && document_->storage_->nodes[node_].size == 1;
}

std::string_view Value::string() const {
  DCHECK(is_string());
  return is_string() ? document_->storage_->text_of(document_->storage_->nodes[node_]) : std::string_view();
}

std::string_view Value::number() const {
  DCHECK(is_number());
  return is_number() ? document_->storage_->text_of(document_->storage_->nodes[node_])
                     : std::string_view("0");
}

double Value::number_value() const {
  double value = 0;
  const auto text = number();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::size_t Value::size() const {
  DCHECK(is_array() || is_object());
  return is_array() || is_object() ? document_->storage_->nodes[node_].size : 0;
}

Value Value::at(std::size_t i) const {
  const auto count = size();
  DCHECK(i < count);
  if (i >= count) return {};
  const auto& storage = *document_->storage_;
  return {document_, storage.children[storage.nodes[node_].offset + i]};
}

std::string_view Value::key_at(std::size_t i) const {
  DCHECK(is_object() && i < size());
  if (!is_object() || i >= size()) return {};
  const auto& storage = *document_->storage_;
  return storage.text_of(storage.nodes[storage.children[storage.nodes[node_].offset + i] - 1]);
}

Value Value::find(std::string_view key) const {
  if (!is_object()) return {};
  const auto& storage = *document_->storage_;
  const auto& node = storage.nodes[node_];
  const std::span children(storage.children.data() + node.offset, node.size);
  const auto key_of = [&](std::uint32_t child) { return storage.text_of(storage.nodes[child - 1]); };
  const auto found = children.size() <= linear_search_max
                         ? std::ranges::find(children, key, key_of)
                         : std::ranges::lower_bound(children, key, canonical_less, key_of);
  if (found == children.end() || key_of(*found) != key) return {};
  return {document_, *found};
}

std::uint64_t Value::position() const {
  DCHECK(exists());
  return exists() ? document_->storage_->nodes[node_].position : 0;
}

}  // namespace vestige::json
