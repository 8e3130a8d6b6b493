// Property: whatever bytes pose as a term of Erlang, reading them ends with the term or with a reason; a term
// that was read and is written anew is read as the same; its JSON is JSON in either place, and what it says
// as a patch of ExAudit's is a list of changes that fits into an event, or is refused by name.

#include <cstdio>
#include <cstdlib>

#include "base/encoding.h"
#include "cli/import/internal/elixir_values.h"
#include "cli/import/internal/exaudit.h"
#include "cli/import/testing/terms.h"

namespace vestige::cli::importing {
namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fputs(what, stderr);
  std::abort();
}

void check_reason(const Error& error) {
  require(error.kind == ErrorKind::invalid || error.kind == ErrorKind::exhausted, "a reason of another kind");
  require(!error.message.empty() && is_utf8(error.message), "a reason without words");
}

// What the writer for tests can write.
bool is_writable(const Term& term) {
  constexpr std::size_t digits_max = 18, atom_bytes_max = 255;
  if (term.kind == Term::Kind::integer) return term.text.size() <= digits_max;
  if (term.kind == Term::Kind::atom) return term.text.size() <= atom_bytes_max;
  return std::ranges::all_of(term.items, is_writable);
}

void check(const Term& term) {
  json::Parser parser;
  json::Document document;
  for (const auto place : {Place::column, Place::inside}) {
    const auto json = json_of_elixir(term, place);
    require(parser.parse(json, document).has_value(), "a value is no JSON");
    require(json::canonical(document.root()) == json, "a value is not canonical");
  }
  const auto changes = changes_of_patch(term);
  if (!changes) return check_reason(changes.error());
  require(changes->json.size() <= changes_bytes_max, "changes are longer than they may be");
  require(parser.parse(changes->json, document).has_value(), "changes are no JSON");
  for (std::size_t i = 0; i < document.root().size(); ++i)
    require(!document.root().at(i).find("field").string().empty(), "a change is of no field");
}

}  // namespace
}  // namespace vestige::cli::importing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige::cli::importing;
  const auto term = decode_term({data, size});
  if (!term) {
    check_reason(term.error());
    return 0;
  }
  check(*term);
  if (!is_writable(*term)) return 0;
  const auto again = decode_term(vestige::view(testing::TermWriter::write(*term)));
  require(again && *again == *term, "it is another term the second time");
  return 0;
}
