#include "audit/sealer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/limits.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "seal/tokens.h"
#include "trail/limits.h"

namespace vestige::audit {
namespace {

constexpr int clear = -1;

constexpr std::size_t pair_overhead_bytes = 8;
constexpr std::size_t room_for_mac_bytes = 64;

// What a text takes as a JSON string at most.
std::size_t quoted_bytes_max(std::string_view text) {
  constexpr std::size_t escape_bytes_max = 6;
  const auto escaped = std::ranges::count_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; });
  return text.size() + static_cast<std::size_t>(escaped) * (escape_bytes_max - 1);
}

// One section while it is filled.
struct Slot {
  std::vector<std::string_view> people;  // subject ids, in the event's order
  std::vector<seal::Pair> pairs;
  // What was taken, each as a whole. Names below an annotated value are as personal as the value, so these,
  // and no path below them, may be told of a person who is erased.
  std::vector<std::string> taken;
  std::size_t bytes = room_for_mac_bytes;  // of the pairs as they will be written, at most

  bool has_room() const { return pairs.size() < seal::pairs_max && bytes <= seal::plain_bytes_max; }
};

// Which slot the values of each Whose go to.
struct Plan {
  std::array<int, 5> slot_of{clear, clear, clear, clear, clear};
  std::vector<Slot> slots;

  int of(Whose whose) const { return slot_of[static_cast<std::size_t>(whose)]; }
  int slot_for(std::vector<std::string_view> people) {
    for (std::size_t i = 0; i < slots.size(); ++i)
      if (slots[i].people == people) return static_cast<int>(i);
    slots.push_back({std::move(people), {}, {}});
    return static_cast<int>(slots.size()) - 1;
  }
  void set(Whose whose, int slot) { slot_of[static_cast<std::size_t>(whose)] = slot; }

  // Every pair repeats its path, so that a few long names could make gigabytes of a small event: what does
  // not fit a section any more is not collected. check_sections() tells.
  void add(int slot, std::string_view path, std::string value) {
    auto& to = slots[static_cast<std::size_t>(slot)];
    to.bytes += quoted_bytes_max(path) + value.size() + pair_overhead_bytes;
    if (to.has_room()) to.pairs.push_back({std::string(path), std::move(value)});
  }
  void begin(int slot, std::string_view path) {
    auto& to = slots[static_cast<std::size_t>(slot)];
    if (to.has_room()) to.taken.emplace_back(path);
  }
  bool has_room(int slot) const { return slots[static_cast<std::size_t>(slot)].has_room(); }
};

Plan make_plan(const Event& event) {
  Plan plan;
  if (event.subjects.empty()) return plan;
  // One slot a person first, so that sections stand in the order of subjects.
  for (const auto subject : event.subjects) plan.slot_for({subject});
  const auto is_subject = [&](std::string_view id) {
    return !id.empty() && std::ranges::find(event.subjects, id) != event.subjects.end();
  };
  plan.set(Whose::subject, plan.slot_for(event.subjects));
  if (is_subject(event.source_id)) {
    plan.set(Whose::source, plan.slot_for({event.source_id}));
    plan.set(Whose::context, plan.slot_for({event.source_id}));
  }
  if (is_subject(event.target_id)) plan.set(Whose::target, plan.slot_for({event.target_id}));
  return plan;
}

// Walks a value and its schema, writing clear parts and collecting pairs.
class Splitter {
 public:
  Splitter(Plan& plan, std::string& out) : plan_(plan), out_(out) {}

  // Appends what stays of `value` to the output; false where nothing does.
  bool split(const SchemaNode* node, const json::Value& value, std::string& path, Whose inherited) {
    if (plan_.slots.empty()) node = nullptr;  // about nobody: all of it stays
    const Whose whose = node != nullptr && node->whose != Whose::nobody ? node->whose : inherited;
    if (const int slot = plan_.of(whose); slot != clear) {
      plan_.begin(slot, path);
      take(value, path, slot);
      return false;
    }
    if (node == nullptr || (node->properties.empty() && !node->items)) {
      json::append_canonical(out_, value);
      return true;
    }
    if (value.is_object()) return split_object(*node, value, path, whose), true;
    if (value.is_array()) return split_array(*node, value, path, whose), true;
    json::append_canonical(out_, value);
    return true;
  }

