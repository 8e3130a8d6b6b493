// Property: no text makes the readers of searches and of the search language crash; what is refused names a
// place; and whatever event meets a search is passed over neither by its bytes nor by its tokens. The first
// line is the search (a JSON body, or words in the search language), the rest is the event.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "audit/filter.h"
#include "audit/search/plan.h"
#include "audit/search/query_language.h"
#include "audit/search/tokens.h"
#include "base/check.h"
#include "base/encoding.h"

namespace vestige::audit {
namespace {

constexpr UnixMs now{1'795'617'620'000};

void check_refusal(const Error& error) {
  CHECK(!error.message.empty() && is_utf8(error.message) && is_utf8(error.path));
  CHECK(error.kind == ErrorKind::invalid || error.kind == ErrorKind::exhausted);
}

void check_plan(const Condition& where, const json::Value& event) {
  const auto entry = json::canonical(event);
  if (!matches(where, event)) return;
  CHECK(ByteTest(where).may_match(entry));
  static const EntryTokeniser tokeniser;
  std::vector<trail::Token> tokens;
  tokeniser.describe(entry, tokens);
  std::vector<trail::RowTest::Tokens> needed;
  add_tokens(where, needed, true);
  for (const auto& wanted : needed)
    CHECK(std::ranges::any_of(
        wanted.any_of, [&](trail::Token token) { return std::ranges::find(tokens, token) != tokens.end(); }));
}

}  // namespace
}  // namespace vestige::audit

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace audit = vestige::audit;
  const auto text = vestige::text({data, size});
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  // As a member of a JSON document it is always UTF-8.
  if (!vestige::is_utf8(line)) return 0;
  if (const auto query = audit::parse_query(line, audit::now, "/query"); !query)
    audit::check_refusal(query.error());

  static vestige::json::Parser parser;
  static vestige::json::Document body, event;
  if (!parser.parse(line, body)) return 0;
  const auto search = audit::parse_search(body, audit::now);
  if (!search) {
    audit::check_refusal(search.error());
    return 0;
  }
  if (end == std::string_view::npos || !parser.parse(text.substr(end + 1), event)) return 0;
  // Events are objects, and what stands in an entry in a way of its own is not looked up like the rest.
  if (!event.root().is_object() || event.root().find("sealed").exists()) return 0;
  audit::check_plan(search->where, event.root());
  return 0;
}
