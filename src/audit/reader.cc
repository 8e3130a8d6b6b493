#include "audit/reader.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "audit/search/normal_form.h"
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

constexpr json::Limits event_limits{.depth_max = 256, .bytes_max = 64 << 20};

bool names_subjects(const Condition& condition) {
  return condition.kind == Condition::Kind::field && condition.test == Condition::Test::in &&
         !condition.ignore_case && condition.field.keys == std::vector<std::string>{"subject"};
}

// The search as this reader may do it; denied where they may not. Who sees one person may name them as its
// subject: the entries that they see are then all that match, although the subject itself is not told.
Result<Search> within(const Visibility& visibility, const Search& search) {
  auto narrowed = search;
  if (visibility.person)
    std::erase_if(narrowed.where.parts, [&](const Condition& part) {
      return names_subjects(part) && part.operands.size() == 1 &&
             part.operands.front().text == *visibility.person;
    });
  VESTIGE_CHECKED(check_visible(visibility, narrowed));
  return narrowed;
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
        by_columns_(visibility.rows || visibility.person || search.id ? ByColumns::never
                                                                      : by_columns(search.where)) {}

  // Looks up whose sections a search for a subject, or of a reader who sees one person, concerns.
  Status prepare();
  // False where no row can match.
  bool possible() const { return (!subjects_ || !subjects_->empty()) && (!persons_ || !persons_->empty()); }
  // Whether the row matches; then event() and text() are its.
  Result<bool> take(const trail::ScannedRow& row);
  json::Value event() const { return document_.root(); }
  // How the reader gets the row that was taken last: masks stand in it where there are to be some.
  Result<std::string_view> shown(const trail::ScannedRow& row);
  Result<MatchedEntry> matched(const trail::ScannedRow& row) {
    VESTIGE_TRY(const auto event, shown(row));
    return MatchedEntry{row.index, leaf_, row.entry, event, sections_, document_.root()};
  }
  // Counts that tell values of persons are given out as much as events are.
  bool counts_tell() const {
    return visibility_.personal && visibility_.given_out &&
           std::ranges::any_of(search_.tally.facets,
                               [](const FacetWish& facet) { return !is_plain(facet.field); });
  }
  // Begins to note what counts give out: all that matches, with the page that is among it.
  void begin_counting() {
    if (counts_tell()) *visibility_.given_out = {};
  }
  void note_counted() {
    if (counts_tell()) visibility_.given_out->add(sections_.references);
  }
  const trail::Snapshot& snapshot() const { return snapshot_; }
  std::uint64_t small_count() const { return visibility_.small_count; }
  // What pages and columns can tell; after prepare().
  const trail::RowTest& rows() const { return rows_; }
  // Whether the rows of the page that pass rows() are those that match.
  bool told_by_columns(const trail::ScannedPage& page) const {
    return by_columns_ == ByColumns::always ||
           (by_columns_ == ByColumns::pages_without_sections && !page.has_sections);
  }

 private:
  using Refs = std::vector<std::string>;  // as an entry writes them
  Result<Refs> refs_of(std::string_view subject) const;
  void require(const Refs& refs);
  bool may_match(const trail::ScannedRow& row) const;
  bool is_theirs(const seal::Reference& reference) const;  // of whom the reader may see
  const KindSchema* kind_of(std::string_view entry) const;
  bool is_told(const KindSchema* kind, const seal::Pair& pair) const;
  Result<OpenedSections> open(const trail::ScannedRow& row) const;
  Result<OpenedSections> told_sections(const trail::ScannedRow& row) const;

  Reader& reader_;
  const Search& search_;
  const Visibility& visibility_;
  const trail::Snapshot& snapshot_;
  const ByteTest bytes_;
  trail::RowTest rows_;
  const ByColumns by_columns_;
  std::optional<Refs> subjects_;  // one of these must occur: of whom the search is for
  std::optional<Refs> persons_;   // and one of these: of whom the reader may see
  json::Parser parser_;
  json::Document document_;
  Hash leaf_{};
  OpenedSections sections_;
  std::string text_;
  std::string whole_;
  std::string masked_;
  json::Document masked_document_;
};

Result<Reader::Matching::Refs> Reader::Matching::refs_of(std::string_view subject) const {
  Refs refs;
  VESTIGE_TRY(const auto found, reader_.vault_.look_up(reader_.stream_.tenant(), subject));
  if (found.ref) refs.push_back(to_base64(*found.ref));
  return refs;
}

void Reader::Matching::require(const Refs& refs) {
  trail::RowTest::Tokens tokens;
  for (const auto& ref : refs) tokens.any_of.push_back(ref_token(ref));
  rows_.tokens.push_back(std::move(tokens));
}

