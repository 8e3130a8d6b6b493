#include "audit/reader.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "base/encoding.h"
#include "trail/format/members.h"
#include "trail/format/note.h"

namespace vestige::audit {
namespace {

constexpr std::size_t cursor_mac_bytes = 16;
constexpr std::size_t cursor_bytes = 8 + 8 + cursor_mac_bytes;
constexpr std::size_t follow_bytes = 1 << 20;

std::unexpected<Error> no_such_event(const Uuid& id) {
  return fail(ErrorKind::not_found, fmt::format("there is no event {}", format_uuid(id)));
}

std::unexpected<Error> bad_cursor() {
  Error error{.kind = ErrorKind::invalid,
              .message = "the cursor does not belong to this search and key; start again without one"};
  error.path = "/cursor";
  return std::unexpected(std::move(error));
}

bool has_sections(std::string_view entry) {
  // "sealed" stands behind most members, so look for its key before walking there.
  return entry.find("\"sealed\":[") != std::string_view::npos;
}

}  // namespace

Reader::Reader(trail::Stream& stream, vault::Vault& vault, trail::Signer& signer)
    : stream_(stream),
      vault_(vault),
      signer_(signer),
      unsealer_(vault, stream.full_name()),
      cursor_key_(vault.purpose_key("cursor", stream.tenant())) {}

Result<Reader::Found> Reader::find(const trail::Snapshot& snapshot, const Uuid& id) {
  Fingerprinter fingerprint(vault_, stream_.tenant());
  VESTIGE_TRY(const auto candidates, stream_.ids().find(fingerprint(id)));
  for (const auto index : candidates) {
    if (index >= snapshot.size()) continue;
    VESTIGE_TRY(auto record, snapshot.read(index));
    if (entry_id(record.entry) == id) return Found{index, std::move(record)};
  }
  return no_such_event(id);
}

Result<std::string> Reader::event(const Uuid& id) {
  const auto snapshot = stream_.snapshot();
  VESTIGE_TRY(const auto found, find(snapshot, id));
  VESTIGE_TRY(const auto leaf, snapshot.leaf(found.index));
  std::string out;
  VESTIGE_CHECKED(unsealer_.render(
      found.record.entry, [&]() -> Result<std::vector<Bytes>> { return found.record.blobs; }, found.index,
      leaf, out));
  return out;
}

Result<std::string> Reader::sealed_bytes(const Uuid& id) {
  VESTIGE_TRY(auto found, find(stream_.snapshot(), id));
  return std::move(found.record.entry);
}

Result<std::string> Reader::checkpoint() {
  if (auto note = signer_.last_note(); !note.empty()) return note;
  return signer_.sign(stream_.snapshot());
}

Result<std::string> Reader::proof(const Uuid& id) {
  const auto snapshot = stream_.snapshot();
  VESTIGE_TRY(const auto found, find(snapshot, id));
  auto note = signer_.last_note();
  if (signer_.signed_size() <= found.index || note.empty()) {
    VESTIGE_TRY(note, signer_.sign(snapshot));
  }
  VESTIGE_TRY(const auto parsed, trail::parse_note(note));
  VESTIGE_TRY(const auto checkpoint, trail::parse_checkpoint(parsed.text));
  // The signer may be ahead of the snapshot taken first.
  const auto covering = checkpoint.size <= snapshot.size() ? snapshot : stream_.snapshot();
  VESTIGE_TRY(auto path, covering.inclusion(found.index, checkpoint.size));
  return trail::format_proof({found.index, std::move(path), note});
}

// ----------------------------------------------------------------------------------------- search

std::string Reader::make_cursor(const Search& search, std::string_view caller, Position position) const {
  Bytes token;
  ByteWriter to(token);
  to.u64(position.size);
  to.u64(position.next);
  const auto mac = cursor_key_.mac({token, search.digest, view(caller)});
  to.bytes(ByteView(mac).first(cursor_mac_bytes));
  return to_hex(token);
}

Result<Reader::Position> Reader::open_cursor(const Search& search, std::string_view caller,
                                             std::uint64_t size) const {
  if (search.cursor.empty()) return Position{size, search.order == SearchOrder::ascending ? 0 : size};
  const auto token = from_hex(search.cursor);
  if (!token || token->size() != cursor_bytes) return bad_cursor();
  const auto content = ByteView(*token).first(16);
  const auto mac = cursor_key_.mac({content, search.digest, view(caller)});
  if (!crypto::constant_time_equal(ByteView(mac).first(cursor_mac_bytes), ByteView(*token).subspan(16)))
    return bad_cursor();
  const Position position{load_le<std::uint64_t>(token->data()), load_le<std::uint64_t>(token->data() + 8)};
  if (position.size > size || position.next > position.size) return bad_cursor();
  return position;
}

Result<bool> Reader::take_row(const Search& search, const trail::Snapshot& snapshot,
                              const trail::ScannedRow& row, SearchAnswer& answer, std::size_t& bytes) {
  if (!search.words.empty() && !has_sections(row.entry) && !words_may_occur(search, row.entry)) return true;
  thread_local json::Parser parser;
  thread_local json::Document document;
  thread_local std::string rendered;
  VESTIGE_TRY(const auto leaf, snapshot.leaf(row.index));
  rendered.clear();
  VESTIGE_CHECKED(unsealer_.render(row.entry, row.blobs, row.index, leaf, rendered));
  VESTIGE_CHECKED(parser.parse(rendered, document, {.depth_max = 256, .bytes_max = 64 << 20}));
  if (!matches(search, document.root())) return true;
  bytes += rendered.size();
  answer.events.push_back(rendered);
  return answer.events.size() < search.limit && bytes < search_answer_bytes_max;
}

Result<SearchAnswer> Reader::search_by_id(const Search& search, const trail::Snapshot& snapshot) {
  SearchAnswer answer{{}, std::nullopt, snapshot.size(), snapshot.root()};
  const auto found = find(snapshot, *search.id);
  if (!found) {
    if (found.error().kind == ErrorKind::not_found) return answer;
    return std::unexpected(found.error());
  }
  std::size_t bytes = 0;
  const trail::ScannedRow row{found->index, found->record.entry,
                              [&]() -> Result<std::vector<Bytes>> { return found->record.blobs; }};
  VESTIGE_CHECKED(take_row(search, snapshot, row, answer, bytes));
  return answer;
}

Result<SearchAnswer> Reader::search(const Search& search, std::string_view caller) {
  const auto snapshot = stream_.snapshot();
  if (search.id && search.cursor.empty()) return search_by_id(search, snapshot);
  VESTIGE_TRY(const auto start, open_cursor(search, caller, snapshot.size()));
  SearchAnswer answer{{}, std::nullopt, start.size, {}};
  VESTIGE_TRY(answer.root, snapshot.root_at(start.size));
  const bool up = search.order == SearchOrder::ascending;
  std::size_t bytes = 0;
  std::optional<std::uint64_t> last;
  bool full = false;
  VESTIGE_CHECKED(
      snapshot.scan(up ? start.next : 0, up ? start.size : start.next,
                    up ? trail::Snapshot::Order::ascending : trail::Snapshot::Order::descending,
                    row_test(search), [&](const trail::ScannedRow& row) -> Result<bool> {
                      // One match beyond the page tells whether there is a next one.
                      if (full) {
                        SearchAnswer beyond;
                        std::size_t ignored = 0;
                        VESTIGE_CHECKED(take_row(search, snapshot, row, beyond, ignored));
                        if (beyond.events.empty()) return true;
                        answer.cursor = make_cursor(search, caller, {start.size, up ? *last + 1 : *last});
                        return false;
                      }
                      VESTIGE_TRY(const bool more, take_row(search, snapshot, row, answer, bytes));
                      last = row.index;
                      full = !more;
                      return true;
                    }));
  return answer;
}

Result<FollowAnswer> Reader::follow(std::uint64_t from, std::uint32_t count) {
  const auto snapshot = stream_.snapshot();
  FollowAnswer answer{{}, std::min(from, snapshot.size())};
  std::size_t bytes = 0;
  VESTIGE_CHECKED(snapshot.scan(answer.next, snapshot.size(), trail::Snapshot::Order::ascending, {},
                                [&](const trail::ScannedRow& row) -> Result<bool> {
                                  VESTIGE_TRY(const auto leaf, snapshot.leaf(row.index));
                                  FollowAnswer::Item item{row.index, {}};
                                  VESTIGE_CHECKED(
                                      unsealer_.render(row.entry, row.blobs, row.index, leaf, item.event));
                                  bytes += item.event.size();
                                  answer.items.push_back(std::move(item));
                                  answer.next = row.index + 1;
                                  return answer.items.size() < count && bytes < follow_bytes;
                                }));
  return answer;
}

}  // namespace vestige::audit
