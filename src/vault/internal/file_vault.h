// The vault over a directory. See vault.h for the contract and docs/formats/vault.md for the bytes.
//
// Invariants:
// 1. `top_` is the last top table that is known to be durable; its retention keys stand in `retention_`, its
//    kept keys in `kept_`.
// 2. A slot is found in `open_pages_` (the last page while it has room, and pages with changes), else in the
//    page file that `top_` names. The cache holds copies of the latter only.
// 3. Every change has a number; changes up to `changes_durable_` survive a power loss.
// 4. One thread at a time commits (`committing_`); it alone works on files that change, without the mutex.
// 5. A sequence, and thereby a page's file name, is never used for two attempts.
// 6. `erasures_` are the journal's records whose slots have lost their keys in memory; a `top_` counts no
// others.
// 7. One thread at a time erases or re-authorises (`erasing_`, taken before `mutex_`).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "vault/format.h"
#include "vault/internal/slot_cache.h"
#include "vault/internal/tag_table.h"
#include "vault/vault.h"

namespace vestige::vault {

class FileVault final : public Vault {
 public:
  FileVault(platform::FileSystem& files, platform::Entropy& entropy, platform::Clock& clock, const Key& root,
            VaultOptions options, Top top);

  // Reads every page, builds the indexes, and carries out what the journal holds beyond the top table. Called
  // once, before anything else.
  Status load(const Journal& journal) EXCLUDES(mutex_, erasing_);

  Result<Owner> owner_of(std::string_view tenant, std::string_view subject) override EXCLUDES(mutex_);
  Result<SubjectView> look_up(std::string_view tenant, std::string_view subject) override EXCLUDES(mutex_);
  Result<std::optional<Key>> key_of(const Block16& ref) override EXCLUDES(mutex_);
  Hash subject_hash(std::string_view tenant, std::string_view subject) const override;
  void bar(const Hash& subject) override EXCLUDES(mutex_);
  Result<Erasure> erase(std::string_view tenant, const Hash& subject, std::uint64_t entry) override
      EXCLUDES(mutex_, erasing_);
  std::uint64_t erasures() const override EXCLUDES(mutex_);
  std::vector<Erasure> erasures_of(std::string_view tenant) const override EXCLUDES(mutex_);
  Result<SubjectView> reauthorise(std::string_view tenant, std::string_view subject) override
      EXCLUDES(mutex_, erasing_);
  Status sync() override EXCLUDES(mutex_);
  Result<Key> retention_key(RetentionClass retention_class, Month month) override EXCLUDES(mutex_);
  Result<std::optional<Key>> find_retention_key(RetentionClass retention_class, Month month) override
      EXCLUDES(mutex_);
  Key purpose_key(std::string_view purpose, std::string_view tenant) const override;
  Bytes wrap(const Key& key, std::string_view context) override;
  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override;
  std::optional<KeptKey> kept_key(const Block16& file) const override EXCLUDES(mutex_);
  Status replace_kept_key(const std::optional<Block16>& destroyed,
                          const std::optional<KeptKey>& added) override EXCLUDES(mutex_);
  void settle_kept_key(const Block16& file, std::uint64_t erasures) override EXCLUDES(mutex_);
  Status retain_kept_keys(std::span<const Block16> files) override EXCLUDES(mutex_);
  Figures figures() const override EXCLUDES(mutex_);

 private:
  struct OpenPage {
    std::vector<Slot> slots;
    bool changed = false;  // since the last commit began
  };
  struct Retention {
    SecretKey key;
    std::uint64_t change = 0;  // durable once changes_durable_ reaches it
  };
  using RetentionPlace = std::pair<RetentionClass, Month>;
  struct Kept {
    SecretKey key;
    std::uint64_t erasures = 0;
  };

  // What one commit writes: decided under the mutex, carried out without it.
  struct Plan {
    std::uint64_t covers = 0;  // changes up to this one
    Top top;
    std::map<std::uint32_t, std::vector<Slot>> pages;
    std::vector<std::string> created;   // the page files that it writes
    std::vector<std::string> obsolete;  // those that nothing names once `top` is durable
  };
  struct Outcome {
    Status status;
    bool top_begun = false;  // the disk may hold the new top table
  };

  enum class By { subject, ref };
  struct Wanted {
    By by;
    Tag tag;
    ByteView whole;  // subject hash or ref
    bool matches(const Slot& slot) const;
  };
  struct Search {
    std::optional<Slot> found;
    SlotNumber number = 0;       // of the slot that was found
    std::size_t candidates = 0;  // slots under the tag that were compared
  };

  static Tag tag_of(ByteView hash) { return load_le<Tag>(hash.data()); }
  const TagTable& table(By by) const REQUIRES(mutex_) { return by == By::subject ? by_subject_ : by_ref_; }

