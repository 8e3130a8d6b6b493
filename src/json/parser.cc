// Walks the tokens that simdjson's first stage found and fills a Document. Iterative: an open container is
// an entry of a vector, so depth costs no stack; the depth limit is checked before a container is opened.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "json/internal/refusal.h"
#include "json/internal/storage.h"
#include "json/internal/structure.h"

namespace vestige::json {

namespace {

constexpr std::size_t insertion_sort_max = 24;

struct OpenContainer {
  std::uint32_t node;
  std::uint32_t first_pending;  // its children so far are pending from here on
  bool is_object;
  bool is_empty = true;
};

// A member while its object is sorted. Most keys differ in their first eight bytes, so that comparing two
// integers decides.
struct Member {
  std::uint64_t prefix;
  std::uint32_t value;
};

struct Scratch {
  std::vector<OpenContainer> open;
  std::vector<std::uint32_t> pending;
  std::vector<Member> members;
};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// What may stand behind a number or a literal. A quote may not: it opens no token there.
bool ends_scalar(char c) {
  return is_space(c) || c == ',' || c == ']' || c == '}' || c == ':' || c == '[' || c == '{';
}

// The first eight bytes of a key, zeros where it ends. Overlapping loads instead of a copy of variable size,
// whose result the processor would have to wait for.
std::uint64_t first_bytes(std::string_view key) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(key.data());
  const auto size = key.size();
  if (size >= 8) return load_le<std::uint64_t>(bytes);
  if (size >= 4) {
    const std::uint64_t tail = load_le<std::uint32_t>(bytes + size - 4);
    return load_le<std::uint32_t>(bytes) | tail << (size - 4) * 8;
  }
  if (size == 0) return 0;
  const std::uint64_t middle = bytes[size / 2];
  const std::uint64_t last = bytes[size - 1];
  return bytes[0] | middle << size / 2 * 8 | last << (size - 1) * 8;
}

// The first eight bytes of a key as an integer that orders like canonical_less() does. Bytes from 0xee on
// lead the characters whose order differs between UTF-8 and UTF-16, where U+E000-U+FFFF (0xee, 0xef) stand
// behind those that take two units (0xf0 to 0xf4).
std::uint64_t key_prefix(std::string_view key) {
  auto bytes = first_bytes(key);
  if ((bytes & 0x8080808080808080u) != 0) {
    for (int shift = 0; shift < 64; shift += 8) {
      const auto byte = bytes >> shift & 0xff;
      if (byte < 0xee) continue;
      const auto ordered = byte < 0xf0 ? byte + 5 : byte - 2;
      bytes = (bytes & ~(std::uint64_t{0xff} << shift)) | ordered << shift;
    }
  }
  return __builtin_bswap64(bytes);
}

class Walk {
 public:
  Walk(std::string_view text, std::span<const std::uint32_t> starts, std::uint32_t depth_max,
       Document::Storage& storage, Scratch& scratch, std::vector<std::uint64_t>* kept_as_text)
      : text_(text),
        starts_(starts),
        depth_max_(depth_max),
        storage_(storage),
        scratch_(scratch),
        kept_as_text_(kept_as_text) {}

  Status run();

 private:
  Status step();
  Status value();
  Status open(Type type);
  Status string();
  Status key();
  Status number();
  Status literal(std::string_view word, Node node);
  Status close();
  Status check_sorted(std::size_t count);
  void sort_members(std::size_t count);
  bool stands_before(const Member& a, const Member& b) const;
  std::string_view key_of(std::uint32_t value) const { return storage_.text_of(storage_.nodes[value - 1]); }

  // Where the next token starts; the end of the text when there is none.
  std::uint32_t start() const {
    return next_ < starts_.size() ? starts_[next_] : static_cast<std::uint32_t>(text_.size());
  }
  // The text is followed by spaces, so that its end is a character that starts no token.
  char token() const { return text_.data()[start()]; }
  std::uint32_t add(const Node& node) {
    storage_.nodes[node_count_] = node;
    return node_count_++;
  }
  std::unexpected<Error> expected(const char* what, const char* advice) const;

