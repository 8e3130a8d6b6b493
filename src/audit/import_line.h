// One line of an import request as the event that is recorded, with an id that is made of the foreign record.
// Format: docs/formats/ids.md, "Imported ids".
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/uuid.h"
#include "crypto/digest.h"
#include "json/json.h"

namespace vestige::audit {

inline constexpr std::string_view import_id_purpose = "import-id";

// Keyed, because a leaf holds its id in the clear: the plain digest of a personal record could be guessed.
class ImportIds {
 public:
  explicit ImportIds(const Key& purpose_key) : key_(purpose_key) {}
  // `record` and `lossless` are canonical JSON; `lossless` is empty where there is none.
  Uuid id_of(std::string_view format, std::string_view record, std::string_view lossless,
             std::uint64_t occurrence) const;

 private:
  const crypto::HmacKey key_;
};

struct ImportedEvent {
  std::string json;             // one event
  bool id_from_record = false;  // so an equal id is an equal record, however it was mapped
  bool record_is_event = false;
};

// Lower-case letters, digits and dashes, at most 32.
bool is_import_format(std::string_view name);

// `line` is what a line of the request holds.
Result<ImportedEvent> imported_event(const json::Value& line, std::string_view format, const ImportIds& ids);

// Where in the line the path of an event lies.
std::string path_in_line(std::string_view event_path, bool record_is_event);

}  // namespace vestige::audit
