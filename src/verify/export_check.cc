#include "verify/export_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/export_event.h"
#include "verify/internal/export_rows.h"
#include "verify/internal/json_member.h"
#include "verify/limits.h"
#include "verify/proof_check.h"

namespace vestige::verify {
namespace {

constexpr std::string_view format_name = "vestige export v1";

std::unexpected<Error> wrong(std::string what) { return fail(ErrorKind::corrupt, std::move(what)); }

std::string text_in(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value.is_string() ? std::string(value.string()) : std::string();
}

// All that are required, and of the others only those that may be there.
bool has_members(const json::Value& object, std::initializer_list<std::string_view> required,
                 std::initializer_list<std::string_view> optional = {}) {
  if (!object.is_object()) return false;
  for (const auto name : required)
    if (!object.find(name).exists()) return false;
  const auto in = [](const auto& list, std::string_view name) {
    return std::ranges::find(list, name) != list.end();
  };
  for (std::size_t i = 0; i < object.size(); ++i)
    if (!in(required, object.key_at(i)) && !in(optional, object.key_at(i))) return false;
  return true;
}

bool is_time_or_null(const json::Value& value) { return value.is_null() || value.is_string(); }

}  // namespace

struct ExportCheck::State {
  explicit State(std::optional<trail::VerifierKey> given) : key(std::move(given)) {}

  Status take_row(std::span<const std::string> cells, std::string_view line);
  Status take_header(std::span<const std::string> cells, const json::Value& line);
  Status check_checkpoint_of(const json::Value& line);
  Status take_event(std::span<const std::string> cells, const json::Value& line);
  Status take_closing(std::span<const std::string> cells, const json::Value& line);
  Status check_statement(const std::string& note, std::string_view after);
  // Appends what stands for the entries up to `index`.
  Status take_nodes(const json::Value& line, std::uint64_t index);
  void set_bad(std::uint64_t line, std::string reason) {
    if (!verdict.bad) verdict.bad = {line, std::move(reason)};
  }

