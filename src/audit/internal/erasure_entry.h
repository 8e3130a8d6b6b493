// The entries of kind system.erasure: writing their events and reading them back. Format:
// docs/formats/erasure.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"
#include "base/uuid.h"

namespace vestige::audit::internal {

inline constexpr std::string_view erasure_kind = "system.erasure";
inline constexpr std::string_view intended_action = "INTENDED";
inline constexpr std::string_view erased_action = "ERASED";
inline constexpr std::string_view certified_action = "CERTIFIED";

struct ErasureIntent {
  std::uint64_t index = 0;  // of the entry; not part of it
  Hash subject{};           // the vault's hash
  Block16 ref{};
  std::uint32_t epoch = 0;
};
struct ErasureOutcome {
  std::uint64_t index = 0;  // of the entry; not part of it
  std::uint64_t intent = 0;
  std::uint32_t epoch = 0;
  std::vector<Block16> refs;
  UnixMs erased_at{};
  std::uint64_t number = 0;  // counted from 1
  std::optional<std::uint64_t> previous;
};

// Who asked, as it stands in sourceType and sourceId.
struct Actor {
  std::string type, id;
};
std::string intent_event(const ErasureIntent& intent, std::string_view reason, const Actor& actor);
std::string outcome_event(const Uuid& id, const ErasureOutcome& outcome);
std::string certified_event(const Uuid& id, std::uint64_t intent, std::uint64_t outcome,
                            std::string_view certificate);
std::string reauthorised_event(const Hash& subject, std::uint32_t epoch, std::string_view reason,
                               const Actor& actor);

// corrupt where the entry is none of the kind: it was written by this server, so its bytes are not what they
// were.
Result<ErasureIntent> read_intent(std::string_view entry, std::uint64_t index);
Result<ErasureOutcome> read_outcome(std::string_view entry, std::uint64_t index);
Result<std::string> read_certificate(std::string_view entry, std::uint64_t index);

}  // namespace vestige::audit::internal
