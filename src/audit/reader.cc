#include "audit/reader.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "audit/search/plan.h"
#include "audit/search/tokens.h"
#include "base/encoding.h"
#include "trail/format/members.h"
#include "trail/format/note.h"

namespace vestige::audit {
namespace {

constexpr std::size_t cursor_mac_bytes = 16;
constexpr std::size_t cursor_bytes = 8 + 8 + cursor_mac_bytes;
constexpr std::size_t follow_bytes = 1 << 20;
constexpr std::uint64_t follow_rows_max = 20'000;

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

Reader::Reader(trail::Stream& stream, vault::Vault& vault, trail::Signer& signer,
               const ErasureIndex* erasures)
    : stream_(stream),
      vault_(vault),
      signer_(signer),
      unsealer_(vault, stream.full_name(), erasures),
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

// Brings rows to events as one reader sees them, and tells which match.
class Reader::Matching {
 public:
  Matching(Reader& reader, const Search& search, const Visibility& visibility,
           const trail::Snapshot& snapshot)
      : reader_(reader),
        search_(search),
        visibility_(visibility),
        snapshot_(snapshot),
        bytes_(search.where),
        rows_(row_test(search.where, visibility.personal)),
        by_columns_(visibility.rows || search.id ? ByColumns::never : by_columns(search.where)) {}

  // Looks up whose sections a search for a subject concerns.
  Status prepare();
  // False where no row can match.
  bool possible() const { return !subjects_ || !subjects_->empty(); }
  // Whether the row matches; then event() and text() are its.
  Result<bool> take(const trail::ScannedRow& row);
  json::Value event() const { return document_.root(); }
  MatchedEntry matched(const trail::ScannedRow& row) const {
    return {row.index, leaf_, row.entry, text_, sections_, document_.root()};
  }
  const std::string& text() const { return text_; }
  const trail::Snapshot& snapshot() const { return snapshot_; }
  // What pages and columns can tell; after prepare().
  const trail::RowTest& rows() const { return rows_; }
  // Whether the rows of the page that pass rows() are those that match.
  bool told_by_columns(const trail::ScannedPage& page) const {
    return by_columns_ == ByColumns::always ||
           (by_columns_ == ByColumns::pages_without_sections && !page.has_sections);
  }

 private:
  bool may_match(std::string_view entry) const;