  std::string_view text_;
  std::span<const std::uint32_t> starts_;
  std::uint32_t depth_max_;
  Document::Storage& storage_;
  Scratch& scratch_;
  std::vector<std::uint64_t>*
      kept_as_text_;  // positions of numbers that became strings; null: they are refused
  bool has_escapes_ = text_.contains('\\');  // most texts have none, so that their strings need no look
  std::size_t next_ = 0;
  std::uint32_t node_count_ = 0;
  std::uint32_t child_count_ = 0;
};

std::unexpected<Error> Walk::expected(const char* what, const char* advice) const {
  const auto at = start();
  if (at == text_.size()) {
    return std::unexpected(refuse(text_, {"its end too early", at, "perhaps the text was cut off"}));
  }
  return std::unexpected(refuse(text_, {what, at, advice}));
}

Status Walk::run() {
  scratch_.open.clear();
  scratch_.pending.clear();
  // Every node and every child is one token, so these never grow inside the walk.
  if (storage_.nodes.size() < starts_.size()) storage_.nodes.resize(starts_.size());
  if (storage_.children.size() < starts_.size()) storage_.children.resize(starts_.size());
  VESTIGE_CHECKED(value());
  while (!scratch_.open.empty()) VESTIGE_CHECKED(step());
  if (next_ < starts_.size()) return expected("something behind its value", "send one value only");
  return {};
}

// One step inside the innermost open container: closes it, or reads its next element or member.
Status Walk::step() {
  auto& container = scratch_.open.back();
  const char c = token();
  if (c == (container.is_object ? '}' : ']')) {
    ++next_;
    return close();
  }
  if (!container.is_empty) {
    if (c != ',') return expected("no comma behind an element or member", "separate them with commas");
    ++next_;
  }
  container.is_empty = false;
  if (container.is_object) VESTIGE_CHECKED(key());
  return value();
}

Status Walk::value() {
  const auto at = start();
  switch (token()) {
    case '"':
      scratch_.pending.push_back(node_count_);
      return string();
    case '{':
      return open(Type::object);
    case '[':
      return open(Type::array);
    case 't':
      return literal("true", {.position = at, .size = 1, .type = Type::boolean});
    case 'f':
      return literal("false", {.position = at, .type = Type::boolean});
    case 'n':
      return literal("null", {.position = at, .type = Type::null});
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
      return number();
    default:
      return expected("no value", "write an object, array, string, number, true, false or null there");
  }
}

Status Walk::open(Type type) {
  if (scratch_.open.size() >= depth_max_) {
    return std::unexpected(refuse(text_, {"too many nested arrays and objects", start(), "nest less deeply"},
                                  {}, fmt::format("depth_max = {}", depth_max_)));
  }
  const auto node = add({.position = start(), .type = type});
  scratch_.pending.push_back(node);
  scratch_.open.push_back({.node = node,
                           .first_pending = static_cast<std::uint32_t>(scratch_.pending.size()),
                           .is_object = type == Type::object});
  ++next_;
  return {};
}

// The first stage has seen to the closing quote; between it and the next token there is only white space.
Status Walk::string() {
  const auto at = start();
  ++next_;
  auto end = start() - 1;
  while (is_space(text_[end])) --end;
  if (end == at || text_[end] != '"') {
    return std::unexpected(refuse(text_, {"a string without a closing quote", at, "close it"}));
  }
  Node node{.position = at, .offset = at + 1, .size = end - at - 1, .type = Type::string};
  const auto raw = text_.substr(node.offset, node.size);
  if (has_escapes_ && raw.contains('\\')) {
    node.offset = static_cast<std::uint32_t>(storage_.arena.size());
    node.in_arena = true;
    if (const auto problem = unescape(raw, storage_.arena)) {
      return std::unexpected(refuse(text_, {problem->what, at + 1 + problem->position, problem->advice}));
    }
    node.size = static_cast<std::uint32_t>(storage_.arena.size() - node.offset);
  }
  add(node);
  return {};
}

Status Walk::key() {
  if (token() != '"') return expected("no key", "write a string and a colon before each value of an object");
  VESTIGE_CHECKED(string());
  if (token() != ':') return expected("no colon behind a key", "write one between key and value");
  ++next_;
  return {};
}

Status Walk::number() {
  const auto at = start();
  Node node{.position = at, .offset = at, .type = Type::number};
  const auto arena_before = storage_.arena.size();
  const char* const begin = text_.data() + at;
  const char* end = nullptr;
  const auto form = read_number(begin, end, storage_.arena);
  if (form == NumberForm::malformed || !ends_scalar(*end)) {
    return expected("a malformed number", "write it as RFC 8259 section 6 says, for example -12.5e3");
  }
  const auto size = static_cast<std::size_t>(end - begin);
  if (form == NumberForm::not_preserved && kept_as_text_ == nullptr) {
    return std::unexpected(refuse_number(text_, at, text_.substr(at, size)));
  }
  if (form == NumberForm::not_preserved) {
    // In the arena, because only strings there are written with quotes of their own.
    kept_as_text_->push_back(at);
    node = {
        .position = at, .offset = static_cast<std::uint32_t>(storage_.arena.size()), .type = Type::string};
    node.size = static_cast<std::uint32_t>(size);
    node.in_arena = true;
    storage_.arena.append(text_.substr(at, size));
    scratch_.pending.push_back(add(node));
    ++next_;
    return {};
  }
  node.in_arena = form == NumberForm::appended;
  if (node.in_arena) node.offset = static_cast<std::uint32_t>(arena_before);
  node.size = static_cast<std::uint32_t>(node.in_arena ? storage_.arena.size() - arena_before : size);
  scratch_.pending.push_back(add(node));
  ++next_;
  return {};
}

Status Walk::literal(std::string_view word, Node node) {
  if (!text_.substr(node.position).starts_with(word) ||
      !ends_scalar(text_.data()[node.position + word.size()])) {
    return expected("an unknown word", "only true, false and null may stand without quotes");
  }
  scratch_.pending.push_back(add(node));
  ++next_;
  return {};
}

Status Walk::close() {
  const auto container = scratch_.open.back();
  scratch_.open.pop_back();
  const std::span children = std::span(scratch_.pending).subspan(container.first_pending);
  auto& node = storage_.nodes[container.node];
  node.offset = child_count_;
  node.size = static_cast<std::uint32_t>(children.size());
  auto* const to = storage_.children.data() + child_count_;
  child_count_ += node.size;
  if (container.is_object && children.size() > 1) {
    if (scratch_.members.size() < children.size()) scratch_.members.resize(children.size());
    for (std::size_t i = 0; i < children.size(); ++i) {
      scratch_.members[i] = {key_prefix(key_of(children[i])), children[i]};
    }
    sort_members(children.size());
    VESTIGE_CHECKED(check_sorted(children.size()));
    for (std::size_t i = 0; i < children.size(); ++i) to[i] = scratch_.members[i].value;
  } else {
    std::copy(children.begin(), children.end(), to);
  }
  scratch_.pending.resize(container.first_pending);
  return {};
}

bool Walk::stands_before(const Member& a, const Member& b) const {
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  return canonical_less(key_of(a.value), key_of(b.value));
}

void Walk::sort_members(std::size_t count) {
  const std::span members(scratch_.members.data(), count);
  const auto before = [this](const Member& a, const Member& b) { return stands_before(a, b); };
  if (count > insertion_sort_max) {
    if (!std::ranges::is_sorted(members, before)) std::ranges::sort(members, before);
    return;
  }
  for (std::size_t i = 1; i < count; ++i) {
    const auto member = members[i];
    std::size_t to = i;
    for (; to > 0 && before(member, members[to - 1]); --to) members[to] = members[to - 1];
    members[to] = member;
  }
}

// Equal keys are neighbours once sorted.
Status Walk::check_sorted(std::size_t count) {
  for (std::size_t i = 1; i < count; ++i) {
    const auto& a = scratch_.members[i - 1];
    const auto& b = scratch_.members[i];
    if (a.prefix != b.prefix || key_of(a.value) != key_of(b.value)) continue;
    const auto& later = storage_.nodes[std::max(a.value, b.value) - 1];
    return std::unexpected(refuse(text_,
                                  {"a key a second time in one object", later.position, "keep one of them"},
                                  storage_.text_of(later)));
  }
  return {};
}

Error refuse_size(std::size_t size, std::uint64_t bytes_max) {
  return Error{
      .kind = ErrorKind::invalid,
      .message = fmt::format("The JSON text has {} bytes and at most {} are read; send it in smaller parts.",
                             size, bytes_max),
      .position = bytes_max,
      .limit = fmt::format("bytes_max = {}", bytes_max)};
}

// The pointers of the values at `positions` (ascending). Recurses to the depth that parsing allowed.
void append_pointers_of(const Value& value, const std::vector<std::uint64_t>& positions, std::string& path,
                        std::vector<std::string>& to) {
  if (!value.is_array() && !value.is_object()) {
    if (std::ranges::binary_search(positions, value.position())) to.push_back(path);
    return;
  }
  const auto length = path.size();
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value.is_object()) {
      append_pointer(path, value.key_at(i));
    } else {
      fmt::format_to(std::back_inserter(path), "/{}", i);
    }
    append_pointers_of(value.at(i), positions, path, to);
    path.resize(length);
  }
}

}  // namespace

