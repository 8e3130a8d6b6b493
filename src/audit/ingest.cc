#include "audit/ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "audit/limits.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

std::unexpected<Error> conflict_of(const Uuid& id, std::size_t number, bool many) {
  Error error{.kind = ErrorKind::conflict,
              .message = fmt::format(
                  "the id {} was used before with other content; an entry is never changed. Send a "
                  "new id for a new event",
                  format_uuid(id))};
  error.path = many ? fmt::format("/{}/id", number) : "/id";
  return std::unexpected(std::move(error));
}

std::unexpected<Error> too_many() {
  Error error{.kind = ErrorKind::exhausted,
              .message = fmt::format("a request may bring at most {} events", batch_events_max)};
  error.limit = fmt::format("batch_events_max = {}", batch_events_max);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> no_event() { return fail(ErrorKind::invalid, "the request brings no event"); }

// Errors of one event become errors of the request: path and position count from its start.
std::unexpected<Error> in_request(Error error, std::size_t number, bool many, std::size_t offset) {
  if (many) error.path = fmt::format("/{}{}", number, error.path);
  if (error.position) *error.position += offset;
  return std::unexpected(std::move(error));
}

}  // namespace

// What placing needs from one entry to the next; used by the committer only.
struct Ingest::Order {
  Order(vault::Vault& vault, const std::string& tenant, const std::string& stream)
      : unsealer(vault, stream), fingerprint(vault, tenant) {}
  Unsealer unsealer;
  Fingerprinter fingerprint;
  UnixMs last_received = time_min;
};

// One request on its way through the committer.
class Ingest::Placing final : public trail::Submission {
 public:
  Placing(Ingest& ingest, Batch batch, Done done)
      : ingest_(ingest), batch_(std::move(batch)), done_(std::move(done)) {}

  std::uint8_t stream() const override { return ingest_.stream_.number(); }
  std::size_t bytes_max() const override { return batch_.bytes + batch_.items.size() * 64; }

  Status place(trail::Placement& placement) override {
    outcome_.events.resize(batch_.items.size());
    // First decide everything, then add: nothing is added where one event conflicts.
    VESTIGE_CHECKED(compare_all(placement));
    auto& last = ingest_.order_->last_received;
    last = std::max(last, std::clamp(ingest_.clock_.now(), time_min, time_max));
    char received[time_text_size];
    write_time(last, received);
    for (std::size_t i = 0; i < batch_.items.size(); ++i) add(placement, i, received);
    if (batch_.placed) batch_.placed(placement, outcome_);
    return {};
  }

  void settled(Status status) override {
    if (status) {
      done_(std::move(outcome_));
    } else {
      done_(std::unexpected(std::move(status).error()));
    }
  }

 private:
  // All of them where somebody asks which, else up to the first.
  Status compare_all(trail::Placement& placement) {
    Status all;
    for (std::size_t i = 0; i < batch_.items.size(); ++i) {
      auto compared = compare(placement, i);
      if (compared) continue;
      if (compared.error().kind != ErrorKind::conflict || !batch_.conflicting) return compared;
      batch_.conflicting({i, compared.error()});
      if (all) all = std::move(compared);
    }
    return all;
  }

  // Looks for the id in the log before this batch.
  Status compare(trail::Placement& placement, std::size_t i) {
    auto& item = batch_.items[i];
    if (item.draft.id_is_ours || item.same_as != SIZE_MAX) return {};
    VESTIGE_TRY(const auto candidates, placement.seen(item.fingerprint));
    for (const auto index : candidates) {
      VESTIGE_TRY(const auto record, placement.read(Index{index}));
      if (entry_id(record.entry) != item.draft.id) continue;
      VESTIGE_TRY(const auto mac,
                  ingest_.order_->unsealer.content_mac(
                      record.entry, [&]() -> Result<std::vector<Bytes>> { return record.blobs; }));
      if (mac && !item.id_from_record && !crypto::constant_time_equal(*mac, item.draft.mac))
        return conflict_of(item.draft.id, i, batch_.many);
      VESTIGE_TRY(const auto leaf, placement.leaf(Index{index}));
      outcome_.events[i] = {item.draft.id, index, leaf, true, !mac.has_value()};
      return {};
    }
    if (item.has_rival) return conflict_of(item.draft.id, i, batch_.many);
    return {};
  }

