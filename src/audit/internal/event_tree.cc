#include "audit/internal/event_tree.h"

#include <map>
#include <optional>

#include "json/json.h"

namespace vestige::audit::internal {
namespace {

struct CanonicalLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return json::canonical_less(a, b); }
};

// Twice what an event may have: of values that are in the trail already nothing is refused here.
constexpr std::uint32_t depth_max = 256;

// "~1" and "~0" undone.
std::string unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      out.push_back(token[++i] == '1' ? '/' : '~');
    } else {
      out.push_back(token[i]);
    }
  }
  return out;
}

std::optional<std::size_t> array_index(std::string_view token) {
  if (token.empty() || token.size() > 9) return std::nullopt;
  std::size_t value = 0;
  for (const char c : token) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::size_t>(c - '0');
  }
  return value;
}

}  // namespace

struct EventTree::Node {
  enum class Form { text, object, array };
  Form form = Form::text;
  std::string text = "null";  // of Form::text
  std::map<std::string, Node, CanonicalLess> members;
  std::vector<Node> elements;

  static Node of(const json::Value& value) {
    Node node;
    if (value.is_object()) {
      node.form = Form::object;
      for (std::size_t i = 0; i < value.size(); ++i)
        node.members.emplace_hint(node.members.end(), value.key_at(i), of(value.at(i)));
    } else if (value.is_array()) {
      node.form = Form::array;
      for (std::size_t i = 0; i < value.size(); ++i) node.elements.push_back(of(value.at(i)));
    } else {
      node.text = json::canonical(value);
    }
    return node;
  }

  void become(std::string_view value) {
    *this = Node();
    form = value == "{}" ? Form::object : value == "[]" ? Form::array : Form::text;
    text = value;
  }

  void write(std::string& to) const {
    if (form == Form::text) {
      to.append(text);
      return;
    }
    to.push_back(form == Form::object ? '{' : '[');
    const auto start = to.size();
    for (const auto& [name, member] : members) {
      if (to.size() > start) to.push_back(',');
      json::append_quoted(to, name);
      to.push_back(':');
      member.write(to);
    }
    for (const auto& element : elements) {
      if (to.size() > start) to.push_back(',');
      element.write(to);
    }
    to.push_back(form == Form::object ? '}' : ']');
  }

  // The child that a token names, made where it is not there yet; null where there can be none.
  Node* child(std::string_view token) {
    if (form == Form::array) {
      const auto index = array_index(token);
      if (!index || *index > elements.size()) return nullptr;
      if (*index == elements.size()) elements.emplace_back();
      return &elements[*index];
    }
    if (form == Form::text) become("{}");
    return &members[unescape(token)];
  }
};

EventTree::EventTree() : root_(std::make_unique<Node>()) { root_->become("{}"); }
EventTree::~EventTree() = default;

Status EventTree::add_member(std::string_view name, std::string_view json, bool touched) {
  Node node;
  if (touched) {
    json::Parser parser;
    json::Document document;
    VESTIGE_CHECKED(parser.parse(json, document, {.depth_max = depth_max, .bytes_max = 64 << 20}));
    node = Node::of(document.root());
  } else {
    node.text = json;
  }
  root_->members.insert_or_assign(std::string(name), std::move(node));
  return {};
}

bool EventTree::put(const seal::Pair& pair) {
  Node* at = root_.get();
  std::string_view path = pair.path;
  while (!path.empty()) {
    if (path.front() != '/') return false;
    path.remove_prefix(1);
    const auto slash = path.find('/');
    at = at->child(path.substr(0, slash));
    if (at == nullptr) return false;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  if (at == root_.get()) return false;
  at->become(pair.value);
  return true;
}

void EventTree::write(std::string& to) const { root_->write(to); }

std::string first_token(std::string_view path) {
  if (!path.starts_with('/')) return {};
  path.remove_prefix(1);
  return unescape(path.substr(0, path.find('/')));
}

}  // namespace vestige::audit::internal
