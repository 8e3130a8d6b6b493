#include "verify/internal/sections.h"

#include <fmt/format.h>

#include <algorithm>

namespace vestige::verify {

void SectionTally::merge(const SectionTally& other) {
  counts.matches += other.counts.matches;
  counts.present += other.counts.present;
  counts.erased += other.counts.erased;
  counts.missing += other.counts.missing;
  for (const auto& [refs, some] : other.waiting) {
    auto& mine = waiting[refs];
    if (mine.count == 0 || some.first.bad.index < mine.first.bad.index) mine.first = some.first;
    mine.count += some.count;
  }
  erasures.merge(other.erasures);
}

Result<std::vector<seal::Reference>> SectionChecker::parse(std::string_view sealed) {
  if (sealed.empty()) return std::vector<seal::Reference>{};
  VESTIGE_TRY(auto references, seal::parse_references(sealed));
  for (const auto& reference : references)
    if (!std::ranges::is_sorted(reference.refs))
      return fail(ErrorKind::corrupt, "the owners of a sealed section are not in order");
  return references;
}

std::string SectionChecker::wrong_number(std::size_t references, std::size_t blobs) {
  return fmt::format("the entry names {} sealed sections, and {} are there", references, blobs);
}

std::optional<Key> SectionChecker::owner(const Block16& ref, VaultKeys::Certainty& certainty) {
  certainty = VaultKeys::Certainty::known;
  return reading_ == VaultReading::again ? keys_.owner_or_read_again(ref, certainty) : keys_.owner(ref);
}

void SectionChecker::wait(const seal::Reference& reference, const EntryPlace& place) {
  std::vector<Block16> gone;
  for (std::size_t i = 0; i < owners_.size(); ++i)
    if (!owners_[i]) gone.push_back(reference.refs[i]);
  auto& waiting = tally_.waiting[std::move(gone)];
  if (++waiting.count > 1) return;
  waiting.first = Problem{
      place.part,
      place.stream,
      {place.index, place.file, place.offset,
       fmt::format("the key of a sealed section of entry {} is missing without authority", place.index)}};
}

std::optional<std::string> SectionChecker::check_one(const seal::Reference& reference, ByteView blob,
                                                     const Uuid& entry, const EntryPlace& place) {
  const auto head = seal::read_section_head(blob);
  if (!head) return head.error().message;
  owners_.clear();
  bool sure = true;
  for (const auto& ref : reference.refs) {
    auto certainty = VaultKeys::Certainty::known;
    owners_.push_back(owner(ref, certainty));
    sure = sure && certainty == VaultKeys::Certainty::known;
  }
  const auto has_key = [](const std::optional<Key>& key) { return key.has_value(); };
  const bool opens = reference.form == seal::Form::all ? std::ranges::any_of(owners_, has_key)
                                                       : std::ranges::all_of(owners_, has_key);
  if (!opens && !sure) {
    ++tally_.counts.present;
    return std::nullopt;
  }
  if (!opens) {
    wait(reference, place);
    return std::nullopt;
  }
  const auto retention = keys_.retention_key(head->retention_class, head->month);
  if (!retention && reading_ == VaultReading::again && keys_.while_running()) {
    ++tally_.counts.present;
    return std::nullopt;
  }
  if (!retention) {
    ++tally_.counts.missing;
    return fmt::format("the retention key of class {} and month {} is missing without authority",
                       head->retention_class, head->month);
  }
  const auto opened = seal::open_section(blob, reference, owners_, *retention, {stream_, entry});
  if (!opened) return opened.error().message;
  ++tally_.counts.matches;
  if (tokens_ != nullptr) seal::add_pair_tokens(opened->pairs, *tokens_);
  return std::nullopt;
}

}  // namespace vestige::verify
