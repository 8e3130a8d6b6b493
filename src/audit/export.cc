#include "audit/export.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "audit/search/normal_form.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

constexpr std::string_view format_name = "vestige export v1";

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string quoted_time(const std::optional<UnixMs>& time) {
  return time ? quoted(format_time(*time)) : "null";
}

// What is open is there with what its root is made of, so that it can be held against the entry.
void append_open(std::string& to, const OpenedSections& sections) {
  to += ",\"open\":[";
  for (std::size_t i = 0; i < sections.references.size(); ++i) {
    if (i > 0) to += ',';
    if (sections.states[i] != SectionState::present) {
      to += "null";
      continue;
    }
    to += "{\"pairs\":[";
    bool first = true;
    for (const auto& pair : sections.pairs[i]) {
      to += first ? "[" : ",[";
      first = false;
      json::append_quoted(to, pair.path);
      to.append(",").append(pair.value).append("]");
    }
    to += "],\"seed\":\"";
    append_base64(to, sections.seeds[i]);
    to += "\"}";
  }
  to += ']';
}

}  // namespace

Export::Export(Reader& reader, Visibility visibility, ExportOrder order, Reader::Pinned pinned)
    : reader_(reader),
      visibility_(std::move(visibility)),
      order_(std::move(order)),
      pinned_(std::move(pinned)),
      lines_(order_.csv) {}

Result<std::unique_ptr<Export>> Export::begin(Reader& reader, Visibility visibility, ExportOrder order) {
  VESTIGE_CHECKED(check_visible(visibility, order.search));
  if (!visibility.hidden.empty())
    return fail(ErrorKind::denied,
                fmt::format("you may not read {}, so you cannot export: an export hands out entries whole",
                            visibility.hidden.front().text()));
  VESTIGE_TRY(auto pinned, reader.pin());
  return std::unique_ptr<Export>(
      new Export(reader, std::move(visibility), std::move(order), std::move(pinned)));
}

std::string Export::header_line() const {
  const auto span = searched_span(order_.search);
  const auto& stream = reader_.stream();
  return fmt::format(
      R"({{"asked":{},"checkpoint":{},"exportedAt":{},"exporter":{{"id":"{}","name":{}}},"format":"{}","origin":{},)"
      R"("search":{},"stream":{},"tenant":{},"timeFrom":{},"timeTo":{}}})",
      order_.asked, quoted(pinned_.note), quoted(format_time(order_.now)), format_uuid(order_.exporter),
      quoted(order_.exporter_name), format_name, quoted(pinned_.origin), normal_form(order_.search),
      quoted(stream.name()), quoted(stream.tenant()), quoted_time(span.from), quoted_time(span.to));
}

std::string Export::line_start() const {
  return fmt::format("{{\"after\":\"{}\"", to_base64(lines_.digest()));
}

Status Export::append_nodes(std::string& line, std::uint64_t index) {
  VESTIGE_TRY(const auto nodes, reader_.subtree_roots(covered_, index));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    line += i == 0 ? ",\"nodes\":[\"" : ",\"";
    append_base64(line, nodes[i]);
    line += '"';
  }
  if (!nodes.empty()) line += ']';
  return {};
}

Status Export::append_event(std::string& to, const MatchedEntry& found) {
  auto line = line_start();
  line.append(",\"entry\":").append(found.entry).append(",\"event\":").append(found.event);
  VESTIGE_CHECKED(append_nodes(line, found.index));
  if (!found.sections.references.empty()) append_open(line, found.sections);
  line += '}';
  lines_.event(to, line, found.value);
  covered_ = found.index + 1;
  ++events_;
  for (const auto state : found.sections.states) ++sections_[static_cast<std::size_t>(state)];
  const auto time = found.value.find("time");
  if (time_first_.empty() || time.string() < time_first_) time_first_ = time.string();
  if (time_last_.empty() || time.string() > time_last_) time_last_ = time.string();
  return {};
}

std::string Export::statement() const {
  const auto count = [&](SectionState state) { return sections_[static_cast<std::size_t>(state)]; };
  return fmt::format(
      "{}\n"
      R"({{"digest":"{}","events":{},"sections":{{"closed":{},"erased":{},"present":{},"unknown":{}}},"size":{},)"
      R"("timeFirst":{},"timeLast":{}}})"
      "\n",
      format_name, to_base64(lines_.digest()), events_, count(SectionState::closed),
      count(SectionState::erased), count(SectionState::present), count(SectionState::unknown), pinned_.size,
      events_ == 0 ? "null" : quoted(time_first_), events_ == 0 ? "null" : quoted(time_last_));
}

Status Export::append_closing(std::string& to) {
  auto line = line_start();
  VESTIGE_CHECKED(append_nodes(line, pinned_.size));
  VESTIGE_TRY(const auto note, reader_.sign_statement(statement()));
  line.append(",\"statement\":").append(quoted(note)).append("}");
  lines_.closing(to, line);
  stage_ = Stage::done;
  return {};
}

Status Export::go_on(std::string& to) {
  const auto start = to.size();
  const auto end = std::min(pinned_.size, looked_at_ + export_slice_rows);
  auto seen = end;
  VESTIGE_CHECKED(reader_.visit(looked_at_, end, order_.search, visibility_,
                                [&](const MatchedEntry& found) -> Result<bool> {
                                  VESTIGE_CHECKED(append_event(to, found));
                                  if (to.size() - start < export_slice_bytes) return true;
                                  seen = found.index + 1;
                                  return false;
                                }));
  looked_at_ = seen;
  return looked_at_ < pinned_.size ? Status{} : append_closing(to);
}

bool Export::next(std::string& to) {
  if (stage_ == Stage::header) {
    lines_.header(to, header_line());
    stage_ = Stage::events;
    return true;
  }
  if (stage_ == Stage::done) return false;
  if (const auto status = go_on(to); !status) {
    const auto& error = status.error();
    abandon(to, error.where && !error.where->file.empty()
                    ? fmt::format("{} ({}, byte {})", error.message, error.where->file, error.where->offset)
                    : error.message);
  }
  return stage_ != Stage::done;
}

void Export::abandon(std::string& to, std::string_view why) {
  if (stage_ == Stage::header) lines_.header(to, header_line());
  if (stage_ != Stage::done) lines_.closing(to, line_start() + ",\"incomplete\":" + quoted(why) + "}");
  stage_ = Stage::done;
}

}  // namespace vestige::audit