Status Reader::Matching::prepare() {
  if (visibility_.person) {
    VESTIGE_TRY(persons_, refs_of(*visibility_.person));
    require(*persons_);
  }
  for (const auto& part : search_.where.parts) {
    if (!names_subjects(part)) continue;
    subjects_.emplace();
    for (const auto& operand : part.operands) {
      VESTIGE_TRY(const auto refs, refs_of(operand.text));
      subjects_->insert(subjects_->end(), refs.begin(), refs.end());
    }
    require(*subjects_);
  }
  return {};
}

bool Reader::Matching::may_match(const trail::ScannedRow& row) const {
  const auto entry = row.entry;
  const bool sealed = row.may_have_sections && has_sections(entry);
  const auto has_one_of = [&](const Refs& refs) {
    return sealed && std::ranges::any_of(refs, [&](const std::string& ref) {
             return entry.find(ref) != std::string_view::npos;
           });
  };
  if (persons_ && !has_one_of(*persons_)) return false;
  if (subjects_) return has_one_of(*subjects_);
  return sealed || bytes_.may_match(entry);
}

bool Reader::Matching::is_theirs(const seal::Reference& reference) const {
  return std::ranges::any_of(reference.refs, [&](const Block16& ref) {
    return std::ranges::find(*persons_, to_base64(ref)) != persons_->end();
  });
}

const KindSchema* Reader::Matching::kind_of(std::string_view entry) const {
  return visibility_.kinds == nullptr ? nullptr : visibility_.kinds->find(raw_text_member(entry, "kind"));
}

bool Reader::Matching::is_told(const KindSchema* kind, const seal::Pair& pair) const {
  if (!visibility_.personal) return false;
  return visibility_.sensitive || kind == nullptr || !is_sensitive(*kind, pair.path);
}

Result<OpenedSections> Reader::Matching::open(const trail::ScannedRow& row) const {
  VESTIGE_TRY(auto sections, reader_.unsealer_.open(row.entry, row.blobs));
  if (visibility_.own) sections.keep([&](const seal::Reference& reference) { return is_theirs(reference); });
  return sections;
}

// What the reader may match by.
Result<OpenedSections> Reader::Matching::told_sections(const trail::ScannedRow& row) const {
  if (!visibility_.personal) {
    VESTIGE_TRY(auto closed, leave_closed(row.entry));
    if (visibility_.own) closed.keep([&](const seal::Reference& reference) { return is_theirs(reference); });
    return closed;
  }
  VESTIGE_TRY(auto sections, open(row));
  if (visibility_.sensitive) return sections;
  const auto* kind = kind_of(row.entry);
  for (std::size_t i = 0; i < sections.pairs.size(); ++i) {
    auto& pairs = sections.pairs[i];
    const auto gone = std::erase_if(pairs, [&](const seal::Pair& pair) { return !is_told(kind, pair); });
    if (gone == 0 || visibility_.masks) continue;
    pairs.clear();
    sections.states[i] = SectionState::closed;
  }
  return sections;
}

Result<bool> Reader::Matching::take(const trail::ScannedRow& row) {
  if (!may_match(row)) return false;
  VESTIGE_TRY(leaf_, snapshot_.leaf(row.index));
  VESTIGE_TRY(sections_, told_sections(row));
  // A client may write any text into an event; whose it is say the references alone.
  if (persons_ && std::ranges::none_of(sections_.references, [&](const auto& one) { return is_theirs(one); }))
    return false;
  text_.clear();
  VESTIGE_CHECKED(render(row.entry, sections_, row.index, leaf_, text_));
  VESTIGE_CHECKED(parser_.parse(text_, document_, event_limits));
  if (visibility_.rows && !audit::matches(*visibility_.rows, document_.root())) return false;
  if (!visibility_.hidden.empty()) {
    whole_.swap(text_);
    text_.clear();
    append_visible(text_, document_.root(), visibility_);
    VESTIGE_CHECKED(parser_.parse(text_, document_, event_limits));
  }
  return matches(search_, document_.root());
}

Result<std::string_view> Reader::Matching::shown(const trail::ScannedRow& row) {
  if (visibility_.given_out) visibility_.given_out->add(sections_.references);
  if (!visibility_.masks || !visibility_.partial()) return text_;
  // The states stay as this reader has them: closed is what they may not open.
  auto sections = sections_;
  VESTIGE_TRY(auto opened, open(row));
  sections.pairs = std::move(opened.pairs);
  std::string masked;
  json::append_quoted(masked, mask);
  const auto* kind = kind_of(row.entry);
  for (auto& pairs : sections.pairs)
    for (auto& pair : pairs)
      if (!is_told(kind, pair)) pair.value = masked;
  masked_.clear();
  VESTIGE_CHECKED(render(row.entry, sections, row.index, leaf_, masked_));
  if (visibility_.hidden.empty()) return masked_;
  whole_.swap(masked_);
  VESTIGE_CHECKED(parser_.parse(whole_, masked_document_, event_limits));
  masked_.clear();
  append_visible(masked_, masked_document_.root(), visibility_);
  return masked_;
}