  void add(trail::Placement& placement, std::size_t i, const char* received) {
    auto& item = batch_.items[i];
    auto& acknowledged = outcome_.events[i];
    if (item.same_as != SIZE_MAX) {
      acknowledged = outcome_.events[item.same_as];
      acknowledged.duplicate = true;
    }
    if (acknowledged.duplicate) {
      ++outcome_.duplicates;
      return;
    }
    auto& draft = item.draft;
    std::memcpy(draft.bytes.data() + draft.received_at, received, time_text_size);
    salt_text_.clear();
    append_base64(salt_text_, placement.next_salt());
    CHECK(salt_text_.size() == salt_text_size);
    std::memcpy(draft.bytes.data() + draft.salt_at, salt_text_.data(), salt_text_size);
    blobs_.assign(draft.blobs.begin(), draft.blobs.end());
    acknowledged.id = draft.id;
    acknowledged.index = placement.next_index().value;
    acknowledged.leaf = placement.add(item.fingerprint, view(draft.bytes), blobs_, std::move(draft.tokens));
    ++outcome_.accepted;
  }

  Ingest& ingest_;
  Batch batch_;
  Done done_;
  BatchOutcome outcome_;
  std::string salt_text_;
  std::vector<ByteView> blobs_;
};

Ingest::Ingest(trail::Log& log, trail::Stream& stream, vault::Vault& vault, const KindRegistry& kinds,
               platform::Clock& clock, platform::Entropy& entropy, ServerContext server)
    : log_(log),
      stream_(stream),
      kinds_(kinds),
      clock_(clock),
      server_(std::move(server)),
      sealer_(vault, entropy, clock, stream.tenant(), stream.full_name()),
      import_ids_(vault.purpose_key(import_id_purpose, stream.tenant())),
      capture_ids_(vault.purpose_key(capture_id_purpose, stream.tenant())),
      vault_(vault),
      order_(std::make_unique<Order>(vault, stream.tenant(), stream.full_name())) {}

Ingest::~Ingest() = default;

Status Ingest::resume() {
  const auto snapshot = stream_.snapshot();
  if (snapshot.size() == 0) return {};
  VESTIGE_TRY(const auto record, snapshot.read(snapshot.size() - 1));
  const auto received = entry_received_at(record.entry);
  if (!received)
    return corrupt("", 0, fmt::format("the last entry of {} has no time of receipt", stream_.full_name()));
  order_->last_received = *received;
  return {};
}

Status Ingest::add_event(const json::Value& value, const RequestContext& request, bool system, Batch& batch,
                         std::span<const ContextAddition> context) {
  if (batch.items.size() >= batch_events_max) return too_many();
  VESTIGE_TRY(const auto event, read_event(value, kinds_, system));
  if (!request.approval.empty()) VESTIGE_CHECKED(check_claims(event));
  Batch::Item item;
  auto additions = preprocessors_.run(event, request, server_);
  if (!context.empty()) {
    additions.context.insert(additions.context.end(), context.begin(), context.end());
    std::ranges::sort(additions.context, {}, &ContextAddition::name);
  }
  VESTIGE_TRY(item.draft, sealer_.seal(event, additions));
  batch.bytes += item.draft.bytes_total();
  batch.items.push_back(std::move(item));
  return {};
}

// Fingerprints, and repeats inside the batch.
Status Ingest::find_repeats(Batch& batch, Rivals rivals) const {
  Fingerprinter fingerprint(vault_, stream_.tenant());
  std::unordered_multimap<std::uint64_t, std::size_t> seen;
  const bool alone = batch.items.size() == 1;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    auto& item = batch.items[i];
    item.fingerprint = fingerprint(item.draft.id);
    if (alone || item.draft.id_is_ours) continue;
    const auto [from, to] = seen.equal_range(item.fingerprint);
    for (auto it = from; it != to; ++it) {
      const auto& earlier = batch.items[it->second];
      if (earlier.draft.id != item.draft.id) continue;
      if (item.id_from_record || earlier.draft.mac == item.draft.mac)
        item.same_as = it->second;
      else if (rivals == Rivals::kept)
        item.has_rival = true;
      else
        return conflict_of(item.draft.id, i, batch.many);
    }
    if (item.same_as == SIZE_MAX && !item.has_rival) seen.emplace(item.fingerprint, i);
  }
  return {};
}

