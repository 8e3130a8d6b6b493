// Finding and making subjects; commits are in file_vault_commit.cc, opening in file_vault_open.cc.
#include "vault/internal/file_vault.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/aead.h"
#include "vault/internal/container.h"

namespace vestige::vault {

namespace {

Owner owner_in(const Slot& slot) { return {slot.ref, slot.key.bytes}; }

SubjectView view_of(const Slot& slot) {
  SubjectView view{.state = slot.state, .epoch = slot.epoch, .ref = {}, .erased_by = {}};
  if (slot.has_key()) view.ref = slot.ref;
  if (slot.erased_by != no_entry) view.erased_by = slot.erased_by;
  return view;
}

std::unexpected<Error> too_many_subjects(std::uint64_t limit) {
  return std::unexpected(
      Error{.kind = ErrorKind::exhausted,
            .message = fmt::format("The vault holds {} subjects, as many as it may. Raise the "
                                   "limit of subjects, or find out who makes so many.",
                                   limit),
            .limit = fmt::format("subjects_max = {}", limit)});
}

}  // namespace

FileVault::FileVault(platform::FileSystem& files, platform::Entropy& entropy, platform::Clock& clock,
                     const Key& root, VaultOptions options, Top top)
    : files_(files),
      entropy_(entropy),
      clock_(clock),
      root_(root),
      options_(options),
      wrap_key_(top.wrap_key),
      purpose_secret_(top.purpose_secret),
      vault_id_(top.vault_id),
      subject_mac_(top.subject_secret.bytes),
      top_(std::move(top)),
      cache_(options.cached_keys_max),
      sequence_(top_.sequence) {
  for (const auto& entry : top_.retention_keys)
    retention_.emplace(RetentionPlace(entry.retention_class, entry.month), Retention{.key = entry.key});
  top_.retention_keys.clear();
  for (const auto& entry : top_.kept_keys)
    kept_.emplace(entry.file, Kept{.key = entry.key, .erasures = entry.erasures});
  top_.kept_keys.clear();
}

bool FileVault::Wanted::matches(const Slot& slot) const {
  if (by == By::subject) return std::ranges::equal(whole, slot.subject);
  return slot.has_key() && std::ranges::equal(whole, slot.ref);
}

const Slot* FileVault::resident(SlotNumber number) {
  const auto page = open_pages_.find(number / limits::page_slots_max);
  if (page != open_pages_.end()) return &page->second.slots[number % limits::page_slots_max];
  return cache_.find(number);
}

Result<std::vector<Slot>> FileVault::read_page(std::uint32_t number, const PageEntry& entry) {
  const PageHeader expected{{number, entry.generation}, vault_id_, entry.slots};
  const auto path = page_path(expected.name);
  auto file = platform::read_file(files_, path, page_bytes_max);
  if (!file && file.error().kind == ErrorKind::not_found) return page_missing(path);
  if (!file) return std::unexpected(std::move(file).error());
  return decode_page(*file, expected, entry.key.bytes);
}

// Reads the page without the mutex, so that nobody who finds what he wants in memory waits for a disk. A
// page that was rewritten meanwhile is read again: what it held may be what the rewriting destroyed.
Result<Slot> FileVault::fetch(SlotNumber number) {
  const auto page_number = static_cast<std::uint32_t>(number / limits::page_slots_max);
  for (;;) {
    PageEntry entry;
    {
      const Lock lock(mutex_);
      if (const auto* slot = resident(number)) return *slot;
      entry = top_.pages[page_number];
    }
    auto slots = read_page(page_number, entry);
    const Lock lock(mutex_);
    if (top_.pages[page_number].generation != entry.generation || open_pages_.contains(page_number)) continue;
    if (!slots) return std::unexpected(std::move(slots).error());
    // Its neighbours are as likely to be asked for next, and opening the page was the dear part; but they
    // push nobody out.
    const auto first = static_cast<SlotNumber>(page_number * limits::page_slots_max);
    for (SlotNumber at = 0; at < slots->size() && cache_.has_room(); ++at)
      cache_.put(first + at, (*slots)[at]);
    const auto& slot = (*slots)[number % limits::page_slots_max];
    cache_.put(number, slot);
    return slot;
  }
}

Result<FileVault::Search> FileVault::search(const Wanted& wanted) {
  Search search;
  std::vector<SlotNumber> on_disk;
  {
    const Lock lock(mutex_);
    for (auto candidates = table(wanted.by).candidates(wanted.tag); const auto number = candidates.next();) {
      ++search.candidates;
      const auto* slot = resident(*number);
      if (slot == nullptr) {
        on_disk.push_back(*number);
      } else if (wanted.matches(*slot)) {
        search.found = *slot;
        search.number = *number;
        return search;
      }
    }
  }
  for (const auto number : on_disk) {
    VESTIGE_TRY(const auto slot, fetch(number));
    if (!wanted.matches(slot)) continue;
    search.found = slot;
    search.number = number;
    break;
  }
  return search;
}

Result<Owner> FileVault::owner_of(std::string_view tenant, std::string_view subject) {
  const auto hash = subject_hash(tenant, subject);
  const Wanted wanted{By::subject, tag_of(hash), hash};
  for (;;) {
    VESTIGE_TRY(const auto search, this->search(wanted));
    const Lock lock(mutex_);
    if (barred_.contains(hash) || (search.found && !search.found->has_key()))
      return fail(ErrorKind::denied,
                  "The person was erased: what concerns them is recorded without their personal "
                  "values, until a new consent re-authorises them.");
    if (search.found) return owner_in(*search.found);
    // Subjects are only ever added, so an equal count means that nobody made this one meanwhile.
    if (by_subject_.count(wanted.tag) != search.candidates) continue;
    if (changes_made_ - changes_durable_ >= limits::unsynced_subjects_max) {
      VESTIGE_CHECKED(reach(changes_made_));
      continue;
    }
    VESTIGE_TRY(const auto slot, make_subject(hash));
    return owner_in(slot);
  }
}

Result<Slot> FileVault::make_subject(const Hash& subject) {
  if (broken_) return std::unexpected(*broken_);
  const auto limit = std::min(options_.subjects_max, limits::subjects_max);
  if (subjects_ >= limit) return too_many_subjects(limit);
  Slot slot;
  VESTIGE_TRY(slot.ref, fresh_ref());
  slot.subject = subject;
  entropy_.fill(slot.key.bytes);
  slot.created = clock_.now();

  add_slot(slot);
  return slot;
}

SlotNumber FileVault::add_slot(const Slot& slot) {
  auto& page = page_with_room();
  page.slots.push_back(slot);
  page.changed = true;
  const auto number = static_cast<SlotNumber>(subjects_++);
  by_subject_.add(tag_of(slot.subject), number);
  if (slot.has_key()) by_ref_.add(tag_of(slot.ref), number);
  if (!slot.has_key()) ++subjects_erased_;
  ++changes_made_;
  return number;
}

// No two refs of a vault share even their tag: uniqueness is then seen without reading a page.
Result<Block16> FileVault::fresh_ref() {
  for (int draw = 0; draw < limits::ref_draws_max; ++draw) {
    const auto ref = entropy_.bytes<16>();
    if (ref != Block16{} && by_ref_.count(tag_of(ref)) == 0) return ref;
  }
  return fail(ErrorKind::io,
              fmt::format("The machine's source of randomness gave {} references that are taken "
                          "already. It cannot be trusted; no key is made.",
                          limits::ref_draws_max));
}

FileVault::OpenPage& FileVault::page_with_room() {
  const auto number = static_cast<std::uint32_t>(subjects_ / limits::page_slots_max);
  auto& page = open_pages_[number];
  CHECK(page.slots.size() == subjects_ % limits::page_slots_max);
  page.slots.reserve(limits::page_slots_max);
  return page;
}

Result<SubjectView> FileVault::look_up(std::string_view tenant, std::string_view subject) {
  const auto hash = subject_hash(tenant, subject);
  VESTIGE_TRY(const auto search, this->search({By::subject, tag_of(hash), hash}));
  return search.found ? view_of(*search.found) : SubjectView{};
}

Result<std::optional<Key>> FileVault::key_of(const Block16& ref) {
  VESTIGE_TRY(const auto search, this->search({By::ref, tag_of(ref), ref}));
  if (!search.found) return std::nullopt;
  return search.found->key.bytes;
}

Result<Key> FileVault::retention_key(RetentionClass retention_class, Month month) {
  const Lock lock(mutex_);
  const RetentionPlace place(retention_class, month);
  auto found = retention_.find(place);
  if (found == retention_.end()) {
    if (broken_) return std::unexpected(*broken_);
    if (retention_.size() >= limits::retention_keys_max)
      return std::unexpected(Error{
          .kind = ErrorKind::exhausted,
          .message =
              fmt::format("The vault holds {} retention keys, as many as it may. Destroy those whose time "
                          "is over, or use fewer retention classes.",
                          limits::retention_keys_max),
          .limit = fmt::format("retention_keys_max = {}", limits::retention_keys_max)});
    found = retention_.emplace(place, Retention{.key = {}, .change = ++changes_made_}).first;
    entropy_.fill(found->second.key.bytes);
  }
  const auto made = found->second;
  VESTIGE_CHECKED(reach(made.change));
  return made.key.bytes;
}

Result<std::optional<Key>> FileVault::find_retention_key(RetentionClass retention_class, Month month) {
  const Lock lock(mutex_);
  const auto found = retention_.find({retention_class, month});
  // One that is not durable yet does not exist: what it encrypted could be lost with it.
  if (found == retention_.end() || found->second.change > changes_durable_) return std::nullopt;
  return found->second.key.bytes;
}

std::optional<KeptKey> FileVault::kept_key(const Block16& file) const {
  const Lock lock(mutex_);
  const auto found = kept_.find(file);
  if (found == kept_.end()) return std::nullopt;
  return KeptKey{.file = file, .key = found->second.key.bytes, .erasures = found->second.erasures};
}

Status FileVault::replace_kept_key(const std::optional<Block16>& destroyed,
                                   const std::optional<KeptKey>& added) {
  const Lock lock(mutex_);
  if (broken_) return std::unexpected(*broken_);
  if (added && kept_.size() >= limits::kept_keys_max)
    return std::unexpected(Error{
        .kind = ErrorKind::exhausted,
        .message = fmt::format("The vault keeps the keys of {} files, as many as it may.", kept_.size()),
        .limit = fmt::format("kept_keys_max = {}", limits::kept_keys_max)});
  const auto found = destroyed ? kept_.find(*destroyed) : kept_.end();
  std::optional<Kept> before;
  if (found != kept_.end()) {
    before = found->second;
    kept_.erase(found);
  }
  if (added)
    kept_[added->file] = Kept{.key = SecretKey(added->key),
                              .erasures = std::min<std::uint64_t>(added->erasures, erasures_.size())};
  auto reached = reach(++changes_made_);
  if (reached) return reached;
  // What the disk has is one or the other; the next commit writes what was there before the call.
  if (added) kept_.erase(added->file);
  if (before) kept_[*destroyed] = *before;
  return reached;
}

void FileVault::settle_kept_key(const Block16& file, std::uint64_t erasures) {
  const Lock lock(mutex_);
  const auto found = kept_.find(file);
  if (found == kept_.end()) return;
  found->second.erasures =
      std::max(found->second.erasures, std::min<std::uint64_t>(erasures, erasures_.size()));
}

Status FileVault::retain_kept_keys(std::span<const Block16> files) {
  const Lock lock(mutex_);
  const auto destroyed = std::erase_if(
      kept_, [&](const auto& kept) { return std::ranges::find(files, kept.first) == files.end(); });
  return destroyed == 0 ? Status{} : reach(++changes_made_);
}

Key FileVault::purpose_key(std::string_view purpose, std::string_view tenant) const {
  return derive_purpose_key(purpose_secret_.bytes, purpose, tenant);
}

Bytes FileVault::wrap(const Key& key, std::string_view context) {
  return wrap_key(wrap_key_.bytes, key, context, entropy_.bytes<crypto::nonce_bytes>());
}

Result<Key> FileVault::unwrap(ByteView wrapped, std::string_view context) const {
  return unwrap_key(wrap_key_.bytes, wrapped, context);
}

Vault::Figures FileVault::figures() const {
  const Lock lock(mutex_);
  std::uint64_t resident = cache_.size();
  for (const auto& [number, page] : open_pages_) resident += page.slots.size();
  return {.subjects_active = subjects_ - subjects_erased_,
          .subjects_erased = subjects_erased_,
          .cached_keys = resident,
          .syncs = syncs_};
}

}  // namespace vestige::vault