  // A value that the server adds to the context, as canonical JSON.
  bool split_text(const SchemaNode* node, const std::string& json, std::string& path) {
    const Whose whose = node != nullptr ? node->whose : Whose::nobody;
    if (const int slot = plan_.of(whose); slot != clear) {
      json::Parser parser;
      json::Document document;
      plan_.begin(slot, path);
      if (parser.parse(json, document)) take(document.root(), path, slot);
      return false;
    }
    out_.append(json);
    return true;
  }

 private:
  void take(const json::Value& value, std::string& path, int slot) {
    const bool container = value.is_array() || value.is_object();
    if (!container || value.size() == 0) return plan_.add(slot, path, json::canonical(value));
    if (value.is_array()) plan_.add(slot, path, "[]");
    for (std::size_t i = 0; i < value.size() && plan_.has_room(slot); ++i) {
      const auto length = path.size();
      if (value.is_array()) {
        fmt::format_to(std::back_inserter(path), "/{}", i);
      } else {
        json::append_pointer(path, value.key_at(i));
      }
      take(value.at(i), path, slot);
      path.resize(length);
    }
  }

  void split_object(const SchemaNode& node, const json::Value& value, std::string& path, Whose whose) {
    out_.push_back('{');
    const auto start = out_.size();
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto key = value.key_at(i);
      const auto property = node.properties.find(key);
      const auto before = out_.size();
      if (before > start) out_.push_back(',');
      json::append_quoted(out_, key);
      out_.push_back(':');
      const auto length = path.size();
      json::append_pointer(path, key);
      if (!split(property == node.properties.end() ? nullptr : property->second.get(), value.at(i), path,
                 whose))
        out_.resize(before);
      path.resize(length);
    }
    out_.push_back('}');
  }

  void split_array(const SchemaNode& node, const json::Value& value, std::string& path, Whose whose) {
    out_.push_back('[');
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out_.push_back(',');
      const auto length = path.size();
      fmt::format_to(std::back_inserter(path), "/{}", i);
      // A sealed element leaves its place, so that the others keep their index.
      if (!split(node.items.get(), value.at(i), path, whose)) out_.append("null");
      path.resize(length);
    }
    out_.push_back(']');
  }

  Plan& plan_;
  std::string& out_;
};

// Writes one entry. Members are appended in canonical order; see docs/formats/entry.md.
class EntryWriter {
 public:
  EntryWriter(const Event& event, const Additions& additions, DraftEntry& draft)
      : event_(event), additions_(additions), draft_(draft), out_(draft.bytes), plan_(make_plan(event)) {
    out_.reserve(512);
  }

  Plan& plan() { return plan_; }

  // Everything before "id": values are split here, so that sections are complete before they are named.
  void write_values() {
    out_.push_back('{');
    text("action", event_.action);
    split("changes", event_.changes);
    write_context();
    split("detail", event_.detail);
    collect("sourceEntityMeta", event_.source_meta, source_meta_);
    collect("targetEntityMeta", event_.target_meta, target_meta_);
    source_id_sealed_ = seal_id("/sourceId", event_.source_id);
    target_id_sealed_ = seal_id("/targetId", event_.target_id);
    seal_subjects();
  }

