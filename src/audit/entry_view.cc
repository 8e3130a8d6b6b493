#include "audit/entry_view.h"

#include <fmt/format.h>

#include "audit/sealer.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "seal/event_tree.h"
#include "trail/format/members.h"

namespace vestige::audit {
namespace {

std::unexpected<Error> damaged(std::string what) { return corrupt("", 0, "entry: " + what); }

std::string_view member(std::string_view entry, std::string_view name) {
  trail::MemberScanner members(entry);
  while (const auto found = members.next()) {
    if (found->key == name) return found->value;
    if (found->key > name) break;
  }
  return {};
}

}  // namespace

const trail::Schema& entry_schema() {
  using trail::ColumnType;
  static const trail::Schema schema = {
      {"action", ColumnType::text, 0},     {"id", ColumnType::uuid, 0},
      {"kind", ColumnType::text, 0},       {"mac", ColumnType::bytes, 16},
      {"receivedAt", ColumnType::time, 0}, {"salt", ColumnType::salt, 0},
      {"sourceId", ColumnType::text, 0},   {"sourceType", ColumnType::text, 0},
      {"targetId", ColumnType::text, 0},   {"targetType", ColumnType::text, 0},
      {"tenant", ColumnType::text, 0},     {"time", ColumnType::time, 0}};
  return schema;
}

std::string_view raw_text_member(std::string_view entry, std::string_view name) {
  const auto value = member(entry, name);
  if (value.size() < 2 || value.front() != '"') return {};
  return value.substr(1, value.size() - 2);
}

std::optional<Uuid> entry_id(std::string_view entry) { return parse_uuid(raw_text_member(entry, "id")); }

std::optional<UnixMs> entry_received_at(std::string_view entry) {
  return parse_time(raw_text_member(entry, "receivedAt"));
}

Fingerprinter::Fingerprinter(const vault::Vault& vault, std::string_view tenant)
    : prf_([&] {
        const Key key = vault.purpose_key(id_fingerprint_purpose, tenant);
        Block16 half;
        std::memcpy(half.data(), key.data(), half.size());
        return half;
      }()) {}

std::uint64_t Fingerprinter::operator()(const Uuid& id) {
  return load_le<std::uint64_t>(prf_(id.bytes).data());
}

const char* name_of(SectionState state) {
  switch (state) {
    case SectionState::present:
      return "present";
    case SectionState::erased:
      return "erased";
    case SectionState::unknown:
      return "unknown";
    case SectionState::closed:
      return "closed";
  }
  return "unknown";
}

void OpenedSections::keep(const std::function<bool(const seal::Reference&)>& wanted) {
  OpenedSections kept;
  for (std::size_t i = 0; i < references.size(); ++i) {
    if (!wanted(references[i])) continue;
    kept.references.push_back(std::move(references[i]));
    kept.states.push_back(states[i]);
    kept.erased_by.push_back(erased_by[i]);
    kept.pairs.push_back(std::move(pairs[i]));
    kept.seeds.push_back(seeds[i]);
  }
  *this = std::move(kept);
}

// The first of the erasures that took a key of the section.
std::optional<std::uint64_t> Unsealer::erased_by(const seal::Reference& reference,
                                                 const std::vector<std::optional<Key>>& keys) const {
  std::optional<std::uint64_t> first;
  for (std::size_t i = 0; erasures_ != nullptr && i < keys.size(); ++i) {
    if (keys[i]) continue;
    const auto outcome = erasures_->outcome_of(reference.refs[i]);
    if (outcome && (!first || *outcome < *first)) first = outcome;
  }
  return first;
}

Result<OpenedSections> Unsealer::open(std::string_view entry, const Blobs& blobs) {
  OpenedSections opened;
  const auto sealed = member(entry, "sealed");
  if (sealed.empty()) return opened;
  VESTIGE_TRY(opened.references, seal::parse_references(sealed));
  VESTIGE_TRY(const auto stored, blobs());
  const auto id = entry_id(entry);
  if (!id || stored.size() != opened.references.size())
    return damaged("it has another number of sections than it names");
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const auto& reference = opened.references[i];
    opened.states.push_back(SectionState::unknown);
    opened.erased_by.emplace_back();
    opened.pairs.emplace_back();
    opened.seeds.emplace_back();
    std::vector<std::optional<Key>> keys;
    for (const auto& ref : reference.refs) {
      VESTIGE_TRY(const auto key, vault_.key_of(ref));
      keys.push_back(key);
    }
    VESTIGE_TRY(const auto head, seal::read_section_head(stored[i]));
    VESTIGE_TRY(const auto retention, vault_.find_retention_key(vault::RetentionClass{head.retention_class},
                                                                vault::Month{head.month}));
    if (!retention) continue;
    auto section = seal::open_section(stored[i], reference, keys, *retention, {stream_, *id});
    if (section) {
      opened.pairs.back() = std::move(section->pairs);
      opened.seeds.back() = section->seed;
      opened.states.back() = SectionState::present;
    } else if (section.error().kind == ErrorKind::not_found) {
      // The vault forgot the ref: that is what erasing does.
      opened.states.back() = SectionState::erased;
      opened.erased_by.back() = erased_by(reference, keys);
    } else {
      return std::unexpected(std::move(section).error());
    }
  }
  return opened;
}

