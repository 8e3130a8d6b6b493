#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "http/internal/target.h"
#include "http/server.h"

namespace vestige::http {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash before the segment
    segments.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(segments.back().size());
  }
  return segments;
}

// The decoded segments of a request's path, or nothing for "*" and for what was never decoded well.
std::optional<std::vector<std::string>> segments_of(const Request& request) {
  const bool encoded = !request.encoded_path.empty();
  const std::string_view path = encoded ? request.encoded_path : request.path;
  if (!path.starts_with('/')) return std::nullopt;
  std::vector<std::string> segments;
  for (const auto segment : split(path)) {
    if (!encoded) {
      segments.emplace_back(segment);
      continue;
    }
    auto decoded = internal::percent_decode(segment, internal::Plus::literal);
    if (!decoded) return std::nullopt;
    segments.push_back(*std::move(decoded));
  }
  return segments;
}

bool fits_capture(std::string_view segment) { return !segment.empty() && segment != "." && segment != ".."; }

}  // namespace

// A tree of segments. The names of captures stand at its ends, since two patterns may name one place
// differently.
struct Router::Table {
  struct End {
    std::map<std::string, Handler> by_method;
    std::vector<std::string> capture_names;
  };
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> capture;
    std::optional<End> end;
    std::optional<End> rest;  // of a pattern that ends in {name...} here
  };
  using Captured = std::vector<std::string>;

  Node root;
  std::vector<std::pair<std::string, std::string>> routes;

  End& end_for(std::string_view pattern);
  static const End* find(const Node& node, std::span<const std::string> segments, Captured& captured);
  static const End* find_rest(const Node& node, std::span<const std::string> segments, Captured& captured);
  std::string every_method() const;
};

Router::Table::End& Router::Table::end_for(std::string_view pattern) {
  CHECK(pattern.starts_with('/'));
  std::vector<std::string> names;
  const auto settle = [&](std::optional<End>& place) -> End& {
    if (!place) place = End{.by_method = {}, .capture_names = names};
    CHECK(place->capture_names == names);  // one pattern, one set of names
    return *place;
  };
  Node* node = &root;
  for (const auto segment : split(pattern)) {
    if (!segment.starts_with('{')) {
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
      continue;
    }
    CHECK(segment.size() > 2 && segment.ends_with('}'));
    const auto name = segment.substr(1, segment.size() - 2);
    if (name.ends_with("...")) {
      CHECK(pattern.ends_with(segment));
      names.emplace_back(name.substr(0, name.size() - 3));
      return settle(node->rest);
    }
    names.emplace_back(name);
    if (!node->capture) node->capture = std::make_unique<Node>();
    node = node->capture.get();
  }
  return settle(node->end);
}

// As deep as the pattern with the most segments, whatever the request.
const Router::Table::End* Router::Table::find(const Node& node, std::span<const std::string> segments,
                                              Captured& captured) {
  if (segments.empty()) return node.end ? &*node.end : nullptr;
  const auto literal = node.literals.find(segments.front());
  if (literal != node.literals.end()) {
    if (const auto* end = find(*literal->second, segments.subspan(1), captured)) return end;
  }
  if (node.capture && fits_capture(segments.front())) {
    captured.push_back(segments.front());
    if (const auto* end = find(*node.capture, segments.subspan(1), captured)) return end;
    captured.pop_back();
  }
  return find_rest(node, segments, captured);
}

const Router::Table::End* Router::Table::find_rest(const Node& node, std::span<const std::string> segments,
                                                   Captured& captured) {
  if (!node.rest || !std::ranges::all_of(segments, fits_capture)) return nullptr;
  captured.push_back(fmt::format("{}", fmt::join(segments, "/")));
  return &*node.rest;
}

std::string Router::Table::every_method() const {
  std::set<std::string> methods{"OPTIONS"};
  for (const auto& [method, pattern] : routes) methods.insert(method);
  if (methods.contains("GET")) methods.insert("HEAD");
  return fmt::format("{}", fmt::join(methods, ", "));
}

namespace {

std::string allow_of(const std::map<std::string, Handler>& by_method) {
  std::set<std::string> methods{"OPTIONS"};
  for (const auto& [method, handler] : by_method) methods.insert(method);
  if (methods.contains("GET")) methods.insert("HEAD");
  return fmt::format("{}", fmt::join(methods, ", "));
}

Response options_answer(std::string allow) {
  Response response{.status = 204, .content_type = {}};
  response.headers.emplace_back("Allow", std::move(allow));
  return response;
}

}  // namespace

Router::Router() : table_(std::make_unique<Table>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(std::string method, std::string pattern, Handler handler) {
  const bool added = table_->end_for(pattern).by_method.emplace(method, std::move(handler)).second;
  CHECK(added);  // every method and pattern once
  table_->routes.emplace_back(std::move(method), std::move(pattern));
}

void Router::handle(Request request, Responder responder) const {
  if (request.path == "*" && request.method == "OPTIONS")
    return responder.respond(options_answer(table_->every_method()));
  const auto segments = segments_of(request);
  Table::Captured captured;
  const auto* end = segments ? Table::find(table_->root, *segments, captured) : nullptr;
  if (!end)
    return responder.respond(
        problem(404, fmt::format("There is nothing at {}; check the path for a slip.", request.path)));

  auto handler = end->by_method.find(request.method);
  if (handler == end->by_method.end() && request.method == "HEAD") handler = end->by_method.find("GET");
  if (handler != end->by_method.end()) {
    CHECK(captured.size() == end->capture_names.size());
    for (std::size_t i = 0; i < captured.size(); ++i)
      request.captures.emplace(end->capture_names[i], std::move(captured[i]));
    return handler->second(std::move(request), std::move(responder));
  }
  const auto allow = allow_of(end->by_method);
  if (request.method == "OPTIONS") return responder.respond(options_answer(allow));
  auto refusal =
      problem(405, fmt::format("{} does not answer {}; it answers {}.", request.path, request.method, allow));
  refusal.headers.emplace_back("Allow", allow);
  responder.respond(std::move(refusal));
}

std::vector<std::pair<std::string, std::string>> Router::routes() const { return table_->routes; }

}  // namespace vestige::http