  Status load_pages() EXCLUDES(mutex_);
  Result<Search> search(const Wanted& wanted) EXCLUDES(mutex_);
  const Slot* resident(SlotNumber number) REQUIRES(mutex_);
  Result<Slot> fetch(SlotNumber number) EXCLUDES(mutex_);
  Result<std::vector<Slot>> read_page(std::uint32_t number, const PageEntry& entry);

  Result<Slot> make_subject(const Hash& subject) REQUIRES(mutex_);
  SlotNumber add_slot(const Slot& slot) REQUIRES(mutex_);
  Result<Block16> fresh_ref() REQUIRES(mutex_);
  OpenPage& page_with_room() REQUIRES(mutex_);

  // Runs `change` on the slot, with its page among the open ones.
  Status change_slot(SlotNumber number, const std::function<void(Slot&)>& change) EXCLUDES(mutex_);
  // Reads a page to be changed, if it is not open.
  Status open_page(std::uint32_t number) EXCLUDES(mutex_);
  // Appends to the journal; catch_up() is done.
  Status append_to_journal(const ErasureRecord& record) REQUIRES(erasing_) EXCLUDES(mutex_);
  Status write_record(ByteView record) REQUIRES(erasing_) EXCLUDES(mutex_);
  // Takes the key out of the slot that the journal's next record names, in memory.
  Status apply_next(const ErasureRecord& record, const Hash& digest) REQUIRES(erasing_) EXCLUDES(mutex_);
  Status catch_up() REQUIRES(erasing_) EXCLUDES(mutex_);
  Status replay(const Journal& journal) REQUIRES(erasing_) EXCLUDES(mutex_);
  Status stop_writing(const Error& error) EXCLUDES(mutex_);

  // Commits until the change with this number is durable; callers that come together share one commit.
  Status reach(std::uint64_t change) REQUIRES(mutex_);
  void commit() REQUIRES(mutex_);
  Plan plan_commit() REQUIRES(mutex_);
  Outcome carry_out(const Plan& plan);
  Status write_pages(const Plan& plan);
  // Both give the page files that may be removed now.
  std::vector<std::string> commit_succeeded(Plan& plan) REQUIRES(mutex_);
  std::vector<std::string> commit_failed(const Plan& plan, const Outcome& outcome) REQUIRES(mutex_);
  // Gives those that are still there.
  std::vector<std::string> remove_files(std::vector<std::string> paths);

  platform::FileSystem& files_;
  platform::Entropy& entropy_;
  platform::Clock& clock_;
  const SecretKey root_;
  const VaultOptions options_;
  const SecretKey wrap_key_;
  const SecretKey purpose_secret_;
  const Block16 vault_id_;
  const crypto::HmacKey subject_mac_;

  Mutex erasing_;
  // The journal as it is in its file: it may be one record ahead of `erasures_`.
  std::uint64_t journal_records_ GUARDED_BY(erasing_) = 0;
  Hash journal_digest_ GUARDED_BY(erasing_){};  // of the last record, or the header
  std::optional<ErasureRecord> journal_last_ GUARDED_BY(erasing_);

  mutable Mutex mutex_;
  Condition committed_;
  Top top_ GUARDED_BY(mutex_);
  std::map<RetentionPlace, Retention> retention_ GUARDED_BY(mutex_);
  std::map<Block16, Kept> kept_ GUARDED_BY(mutex_);
  std::map<std::uint32_t, OpenPage> open_pages_ GUARDED_BY(mutex_);
  TagTable by_subject_ GUARDED_BY(mutex_);
  TagTable by_ref_ GUARDED_BY(mutex_);
  SlotCache cache_ GUARDED_BY(mutex_);
  std::set<Hash> barred_ GUARDED_BY(mutex_);
  std::vector<Erasure> erasures_ GUARDED_BY(mutex_);
  Hash erasures_digest_ GUARDED_BY(mutex_){};  // of the journal after the last of them
  std::uint64_t subjects_ GUARDED_BY(mutex_) = 0;
  std::uint64_t subjects_erased_ GUARDED_BY(mutex_) = 0;
  std::uint64_t syncs_ GUARDED_BY(mutex_) = 0;

  std::uint64_t sequence_ GUARDED_BY(mutex_);  // of the last attempt
  std::uint64_t changes_made_ GUARDED_BY(mutex_) = 0;
  std::uint64_t changes_durable_ GUARDED_BY(mutex_) = 0;
  bool committing_ GUARDED_BY(mutex_) = false;
  std::uint64_t attempts_ GUARDED_BY(mutex_) = 0;          // commits that ended
  std::uint64_t attempt_covered_ GUARDED_BY(mutex_) = 0;   // what the last of them was about
  std::optional<Error> attempt_error_ GUARDED_BY(mutex_);  // how it failed, if it did
  std::optional<Error> broken_ GUARDED_BY(mutex_);         // set once a failure leaves no ground to go on
  std::vector<std::string> obsolete_ GUARDED_BY(mutex_);   // page files to remove after the next commit
};

}  // namespace vestige::vault
