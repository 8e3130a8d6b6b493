// Reads a stored entry: its members, and its personal values where their keys exist.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/erasure_index.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "crypto/aead.h"
#include "seal/section.h"
#include "trail/format/page.h"
#include "vault/vault.h"

namespace vestige::audit {

// The columns that entries of this version are kept in.
const trail::Schema& entry_schema();

// "" where the entry has no such member or it is no string; escapes are not undone.
std::string_view raw_text_member(std::string_view entry, std::string_view name);
std::optional<Uuid> entry_id(std::string_view entry);
std::optional<UnixMs> entry_received_at(std::string_view entry);

// Id fingerprints of one tenant. Not thread-safe.
class Fingerprinter {
 public:
  Fingerprinter(const vault::Vault& vault, std::string_view tenant);
  std::uint64_t operator()(const Uuid& id);

 private:
  crypto::BlockPrf prf_;
};

// closed: the reader may not read personal values.
enum class SectionState { present, erased, unknown, closed };
const char* name_of(SectionState state);

struct OpenedSections {
  std::vector<seal::Reference> references;
  std::vector<SectionState> states;
  std::vector<std::optional<std::uint64_t>> erased_by;  // the entry that tells of it, where one does
  std::vector<std::vector<seal::Pair>> pairs;           // empty where not present
  std::vector<Block16> seeds;                           // of the pairs' salts, where present

  // Forgets the others.
  void keep(const std::function<bool(const seal::Reference&)>& wanted);
};

// The sections as somebody has them who may not read personal values.
Result<OpenedSections> leave_closed(std::string_view entry);

// Appends the event as readers see it, a JSON object: the envelope with the personal values of open sections
// in their places, then "index" and "leaf"; bookkeeping members left out. `sealed` says the state of each
// section, and of an erased one the index of the entry that tells of the erasure.
Status render(std::string_view entry, const OpenedSections& opened, std::uint64_t index, const Hash& leaf,
              std::string& to);

class Unsealer {
 public:
  // Without `erasures` nothing is said about who erased what.
  Unsealer(vault::Vault& vault, std::string stream, const ErasureIndex* erasures = nullptr)
      : vault_(vault), stream_(std::move(stream)), erasures_(erasures) {}

  using Blobs = std::function<Result<std::vector<Bytes>>()>;
  // Opens what can be opened. corrupt where a section that has its keys does not match. Thread-safe.
  Result<OpenedSections> open(std::string_view entry, const Blobs& blobs);
  // The content MAC of an entry, from the entry or its first section; empty where that is gone.
  Result<std::optional<Block16>> content_mac(std::string_view entry, const Blobs& blobs);

 private:
  std::optional<std::uint64_t> erased_by(const seal::Reference& reference,
                                         const std::vector<std::optional<Key>>& keys) const;

  vault::Vault& vault_;
  const std::string stream_;
  const ErasureIndex* const erasures_;
};

}  // namespace vestige::audit