  Reader& reader_;
  const Search& search_;
  const Visibility& visibility_;
  const trail::Snapshot& snapshot_;
  const ByteTest bytes_;
  trail::RowTest rows_;
  const ByColumns by_columns_;
  std::optional<std::vector<std::string>> subjects_;  // refs that must occur, as the entry writes them
  json::Parser parser_;
  json::Document document_;
  Hash leaf_{};
  OpenedSections sections_;
  std::string text_;
  std::string whole_;
};

Status Reader::Matching::prepare() {
  for (const auto& part : search_.where.parts) {
    if (part.kind != Condition::Kind::field || part.test != Condition::Test::in || part.ignore_case ||
        part.field.keys != std::vector<std::string>{"subject"})
      continue;
    subjects_.emplace();
    for (const auto& operand : part.operands) {
      VESTIGE_TRY(const auto subject, reader_.vault_.look_up(reader_.stream_.tenant(), operand.text));
      if (subject.ref) subjects_->push_back(to_base64(*subject.ref));
    }
    trail::RowTest::Tokens refs;
    for (const auto& ref : *subjects_) refs.any_of.push_back(ref_token(ref));
    rows_.tokens.push_back(std::move(refs));
  }
  return {};
}

bool Reader::Matching::may_match(std::string_view entry) const {
  const bool sealed = has_sections(entry);
  if (subjects_)
    return sealed && std::ranges::any_of(*subjects_, [&](const std::string& ref) {
             return entry.find(ref) != std::string_view::npos;
           });
  return sealed || bytes_.may_match(entry);
}

Result<bool> Reader::Matching::take(const trail::ScannedRow& row) {
  if (!may_match(row.entry)) return false;
  constexpr json::Limits limits{.depth_max = 256, .bytes_max = 64 << 20};
  VESTIGE_TRY(leaf_, snapshot_.leaf(row.index));
  VESTIGE_TRY(sections_,
              visibility_.personal ? reader_.unsealer_.open(row.entry, row.blobs) : leave_closed(row.entry));
  text_.clear();
  VESTIGE_CHECKED(render(row.entry, sections_, row.index, leaf_, text_));
  VESTIGE_CHECKED(parser_.parse(text_, document_, limits));
  if (visibility_.rows && !audit::matches(*visibility_.rows, document_.root())) return false;
  if (!visibility_.hidden.empty()) {
    whole_.swap(text_);
    text_.clear();
    append_visible(text_, document_.root(), visibility_);
    VESTIGE_CHECKED(parser_.parse(text_, document_, limits));
  }
  return matches(search_, document_.root());
}

Status Reader::visit_one(const Uuid& id, const Visibility& visibility,
                         const std::function<Status(const MatchedEntry&)>& on_event) {
  const auto snapshot = stream_.snapshot();
  Search search;
  search.id = id;
  Matching matching(*this, search, visibility, snapshot);
  VESTIGE_TRY(const auto found, find(snapshot, id));
  const trail::ScannedRow row{found.index, found.record.entry,
                              [&]() -> Result<std::vector<Bytes>> { return found.record.blobs; }};
  VESTIGE_TRY(const bool visible, matching.take(row));
  if (!visible) return no_such_event(id);
  return on_event(matching.matched(row));
}

Result<std::string> Reader::event(const Uuid& id, const Visibility& visibility) {
  std::string event;
  VESTIGE_CHECKED(visit_one(id, visibility, [&](const MatchedEntry& found) -> Status {
    event = found.event;
    return {};
  }));
  return event;
}

Result<std::string> Reader::sealed_bytes(const Uuid& id) {
  VESTIGE_TRY(auto found, find(stream_.snapshot(), id));
  return std::move(found.record.entry);
}

Result<std::string> Reader::checkpoint() {
  if (auto note = signer_.last_note(); !note.empty()) return note;
  return signer_.sign(stream_.snapshot());
}

Result<Reader::Pinned> Reader::pin() {
  VESTIGE_TRY(auto note, signer_.sign(stream_.snapshot()));
  VESTIGE_TRY(const auto parsed, trail::parse_note(note));
  VESTIGE_TRY(auto checkpoint, trail::parse_checkpoint(parsed.text));
  return Pinned{std::move(note), std::move(checkpoint.origin), checkpoint.size};
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

Result<SearchAnswer> Reader::search_by_id(const Search& search, const trail::Snapshot& snapshot,
                                          Matching& matching) {
  SearchAnswer answer{{}, {}, std::nullopt, snapshot.size(), snapshot.root()};
  Tally tally(search.tally);
  const auto found = find(snapshot, *search.id);
  if (!found && found.error().kind != ErrorKind::not_found) return std::unexpected(found.error());
  if (found) {
    const trail::ScannedRow row{found->index, found->record.entry,
                                [&]() -> Result<std::vector<Bytes>> { return found->record.blobs; }};
    VESTIGE_TRY(const bool matched, matching.take(row));
    if (matched) {
      answer.events.push_back(matching.text());
      VESTIGE_CHECKED(tally.add(matching.event()));
    }
  }
  tally.write(answer.tally);
  return answer;
}

Status Reader::fill_page(const Search& search, Matching& matching, Position start, std::string_view caller,
                         SearchAnswer& answer) {
  const bool up = search.order == SearchOrder::ascending;
  std::size_t bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t last = 0;
  return matching.snapshot().scan(
      up ? start.next : 0, up ? start.size : start.next,
      up ? trail::Snapshot::Order::ascending : trail::Snapshot::Order::descending, matching.rows(),
      [&](const trail::ScannedRow& row) -> Result<bool> {
        // A search that finds little in much goes on with the next request.
        if (rows == search.rows_max) {
          answer.cursor = make_cursor(search, caller, {start.size, up ? row.index : row.index + 1});
          return false;
        }
        ++rows;
        VESTIGE_TRY(const bool matched, matching.take(row));
        if (!matched) return true;
        // One match beyond the page tells that there is a next one.
        if (answer.events.size() == search.limit || bytes >= search_answer_bytes_max) {
          answer.cursor = make_cursor(search, caller, {start.size, up ? last + 1 : last});
          return false;
        }
        bytes += matching.text().size();
        answer.events.push_back(matching.text());
        last = row.index;
        return true;
      });
}

Status Reader::count_all(const Search& search, Matching& matching, std::uint64_t size, SearchAnswer& answer) {
  Tally tally(search.tally);
  VESTIGE_CHECKED(matching.snapshot().scan(
      0, size, trail::Snapshot::Order::ascending, matching.rows(),
      [&](const trail::ScannedRow& row) -> Result<bool> {
        VESTIGE_TRY(const bool matched, matching.take(row));
        if (matched) VESTIGE_CHECKED(tally.add(matching.event()));
        return true;
      },
      [&](const trail::ScannedPage& page) -> Result<bool> {
        if (!matching.told_by_columns(page)) return false;
        return tally.add(page);
      }));
  tally.write(answer.tally);
  return {};
}

Result<SearchAnswer> Reader::search(const Search& search, const Visibility& visibility,
                                    std::string_view caller) {
  VESTIGE_CHECKED(check_visible(visibility, search));
  const auto snapshot = stream_.snapshot();
  Matching matching(*this, search, visibility, snapshot);
  VESTIGE_CHECKED(matching.prepare());
  if (search.id && search.cursor.empty()) return search_by_id(search, snapshot, matching);
  VESTIGE_TRY(const auto start, open_cursor(search, caller, snapshot.size()));
  SearchAnswer answer{{}, {}, std::nullopt, start.size, {}};
  VESTIGE_TRY(answer.root, snapshot.root_at(start.size));
  if (matching.possible()) VESTIGE_CHECKED(fill_page(search, matching, start, caller, answer));
  if (!search.tally.empty())
    VESTIGE_CHECKED(count_all(search, matching, matching.possible() ? start.size : 0, answer));
  return answer;
}

Status Reader::visit(std::uint64_t from, std::uint64_t to, const Search& search, const Visibility& visibility,
                     const OnMatch& on_match) {
  VESTIGE_CHECKED(check_visible(visibility, search));
  const auto snapshot = stream_.snapshot();
  Matching matching(*this, search, visibility, snapshot);
  VESTIGE_CHECKED(matching.prepare());
  if (!matching.possible()) return {};
  if (search.id) {
    const auto found = find(snapshot, *search.id);
    if (!found && found.error().kind != ErrorKind::not_found) return std::unexpected(found.error());
    if (!found) return {};
    from = std::max(from, found->index);
    to = std::min(to, found->index + 1);
  }
  return snapshot.scan(from, to, trail::Snapshot::Order::ascending, matching.rows(),
                       [&](const trail::ScannedRow& row) -> Result<bool> {
                         VESTIGE_TRY(const bool matched, matching.take(row));
                         if (!matched) return true;
                         return on_match(matching.matched(row));
                       });
}

Result<FollowAnswer> Reader::follow(std::uint64_t from, std::uint32_t count, const Search& search,
                                    const Visibility& visibility) {
  const auto size = stream_.size();
  from = std::min(from, size);
  // Rows that are passed over do not match, so a visit to the end has seen all.
  FollowAnswer answer{{}, std::min(size, from + follow_rows_max)};
  std::size_t bytes = 0;
  VESTIGE_CHECKED(
      visit(from, answer.next, search, visibility, [&](const MatchedEntry& found) -> Result<bool> {
        bytes += found.event.size();
        answer.items.push_back({found.index, std::string(found.event)});
        if (answer.items.size() < count && bytes < follow_bytes) return true;
        answer.next = found.index + 1;
        return false;
      }));
  return answer;
}

}  // namespace vestige::audit