  void write_rest(std::string_view tenant, const std::vector<std::string>& discarded,
                  const std::vector<seal::Reference>& references) {
    if (!discarded.empty()) {
      key("discarded");
      out_.push_back('[');
      for (std::size_t i = 0; i < discarded.size(); ++i) {
        if (i > 0) out_.push_back(',');
        json::append_quoted(out_, discarded[i]);
      }
      out_.push_back(']');
    }
    write_uuid(draft_.id, slot("id", uuid_text_size));
    text("kind", event_.kind);
    if (event_.lossless.exists()) key("lossless"), json::append_canonical(out_, event_.lossless);
    if (references.empty()) {
      key("mac");
      out_.push_back('"');
      append_base64(out_, draft_.mac);
      out_.push_back('"');
    }
    draft_.received_at = static_cast<std::size_t>(slot("receivedAt", time_text_size) - out_.data());
    draft_.salt_at = static_cast<std::size_t>(slot("salt", salt_text_size) - out_.data());
    key("schema"), json::append_number(out_, std::int64_t{event_.schema->version});
    if (!references.empty()) key("sealed"), seal::append_references(out_, references);
    raw("sourceEntityMeta", source_meta_);
    if (!source_id_sealed_) text("sourceId", event_.source_id);
    text("sourceType", event_.source_type);
    if (event_.subjects.size() > 1) {
      key("subject");
      out_.push_back('[');
      for (std::size_t i = 0; i < event_.subjects.size(); ++i) out_.append(i > 0 ? ",null" : "null");
      out_.push_back(']');
    }
    raw("targetEntityMeta", target_meta_);
    if (!target_id_sealed_) text("targetId", event_.target_id);
    text("targetType", event_.target_type);
    text("tenant", tenant);
    write_time(additions_.time, slot("time", time_text_size));
    key("v"), out_.push_back('1');
    out_.push_back('}');
  }

 private:
  void key(std::string_view name) {
    if (out_.size() > 1) out_.push_back(',');
    out_.push_back('"');
    out_.append(name);
    out_.append("\":");
  }
  // Members that were not sent are left out; an empty string that was sent is kept by its position.
  void text(std::string_view name, std::string_view value) {
    if (value.data() == nullptr) return;
    key(name);
    json::append_quoted(out_, value);
  }
  void raw(std::string_view name, const std::string& json) {
    if (json.empty()) return;
    key(name);
    out_.append(json);
  }
  // A string member of a known size, to be written at once or later; valid until the next append.
  char* slot(std::string_view name, std::size_t size) {
    key(name);
    out_.push_back('"');
    const auto at = out_.size();
    out_.append(size, ' ');
    out_.push_back('"');
    return out_.data() + at;
  }
  const SchemaNode* node_of(std::string_view name) const {
    const auto property = event_.schema->root.properties.find(name);
    return property == event_.schema->root.properties.end() ? nullptr : property->second.get();
  }

  void split(std::string_view name, const json::Value& value) {
    if (!value.exists()) return;
    const auto before = out_.size();
    key(name);
    path_.assign("/").append(name);
    if (!Splitter(plan_, out_).split(node_of(name), value, path_, Whose::nobody)) out_.resize(before);
  }
  void collect(std::string_view name, const json::Value& value, std::string& into) {
    if (!value.exists()) return;
    path_.assign("/").append(name);
    if (!Splitter(plan_, into).split(node_of(name), value, path_, Whose::nobody)) into.clear();
  }

  // The context as sent, merged with what the server adds, in canonical order.
  void write_context() {
    const auto& context = event_.context;
    if (!context.exists() && additions_.context.empty()) return;
    const auto* node = node_of("context");
    key("context");
    out_.push_back('{');
    const auto start = out_.size();
    Splitter splitter(plan_, out_);
    auto addition = additions_.context.begin();
    std::size_t sent = 0;
    const std::size_t sent_count = context.exists() ? context.size() : 0;
    while (sent < sent_count || addition != additions_.context.end()) {
      const bool take_sent =
          sent < sent_count && (addition == additions_.context.end() ||
                                json::canonical_less(context.key_at(sent), addition->name));
      const std::string_view name = take_sent ? context.key_at(sent) : addition->name;
      const SchemaNode* child = nullptr;
      if (node != nullptr)
        if (const auto property = node->properties.find(name); property != node->properties.end())
          child = property->second.get();
      const auto before = out_.size();
      if (before > start) out_.push_back(',');
      json::append_quoted(out_, name);
      out_.push_back(':');
      path_ = "/context";
      json::append_pointer(path_, name);
      const bool kept = take_sent ? splitter.split(child, context.at(sent), path_, Whose::nobody)
                                  : splitter.split_text(child, addition->json, path_);
      if (!kept) out_.resize(before);
      take_sent ? static_cast<void>(++sent) : static_cast<void>(++addition);
    }
    out_.push_back('}');
  }