Result<std::optional<Block16>> Unsealer::content_mac(std::string_view entry, const Blobs& blobs) {
  if (const auto mac = raw_text_member(entry, "mac"); !mac.empty()) {
    const auto bytes = array_from_base64<16>(mac);
    if (!bytes) return damaged("its content MAC does not parse");
    return bytes;
  }
  VESTIGE_TRY(const auto opened, open(entry, blobs));
  if (std::ranges::any_of(opened.states, [](auto state) { return state != SectionState::present; }))
    return std::optional<Block16>{};
  for (const auto& pairs : opened.pairs) {
    if (pairs.empty() || pairs.back().path != seal::mac_path) continue;
    const std::string_view value = pairs.back().value;
    const auto bytes =
        value.size() > 2 ? array_from_base64<16>(value.substr(1, value.size() - 2)) : std::nullopt;
    if (!bytes) return damaged("its content MAC does not parse");
    return bytes;
  }
  return damaged("it has no content MAC");
}

namespace {

void append_states(const OpenedSections& opened, std::string& to) {
  to.append(",\"sealed\":[");
  for (std::size_t i = 0; i < opened.references.size(); ++i) {
    if (i > 0) to.push_back(',');
    to.append("{\"refs\":[");
    for (std::size_t j = 0; j < opened.references[i].refs.size(); ++j) {
      if (j > 0) to.push_back(',');
      to.push_back('"');
      append_base64(to, opened.references[i].refs[j]);
      to.push_back('"');
    }
    to.append("],\"state\":\"");
    to.append(name_of(opened.states[i]));
    to.push_back('"');
    if (opened.erased_by[i]) fmt::format_to(std::back_inserter(to), ",\"erasedBy\":{}", *opened.erased_by[i]);
    to.push_back('}');
  }
  to.push_back(']');
}

}  // namespace

Result<OpenedSections> leave_closed(std::string_view entry) {
  OpenedSections closed;
  if (const auto sealed = member(entry, "sealed"); !sealed.empty()) {
    VESTIGE_TRY(closed.references, seal::parse_references(sealed));
    closed.states.assign(closed.references.size(), SectionState::closed);
    closed.erased_by.resize(closed.references.size());
    closed.pairs.resize(closed.references.size());
    closed.seeds.resize(closed.references.size());
  }
  return closed;
}

Status render(std::string_view entry, const OpenedSections& opened, std::uint64_t index, const Hash& leaf,
              std::string& to) {
  if (!opened.references.empty()) {
    VESTIGE_CHECKED(seal::append_event(entry, opened.pairs, to));
    append_states(opened, to);
  } else {
    trail::MemberScanner members(entry);
    char before = '{';
    while (const auto found = members.next()) {
      if (seal::is_bookkeeping(found->key)) continue;
      to.push_back(before);
      before = ',';
      to.append(entry.substr(found->start, found->end - found->start));
    }
    if (!members.ok()) return damaged("it is no canonical JSON object");
  }
  fmt::format_to(std::back_inserter(to), ",\"index\":{},\"leaf\":\"", index);
  append_base64(to, leaf);
  to.append("\"}");
  return {};
}

}  // namespace vestige::audit