Status Reader::visit_one(const Uuid& id, const Visibility& visibility,
                         const std::function<Status(const MatchedEntry&)>& on_event) {
  const auto snapshot = stream_.snapshot();
  Search search;
  search.id = id;
  Matching matching(*this, search, visibility, snapshot);
  VESTIGE_CHECKED(matching.prepare());
  VESTIGE_TRY(const auto found, find(snapshot, id));
  const trail::ScannedRow row{found.index, found.record.entry,
                              [&]() -> Result<std::vector<Bytes>> { return found.record.blobs; }};
  VESTIGE_TRY(const bool visible, matching.take(row));
  if (!visible) return no_such_event(id);
  VESTIGE_TRY(const auto matched, matching.matched(row));
  return on_event(matched);
}

Result<std::string> Reader::event(const Uuid& id, const Visibility& visibility) {
  std::string event;
  VESTIGE_CHECKED(visit_one(id, visibility, [&](const MatchedEntry& found) -> Status {
    event = found.event;
    return {};
  }));
  return event;
}

Result<std::string> Reader::sealed_bytes(const Uuid& id, const Visibility& visibility) {
  std::string entry;
  VESTIGE_CHECKED(visit_one(id, visibility, [&](const MatchedEntry& found) -> Status {
    entry = found.entry;
    return {};
  }));
  return entry;
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

Result<std::string> Reader::proof(const Uuid& id, const Visibility& visibility) {
  std::uint64_t index = 0;
  VESTIGE_CHECKED(visit_one(id, visibility, [&](const MatchedEntry& entry) -> Status {
    index = entry.index;
    return {};
  }));
  // After the entry was found, so that it is within.
  const auto snapshot = stream_.snapshot();
  auto note = signer_.last_note();
  if (signer_.signed_size() <= index || note.empty()) {
    VESTIGE_TRY(note, signer_.sign(snapshot));
  }
  VESTIGE_TRY(const auto parsed, trail::parse_note(note));
  VESTIGE_TRY(const auto checkpoint, trail::parse_checkpoint(parsed.text));
  // The signer may be ahead of the snapshot taken first.
  const auto covering = checkpoint.size <= snapshot.size() ? snapshot : stream_.snapshot();
  VESTIGE_TRY(auto path, covering.inclusion(index, checkpoint.size));
  return trail::format_proof({index, std::move(path), note});
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
      VESTIGE_TRY(const auto event, matching.shown(row));
      answer.events.emplace_back(event);
      VESTIGE_CHECKED(tally.add(matching.event()));
    }
  }
  tally.write(answer.tally, matching.small_count());
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
        VESTIGE_TRY(const auto event, matching.shown(row));
        bytes += event.size();
        answer.events.emplace_back(event);
        last = row.index;
        return true;
      });
}

Status Reader::count_all(const Search& search, Matching& matching, std::uint64_t size, SearchAnswer& answer) {
  Tally tally(search.tally);
  matching.begin_counting();
  VESTIGE_CHECKED(matching.snapshot().scan(
      0, size, trail::Snapshot::Order::ascending, matching.rows(),
      [&](const trail::ScannedRow& row) -> Result<bool> {
        VESTIGE_TRY(const bool matched, matching.take(row));
        if (!matched) return true;
        matching.note_counted();
        VESTIGE_CHECKED(tally.add(matching.event()));
        return true;
      },
      [&](const trail::ScannedPage& page) -> Result<bool> {
        if (!matching.told_by_columns(page)) return false;
        return tally.add(page);
      }));
  tally.write(answer.tally, matching.small_count());
  return {};
}

Result<SearchAnswer> Reader::search(const Search& asked, const Visibility& visibility,
                                    std::string_view caller) {
  VESTIGE_TRY(const auto search, within(visibility, asked));
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

Status Reader::visit(std::uint64_t from, std::uint64_t to, const Search& asked, const Visibility& visibility,
                     const OnMatch& on_match) {
  VESTIGE_TRY(const auto search, within(visibility, asked));
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
                         VESTIGE_TRY(const auto found, matching.matched(row));
                         return on_match(found);
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