  // An id that is a subject's goes into that person's section.
  bool seal_id(std::string_view path, std::string_view id) {
    if (id.empty() || std::ranges::find(event_.subjects, id) == event_.subjects.end()) return false;
    std::string json;
    json::append_quoted(json, id);
    const int slot = plan_.slot_for({id});
    plan_.begin(slot, path);
    plan_.add(slot, path, std::move(json));
    return true;
  }
  void seal_subjects() {
    for (std::size_t i = 0; i < event_.subjects.size(); ++i) {
      std::string json;
      json::append_quoted(json, event_.subjects[i]);
      const int slot = plan_.slot_for({event_.subjects[i]});
      const auto path = event_.subjects.size() == 1 ? std::string("/subject") : fmt::format("/subject/{}", i);
      plan_.begin(slot, path);
      plan_.add(slot, path, std::move(json));
    }
  }

  const Event& event_;
  const Additions& additions_;
  DraftEntry& draft_;
  std::string& out_;
  Plan plan_;
  std::string path_;
  std::string source_meta_;
  std::string target_meta_;
  bool source_id_sealed_ = false;
  bool target_id_sealed_ = false;
};

constexpr std::size_t id_member_bytes = 7 + uuid_text_size + 1;  // "id":"...",

constexpr std::string_view size_limits[] = {"pairs_max", "plain_bytes_max", "event_bytes_max",
                                            "entry_bytes_max"};

std::unexpected<Error> too_large(std::string what, std::string_view limit, std::size_t value) {
  Error error{.kind = ErrorKind::exhausted, .message = std::move(what)};
  error.limit = fmt::format("{} = {}", limit, value);
  CHECK(is_too_large(error));
  return std::unexpected(std::move(error));
}

// Every personal value is sealed by itself, so very many small ones cost more than their bytes.
Status check_sections(const Plan& plan) {
  for (const auto& slot : plan.slots) {
    // One pair is left for the MAC.
    if (slot.pairs.size() >= seal::pairs_max)
      return too_large("the event has more personal values than one may have", "pairs_max",
                       seal::pairs_max - 1);
    if (!slot.has_room())
      return too_large("the event's personal values are too large together with their paths",
                       "plain_bytes_max", seal::plain_bytes_max);
  }
  return {};
}

struct SlotOwners {
  seal::Form form = seal::Form::one;
  std::vector<Block16> refs;
  std::vector<Key> keys;
};

// The living owners of a slot; empty where its content may not be kept any more.
Result<std::optional<SlotOwners>> owners_of(vault::Vault& vault, const std::string& tenant, const Slot& slot,
                                            bool shared_all) {
  std::vector<vault::Owner> living;
  for (const auto person : slot.people) {
    auto owner = vault.owner_of(tenant, person);
    if (owner) {
      living.push_back(*owner);
    } else if (owner.error().kind != ErrorKind::denied) {
      return std::unexpected(std::move(owner).error());
    }
  }
  if (living.empty() || (living.size() < slot.people.size() && !shared_all))
    return std::optional<SlotOwners>{};
  std::ranges::sort(living, {}, &vault::Owner::ref);
  SlotOwners owners;
  owners.form = living.size() == 1 ? seal::Form::one : shared_all ? seal::Form::all : seal::Form::any;
  for (const auto& owner : living) {
    owners.refs.push_back(owner.ref);
    owners.keys.push_back(owner.key);
  }
  return std::optional(std::move(owners));
}

}  // namespace

