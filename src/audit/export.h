// What a search finds, as one file that can be checked without the server. Format: docs/formats/export.md.
//
// The tree is pinned at the beginning. Between two calls nothing of the trail is held, no snapshot and no
// page, so that a slow receiver costs what is on its way to it and no more.
#pragma once

#include <memory>
#include <string>

#include "audit/internal/export_lines.h"
#include "audit/reader.h"
#include "trail/merkle/merkle.h"

namespace vestige::audit {

struct ExportOrder {
  Search search;      // its views live as long as the export
  std::string asked;  // the members of the search as they were sent, a JSON object
  bool csv = false;   // else NDJSON
  Uuid exporter;      // the API key or account
  std::string exporter_name;
  UnixMs now{};
};

// Not thread-safe.
class Export {
 public:
  // denied where the search looks at what is hidden, or where something of an entry is hidden from the
  // reader: an export hands out entries whole. `reader` outlives the export.
  static Result<std::unique_ptr<Export>> begin(Reader& reader, Visibility visibility, ExportOrder order);

  // Appends what comes next: at most about export_slice_bytes, or one event. False when that was all. Damage
  // that is met ends the file with a line that says so.
  bool next(std::string& to);
  // Ends the file now, with a line that says why.
  void abandon(std::string& to, std::string_view why);

 private:
  Export(Reader& reader, Visibility visibility, ExportOrder order, Reader::Pinned pinned);
  std::string header_line() const;
  Status go_on(std::string& to);
  Status append_event(std::string& to, const MatchedEntry& found);
  Status append_closing(std::string& to);
  // Opens a line: its `after`.
  std::string line_start() const;
  // What stands for the entries up to `index` that are not in the export.
  Status append_nodes(std::string& line, std::uint64_t index);
  std::string statement() const;

  Reader& reader_;
  const Visibility visibility_;
  const ExportOrder order_;
  const Reader::Pinned pinned_;
  internal::ExportLines lines_;
  enum class Stage { header, events, done } stage_ = Stage::header;
  std::uint64_t looked_at_ = 0;  // entries below are searched
  std::uint64_t covered_ = 0;    // and below here they are in the file, or hashes that stand for them
  std::uint64_t events_ = 0;
  std::array<std::uint64_t, 4> sections_{};  // by SectionState
  std::string time_first_, time_last_;
};

}  // namespace vestige::audit