namespace {

// Hands the events of a body to `take`, one after another: a Status of (const json::Value&). `expect` is told
// before how many come, where that is known. True where they came as a list.
template <typename Expect, typename Take>
Result<bool> for_each_event(std::string_view body, BodyForm form, Expect expect, Take take) {
  thread_local json::Parser parser;
  thread_local json::Document document;
  json::Limits limits{.depth_max = event_depth_max, .bytes_max = batch_bytes_max};
  std::size_t number = 0;
  if (form == BodyForm::json) {
    const auto start = body.find_first_not_of(" \t\r\n");
    const bool many = start != std::string_view::npos && body[start] == '[';
    // The list around the events is none of theirs.
    if (many) ++limits.depth_max;
    VESTIGE_CHECKED(parser.parse(body, document, limits));
    const auto root = document.root();
    const std::size_t count = many ? root.size() : 1;
    if (count > batch_events_max) return too_many();
    if (count == 0) return no_event();
    expect(count);
    for (; number < count; ++number)
      if (auto taken = take(many ? root.at(number) : root); !taken)
        return in_request(std::move(taken).error(), number, many, 0);
    return many;
  }
  for (std::size_t start = 0; start < body.size();) {
    const auto end = std::min(body.find('\n', start), body.size());
    const auto line = body.substr(start, end - start);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      auto taken = number < batch_events_max ? parser.parse(line, document, limits) : too_many();
      if (taken) taken = take(document.root());
      if (!taken) return in_request(std::move(taken).error(), number, true, start);
      ++number;
    }
    start = end + 1;
  }
  if (number == 0) return no_event();
  return true;
}

}  // namespace

Result<Batch> Ingest::prepare(std::string_view body, BodyForm form, const RequestContext& request) {
  Batch batch;
  const auto expect = [&](std::size_t count) { batch.items.reserve(count); };
  const auto add = [&](const json::Value& event) { return add_event(event, request, false, batch); };
  VESTIGE_TRY(batch.many, for_each_event(body, form, expect, add));
  VESTIGE_CHECKED(find_repeats(batch));
  return batch;
}

Status Ingest::examine(std::string_view body, BodyForm form, const See& see) const {
  const auto hand_on = [&](const json::Value& value) -> Status {
    VESTIGE_TRY(const auto event, read_event(value, kinds_, false));
    return see(event);
  };
  VESTIGE_CHECKED(for_each_event(body, form, [](std::size_t) {}, hand_on));
  return {};
}

Result<Batch> Ingest::prepare_system(std::string_view event) {
  json::Parser parser;
  json::Document document;
  Batch batch;
  VESTIGE_CHECKED(parser.parse(event, document));
  VESTIGE_CHECKED(add_event(document.root(),
                            RequestContext{stream_.tenant(), std::string(system_service), clock_.now()}, true,
                            batch));
  VESTIGE_CHECKED(find_repeats(batch));
  return batch;
}

Result<Batch> Ingest::prepare_relayed(std::span<const std::string> events) {
  json::Parser parser;
  json::Document document;
  Batch batch;
  const RequestContext request{stream_.tenant(), std::string(system_service), clock_.now()};
  for (const auto& event : events) {
    VESTIGE_CHECKED(parser.parse(event, document));
    VESTIGE_CHECKED(add_event(document.root(), request, true, batch));
    batch.items.back().id_from_record = true;
  }
  VESTIGE_CHECKED(find_repeats(batch));
  return batch;
}

void Ingest::submit(Batch batch, Done done) {
  // The submission is gone where it is refused, so the callback is shared with it.
  auto shared = std::make_shared<Done>(std::move(done));
  auto placing = std::make_unique<Placing>(
      *this, std::move(batch), [shared](Result<BatchOutcome> outcome) { (*shared)(std::move(outcome)); });
  if (auto taken = log_.submit(std::move(placing)); !taken)
    (*shared)(std::unexpected(std::move(taken).error()));
}

}  // namespace vestige::audit
