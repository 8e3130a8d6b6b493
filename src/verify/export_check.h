// Checks an export (docs/formats/export.md) as its bytes come, in the memory of one line. Needs neither
// server nor data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "trail/format/note.h"

namespace vestige::verify {

struct ExportFacts {
  std::string origin, tenant, stream;
  std::string asked, search;  // JSON: as it was sent, and in normal form
  std::string exporter_id, exporter_name, exported_at;
  std::uint64_t size = 0;  // of the tree that everything is held against
  Hash root{};
  std::uint64_t events = 0;
  std::uint64_t closed = 0, erased = 0, present = 0, unknown = 0;  // sections of these events
  std::string time_first, time_last;                               // empty without events
};

struct ExportVerdict {
  struct Bad {
    std::uint64_t line = 0;  // from 1 on; in CSV the row. One past the last where lines are missing
    std::string reason;
  };
  std::optional<Bad> bad;  // the first
  ExportFacts facts;       // of what was read
  bool signature_checked = false;
  // Every entry of the tree is there: that nothing was left out is proven.
  bool whole_tree() const { return !bad && facts.events == facts.size; }
};

// Reusable for one export; not thread-safe.
class ExportCheck {
 public:
  // Without the log's key nothing says who made the file.
  explicit ExportCheck(std::optional<trail::VerifierKey> key);
  ~ExportCheck();

  // False once something is wrong; what follows is not looked at.
  bool feed(std::string_view bytes);
  // After the last byte.
  ExportVerdict finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::verify
