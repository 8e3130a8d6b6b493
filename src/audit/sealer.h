// Splits an event into what stays clear and what is sealed for a person, and writes the entry's canonical
// bytes. Format: docs/formats/entry.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "audit/event.h"
#include "audit/preprocess.h"
#include "crypto/digest.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "seal/section.h"
#include "trail/log/submission.h"
#include "vault/vault.h"

namespace vestige::audit {

// An entry that waits for its place in the stream: receivedAt and salt are set when it is placed.
struct DraftEntry {
  Uuid id;
  bool id_is_ours = false;      // made by the server: cannot have been seen
  Block16 mac{};                // of the submitted content
  std::string bytes;            // canonical, with blanks at the two places
  std::size_t received_at = 0;  // offset of the 24 characters
  std::size_t salt_at = 0;      // offset of the 24 characters
  std::vector<Bytes> blobs;
  std::shared_ptr<trail::KnownTokens> tokens;  // of the blobs; null where there are none

  std::size_t bytes_total() const {
    std::size_t total = bytes.size();
    for (const auto& blob : blobs) total += blob.size();
    return total;
  }
};

inline constexpr std::size_t salt_text_size = 24;

class EntrySealer {
 public:
  // `stream` is "<tenant>/<name>".
  EntrySealer(vault::Vault& vault, platform::Entropy& entropy, platform::Clock& clock, std::string tenant,
              std::string stream);

  // Thread-safe.
  Result<DraftEntry> seal(const Event& event, const Additions& additions);

 private:
  vault::Vault& vault_;
  platform::Entropy& entropy_;
  platform::Clock& clock_;
  const std::string tenant_;
  const std::string stream_;
  const crypto::HmacKey content_key_;
};

// Whether an error of seal() is that the event itself is too large, which it will be for ever; other limits
// (of the vault) may be raised.
bool is_too_large(const Error& error);

// The content MAC's key of a tenant, and the MAC of a canonical text.
inline constexpr std::string_view content_mac_purpose = "content-mac";
inline constexpr std::string_view id_fingerprint_purpose = "id-fingerprint";

}  // namespace vestige::audit