  const std::optional<trail::VerifierKey> key;
  ExportRows rows;
  json::Parser parser;
  json::Document document;
  Hash digest = crypto::sha256(view("vestige export v1\n"));
  trail::Frontier tree;
  std::uint64_t lines = 0;
  bool closed = false;
  ExportVerdict verdict;
};

ExportCheck::ExportCheck(std::optional<trail::VerifierKey> key)
    : state_(std::make_unique<State>(std::move(key))) {}
ExportCheck::~ExportCheck() = default;

bool ExportCheck::feed(std::string_view bytes) {
  auto& state = *state_;
  if (state.verdict.bad) return false;
  const bool read = state.rows.feed(bytes, [&](std::span<const std::string> cells, std::string_view line) {
    ++state.lines;
    const auto taken = state.take_row(cells, line);
    if (!taken) state.set_bad(state.lines, taken.error().message);
    return taken.has_value();
  });
  if (!read) state.set_bad(state.lines + 1, state.rows.problem());
  return read;
}

ExportVerdict ExportCheck::finish() {
  auto& state = *state_;
  if (!state.rows.at_end_of_row())
    state.set_bad(state.lines + 1, "the file ends within it: it was cut off in transit");
  else if (!state.closed)
    state.set_bad(state.lines + 1, state.lines == 0
                                       ? "the file is empty"
                                       : "the file ends before its closing line: it was cut off in transit");
  return std::move(state.verdict);
}

Status ExportCheck::State::take_row(std::span<const std::string> cells, std::string_view line) {
  constexpr json::Limits limits{.depth_max = limits::export_depth_max,
                                .bytes_max = limits::export_row_bytes_max};
  if (const auto parsed = parser.parse(line, document, limits); !parsed)
    return wrong(fmt::format("it is no JSON: {}", parsed.error().message));
  const auto root = document.root();
  if (lines == 1) {
    VESTIGE_CHECKED(take_header(cells, root));
  } else {
    if (closed) return wrong("it stands behind the closing line");
    if (text_in(root, "after") != to_base64(digest))
      return wrong(
          "it does not follow the line before it: that one was altered, or lines were removed, added or "
          "moved");
    if (has_members(root, {"after", "entry", "event"}, {"nodes", "open"})) {
      VESTIGE_CHECKED(take_event(cells, root));
    } else if (has_members(root, {"after", "incomplete"})) {
      return wrong(fmt::format("the server could not finish the export: {}", text_in(root, "incomplete")));
    } else if (has_members(root, {"after", "statement"}, {"nodes"})) {
      VESTIGE_CHECKED(take_closing(cells, root));
    } else {
      return wrong("it is neither an event nor the closing line");
    }
  }
  digest = crypto::sha256({digest, view(line)});
  return {};
}

Status ExportCheck::State::check_checkpoint_of(const json::Value& line) {
  const auto note = text_in(line, "checkpoint");
  if (key) {
    const auto checked = check_checkpoint(note, key->text());
    if (!checked) return wrong(checked.error().message);
  }
  const auto parsed = trail::parse_note(note);
  const auto checkpoint = parsed ? trail::parse_checkpoint(parsed->text) : std::unexpected(parsed.error());
  if (!checkpoint) return wrong(fmt::format("its checkpoint cannot be read: {}", checkpoint.error().message));
  if (checkpoint->origin != verdict.facts.origin ||
      !checkpoint->origin.ends_with(fmt::format("/{}/{}", verdict.facts.tenant, verdict.facts.stream)))
    return wrong("its checkpoint is of another log");
  verdict.facts.size = checkpoint->size;
  verdict.facts.root = checkpoint->root;
  return {};
}

Status ExportCheck::State::take_header(std::span<const std::string> cells, const json::Value& line) {
  if (text_in(line, "format") != format_name)
    return wrong(fmt::format("the file is no export of the format \"{}\"", format_name));
  if (!has_members(line, {"asked", "checkpoint", "exportedAt", "exporter", "format", "origin", "search",
                          "stream", "tenant", "timeFrom", "timeTo"}))
    return wrong("the members of the header are not those of version 1");
  const auto exporter = line.find("exporter");
  if (!line.find("asked").is_object() || !line.find("search").is_object() ||
      !has_members(exporter, {"id", "name"}) || !is_time_or_null(line.find("timeFrom")) ||
      !is_time_or_null(line.find("timeTo")))
    return wrong("a member of the header is not what the format says");
  const auto columns = export_columns();
  if (rows.is_csv() && !std::ranges::equal(cells, columns))
    return wrong("its columns are not those of version 1");
  auto& facts = verdict.facts;
  facts.origin = text_in(line, "origin");
  facts.tenant = text_in(line, "tenant");
  facts.stream = text_in(line, "stream");
  facts.asked = json::canonical(line.find("asked"));
  facts.search = json::canonical(line.find("search"));
  facts.exporter_id = text_in(exporter, "id");
  facts.exporter_name = text_in(exporter, "name");
  facts.exported_at = text_in(line, "exportedAt");
  return check_checkpoint_of(line);
}

Status ExportCheck::State::take_nodes(const json::Value& line, std::uint64_t index) {
  const auto nodes = line.find("nodes");
  std::size_t used = 0;
  while (tree.size() < index) {
    const auto node = used < nodes.size() ? nodes.at(used) : json::Value();
    const auto hash = node.is_string() ? array_from_base64<32>(node.string()) : std::optional<Hash>();
    if (!hash)
      return wrong(fmt::format("it lacks hashes for the entries from {} to {} that were left out before it",
                               tree.size(), index - 1));
    tree.append_subtree(trail::subtree_level(tree.size(), index), *hash);
    ++used;
  }
  const bool fits = nodes.exists() ? nodes.is_array() && used == nodes.size() && used > 0 : used == 0;
  if (!fits) return wrong("it has hashes for more entries than were left out before it");
  return {};
}

Status ExportCheck::State::take_event(std::span<const std::string> cells, const json::Value& line) {
  auto& facts = verdict.facts;
  VESTIGE_TRY(const auto event, check_exported_event(line, facts));
  if (rows.is_csv()) VESTIGE_CHECKED(check_cells(cells, line.find("event")));
  if (event.index < tree.size())
    return wrong(fmt::format("entry {} does not belong behind entry {}", event.index, tree.size() - 1));
  if (event.index >= facts.size)
    return wrong(fmt::format("entry {} is past the {} of the checkpoint", event.index, facts.size));
  VESTIGE_CHECKED(take_nodes(line, event.index));
  tree.append(event.leaf);
  ++facts.events;
  if (facts.time_first.empty() || event.time < facts.time_first) facts.time_first = event.time;
  if (facts.time_last.empty() || event.time > facts.time_last) facts.time_last = event.time;
  return {};
}

Status ExportCheck::State::take_closing(std::span<const std::string> cells, const json::Value& line) {
  if (rows.is_csv() && (cells.size() != export_columns().size() ||
                        std::ranges::any_of(cells, [](const auto& cell) { return !cell.empty(); })))
    return wrong("the cells in front of the closing line are not empty");
  VESTIGE_CHECKED(take_nodes(line, verdict.facts.size));
  if (tree.root() != verdict.facts.root)
    return wrong(
        "all lines together lead to another root than the checkpoint has: an entry or a hash before was "
        "replaced");
  VESTIGE_CHECKED(check_statement(text_in(line, "statement"), text_in(line, "after")));
  closed = true;
  return {};
}

Status ExportCheck::State::check_statement(const std::string& note, std::string_view after) {
  const auto parsed = trail::parse_note(note);
  if (!parsed) return wrong(fmt::format("its statement is no signed note: {}", parsed.error().message));
  if (key) {
    if (!trail::verify_note(*parsed, std::span(&*key, 1)))
      return wrong(fmt::format("the key \"{}\" did not sign its statement", key->text()));
    verdict.signature_checked = true;
  }
  const auto& facts = verdict.facts;
  const auto time = [](const std::string& text) { return text.empty() ? "null" : '"' + text + '"'; };
  const auto expected = fmt::format(
      "{}\n"
      R"({{"digest":"{}","events":{},"sections":{{"closed":{},"erased":{},"present":{},"unknown":{}}},"size":{},)"
      R"("timeFirst":{},"timeLast":{}}})"
      "\n",
      format_name, after, facts.events, facts.closed, facts.erased, facts.present, facts.unknown, facts.size,
      time(facts.time_first), time(facts.time_last));
  if (parsed->text != expected)
    return wrong("its statement is of another file: other lines, or another number of them, were signed");
  return {};
}

}  // namespace vestige::verify