EntrySealer::EntrySealer(vault::Vault& vault, platform::Entropy& entropy, platform::Clock& clock,
                         std::string tenant, std::string stream)
    : vault_(vault),
      entropy_(entropy),
      clock_(clock),
      tenant_(std::move(tenant)),
      stream_(std::move(stream)),
      content_key_(vault.purpose_key(content_mac_purpose, tenant_)) {}

Result<DraftEntry> EntrySealer::seal(const Event& event, const Additions& additions) {
  DraftEntry draft;
  draft.id_is_ours = !event.id.has_value();
  draft.id = event.id ? *event.id : make_uuid_v7(clock_.now(), entropy_.bytes<16>());

  // The content is everything but the id: the same event sent under a new id is another event, and the
  // same id with the same content is the same one.
  thread_local std::string content;
  content.assign("{");
  for (std::size_t i = 0; i < event.root.size(); ++i) {
    if (event.root.key_at(i) == "id") continue;
    if (content.size() > 1) content.push_back(',');
    json::append_quoted(content, event.root.key_at(i));
    content.push_back(':');
    json::append_canonical(content, event.root.at(i));
  }
  content.push_back('}');
  const std::size_t sent_bytes = content.size() + (event.id ? id_member_bytes : 0);
  if (sent_bytes > event_bytes_max)
    return too_large(
        fmt::format("the event has {} bytes (as canonical JSON), more than one may have", sent_bytes),
        "event_bytes_max", event_bytes_max);
  const auto mac = content_key_.mac(view(content));
  std::memcpy(draft.mac.data(), mac.data(), draft.mac.size());

  EntryWriter writer(event, additions, draft);
  writer.write_values();
  VESTIGE_CHECKED(check_sections(writer.plan()));
  std::vector<seal::Reference> references;
  std::vector<std::string> discarded;
  std::optional<seal::Retention> retention;
  // Before any key is asked for: whoever is erased after that is known to be in these tokens.
  const auto generation = vault_.erasures();
  for (auto& slot : writer.plan().slots) {
    if (slot.pairs.empty()) continue;
    VESTIGE_TRY(auto owners, owners_of(vault_, tenant_, slot, event.schema->shared_all));
    if (!owners) {
      std::ranges::move(slot.taken, std::back_inserter(discarded));
      continue;
    }
    if (!retention) {
      const auto month = vault::month_of(clock_.now());
      VESTIGE_TRY(const auto key, vault_.retention_key(vault::standard_retention, month));
      retention = seal::Retention{vault::standard_retention.value, month.value, key};
    }
    if (!draft.tokens) {
      draft.tokens = std::make_shared<trail::KnownTokens>();
      draft.tokens->generation = generation;
    }
    seal::add_pair_tokens(slot.pairs, draft.tokens->tokens);
    if (references.empty()) {
      std::string mac_json;
      json::append_quoted(mac_json, to_base64(draft.mac));
      slot.pairs.push_back({std::string(seal::mac_path), mac_json});
    }
    auto section = seal::seal_section(slot.pairs, owners->form, std::move(owners->refs), owners->keys,
                                      *retention, {stream_, draft.id}, entropy_);
    references.push_back(std::move(section.reference));
    draft.blobs.push_back(std::move(section.blob));
  }
  writer.write_rest(tenant_, discarded, references);
  if (draft.bytes.size() > trail::entry_bytes_max)
    return too_large(fmt::format("the entry has {} bytes, more than one may have", draft.bytes.size()),
                     "entry_bytes_max", trail::entry_bytes_max);
  return draft;
}

bool is_too_large(const Error& error) {
  return error.kind == ErrorKind::exhausted && std::ranges::any_of(size_limits, [&](std::string_view limit) {
           return error.limit.starts_with(fmt::format("{} =", limit));
         });
}

}  // namespace vestige::audit