struct Parser::State {
  Structure structure;
  Scratch scratch;
};

Parser::Parser() : state_(std::make_unique<State>()) {}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

Status Parser::parse(std::string_view text, Document& document, const Limits& limits) {
  return fill(text, document, limits, nullptr);
}

Status Parser::parse_lossless(std::string_view text, Document& document, std::vector<std::string>& lossless,
                              const Limits& limits) {
  lossless.clear();
  std::vector<std::uint64_t> positions;
  VESTIGE_CHECKED(fill(text, document, limits, &positions));
  if (positions.empty()) return {};
  std::string path;
  append_pointers_of(document.root(), positions, path, lossless);
  return {};
}

Status Parser::fill(std::string_view text, Document& document, const Limits& limits,
                    std::vector<std::uint64_t>* kept_as_text) {
  if (document.storage_ == nullptr) document = Document();
  auto& storage = *document.storage_;
  storage.holds_value = false;
  const auto bytes_max = std::min(limits.bytes_max, text_bytes_hard_max);
  if (text.size() > bytes_max) return std::unexpected(refuse_size(text.size(), bytes_max));
  storage.arena.clear();
  storage.text.assign(text);
  storage.text.append(padding_bytes, ' ');
  const std::string_view copy(storage.text.data(), text.size());
  switch (state_->structure.index(copy.data(), copy.size())) {
    case Indexing::done:
      break;
    case Indexing::empty:
      return std::unexpected(refuse(copy, {"no value up to its end", copy.size(), "send one JSON value"}));
    case Indexing::malformed:
      return std::unexpected(refuse(copy, find_malformed(copy)));
    case Indexing::no_memory:
      return fail(ErrorKind::unavailable,
                  "There is no memory to read a JSON text of this size; retry later.");
  }
  VESTIGE_CHECKED(Walk(copy, state_->structure.positions(), std::min(limits.depth_max, depth_hard_max),
                       storage, state_->scratch, kept_as_text)
                      .run());
  storage.holds_value = true;
  return {};
}

}  // namespace vestige::json
