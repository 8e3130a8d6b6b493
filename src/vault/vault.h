// Gives, wraps and keeps keys, and is the one place where a person's key can be destroyed. Lives in a
// directory of its own with a backup rule of its own: a key in a database backup is not destroyed.
// Formats: docs/formats/vault.md.
//
// Owner: app, one per server; used by audit (sealing, unsealing, fingerprints) and handed to trail as a
// KeyWrapper. Thread-safe. Durable when: a new subject's key after sync(); a retention key, a tenant key
// and everything else when the call that made it returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"

namespace vestige::vault {

// Months since 1970-01; what a retention key is cut by.
using Month = Strong<struct MonthTag, std::uint16_t>;
Month month_of(UnixMs time);  // clamped to 1970-01 .. 7431-04
using RetentionClass = Strong<struct RetentionClassTag, std::uint8_t>;
inline constexpr RetentionClass standard_retention{0};

// The erasure journal's name in the vault's directory, for messages about it.
inline constexpr std::string_view journal_name = "erased";

enum class SubjectState : std::uint8_t { never = 0, active = 1, erased = 2, reauthorised = 3 };

// A person's key in one epoch. `ref` is random and says nothing about the person.
struct Owner {
  Block16 ref{};
  Key key{};
};

struct SubjectView {
  SubjectState state = SubjectState::never;
  std::uint32_t epoch = 0;
  std::optional<Block16> ref;              // while a key exists
  std::optional<std::uint64_t> erased_by;  // index of the erasure's intent, once erased
};

// The destruction of one key, as the vault's erasure journal has it.
struct Erasure {
  std::uint64_t number = 0;  // of the journal's record, from 0; counts those of all tenants
  Hash tenant{};             // the tenant's keyed hash
  std::uint64_t entry = 0;   // index of the erasure's intent
  std::uint32_t epoch = 0;   // of the key that is gone
  UnixMs time{};
  bool operator==(const Erasure&) const = default;
};

// The key of a file beside the data that must be able to become unreadable. Unlike a wrapped key it is in the
// vault alone, so it can be destroyed.
struct KeptKey {
  Block16 file{};
  Key key{};
  std::uint64_t erasures = 0;  // the file holds nothing that the first so many of them took
};

struct VaultOptions {
  std::size_t cached_keys_max = 65'536;     // of subjects, in memory, least recently used leave first
  std::uint64_t subjects_max = 16'000'000;  // exhausted past it
};

class Vault {
 public:
  // Creates the vault where the directory holds none (`create`), else opens it, and carries out what the
  // erasure journal holds beyond what this vault knows. denied where the root key does not open it; corrupt
  // where bytes were changed. `files` is the vault's own directory.
  static Result<std::unique_ptr<Vault>> open(platform::FileSystem& files, platform::Entropy& entropy,
                                             platform::Clock& clock, const Key& root, bool create,
                                             VaultOptions options = {});
  virtual ~Vault() = default;

  // The subject's current owner; makes one (state never -> active) where there is none. An erased subject
  // gives denied: later events about the person are recorded with the personal values discarded.
  // The new key is usable at once and durable after sync(); where limits::unsynced_subjects_max keys wait for
  // one already, it syncs first.
  virtual Result<Owner> owner_of(std::string_view tenant, std::string_view subject) = 0;
  virtual Result<SubjectView> look_up(std::string_view tenant, std::string_view subject) = 0;
  // The key behind a ref; empty where no such key exists (erased, or never ours).
  virtual Result<std::optional<Key>> key_of(const Block16& ref) = 0;

  // What a subject is known by outside of the vault's memory: a keyed hash, which says nothing without the
  // vault's secrets.
  virtual Hash subject_hash(std::string_view tenant, std::string_view subject) const = 0;
  // owner_of() gives denied for the subject from now on, until its key is destroyed. Nothing is written: what
  // outlives a crash is the intent in the trail.
  virtual void bar(const Hash& subject) = 0;
  // Destroys the subject's key: the journal's record is durable before the page without the key, and both
  // when this returns. `entry` is the index of the erasure's intent; the same one again finishes what a
  // failure interrupted and gives the same answer. A subject that was never seen counts as erased from now
  // on. conflict where another entry erased it already.
  virtual Result<Erasure> erase(std::string_view tenant, const Hash& subject, std::uint64_t entry) = 0;
  // How many the journal has, and those of one tenant in its order.
  virtual std::uint64_t erasures() const = 0;
  virtual std::vector<Erasure> erasures_of(std::string_view tenant) const = 0;
  // Gives an erased subject a new ref and key; what the old key sealed stays unreadable. Durable when it
  // returns. conflict where the subject is not erased.
  virtual Result<SubjectView> reauthorise(std::string_view tenant, std::string_view subject) = 0;

  // Makes every subject that owner_of() made durable. Cheap where there is none.
  virtual Status sync() = 0;

  // The key that all content of one class and month depends on beside its owner's; made where absent.
  virtual Result<Key> retention_key(RetentionClass retention_class, Month month) = 0;
  // The same, without making one: empty where it was never made or was destroyed.
  virtual Result<std::optional<Key>> find_retention_key(RetentionClass retention_class, Month month) = 0;

  // A key derived from the vault's own secrets for one named purpose ("id-fingerprint", "content-mac",
  // ...) and tenant; the same for ever.
  virtual Key purpose_key(std::string_view purpose, std::string_view tenant) const = 0;

  // Wraps a file key for storage beside the data: 60 bytes = nonce, ciphertext, tag. `context` is bound.
  virtual Bytes wrap(const Key& key, std::string_view context) = 0;
  // corrupt where the bytes or the context are not what was wrapped.
  virtual Result<Key> unwrap(ByteView wrapped, std::string_view context) const = 0;

  virtual std::optional<KeptKey> kept_key(const Block16& file) const = 0;
  // Destroys one and takes another in, in one step that is durable when it returns. exhausted where there are
  // limits::kept_keys_max. After a failure either may have happened; the call may be repeated.
  virtual Status replace_kept_key(const std::optional<Block16>& destroyed,
                                  const std::optional<KeptKey>& added) = 0;
  // Raises a kept key's `erasures`. Durable with the next change.
  virtual void settle_kept_key(const Block16& file, std::uint64_t erasures) = 0;
  // Destroys the kept keys of all files but these, durably.
  virtual Status retain_kept_keys(std::span<const Block16> files) = 0;

  struct Figures {
    std::uint64_t subjects_active, subjects_erased, cached_keys, syncs;
  };
  virtual Figures figures() const = 0;
};

inline constexpr std::size_t wrapped_key_bytes = 60;

}  // namespace vestige::vault
