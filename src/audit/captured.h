// Changes that a source of changes told of (sources/), with ids that are made of where they stand in it.
// Format: docs/formats/capture.md, "Ids".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/preprocess.h"
#include "base/result.h"
#include "base/uuid.h"
#include "crypto/digest.h"

namespace vestige::audit {

inline constexpr std::string_view capture_id_purpose = "capture-id";

struct CapturedEvent {
  std::string position;  // in the source, never the same for two
  std::string event;     // a JSON object without `id`
  // Where the source hands on what others sent:
  std::optional<Uuid> id{};                // theirs; anybody can take one first, so its content is compared
  std::optional<UnixMs> time{};            // where the event says none
  std::vector<ContextAddition> context{};  // how it came here, which is no part of its content
  bool system = false;                     // the server's own word on the source: any kind
};

// One of a group that is never taken, and why.
struct Refused {
  std::size_t number = 0;
  Error error;
};

// Keyed, because whoever could make the id of a change to come could send an event under it, and the change
// would be passed over as known.
class CaptureIds {
 public:
  explicit CaptureIds(const Key& purpose_key) : key_(purpose_key) {}
  Uuid id_of(std::string_view source, std::string_view position) const;

 private:
  const crypto::HmacKey key_;
};

}  // namespace vestige::audit
