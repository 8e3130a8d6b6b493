// The one way in: prepare (parse, validate, enrich, seal; on any thread) and place (compare ids, stamp,
// append; on the committer, in log order).
//
// Owner: app, one per stream that takes events. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/captured.h"
#include "audit/entry_view.h"
#include "audit/import_line.h"
#include "audit/preprocess.h"
#include "audit/sealer.h"
#include "trail/log/log.h"

namespace vestige::audit {

struct Acknowledged {
  Uuid id;
  std::uint64_t index = 0;
  Hash leaf{};
  bool duplicate = false;
  bool erased = false;  // a duplicate whose content is not compared any more
};

struct BatchOutcome {
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
  std::vector<Acknowledged> events;  // in the order of the request
};

enum class BodyForm { json, ndjson };  // one object or an array; one object a line

// Drafts that wait to be placed, all or none.
struct Batch {
  struct Item {
    DraftEntry draft;
    std::uint64_t fingerprint = 0;
    std::size_t same_as = SIZE_MAX;  // an earlier item of the batch with this id and content
    bool has_rival = false;          // one with this id and other content; which is right the stream tells
    bool id_from_record = false;     // the same id is the same record; its content is not compared
  };
  std::vector<Item> items;
  std::size_t bytes = 0;
  bool many = true;  // the request was a list: paths of errors start with the event's number
  // Runs on the committer where the batch is refused because of what is in the stream: each item, and why.
  std::function<void(Refused)> conflicting;
  // Runs on the committer once all items have their places: for marks that commit with them.
  std::function<void(trail::Placement&, const BatchOutcome&)> placed;
};

class Ingest {
 public:
  Ingest(trail::Log& log, trail::Stream& stream, vault::Vault& vault, const KindRegistry& kinds,
         platform::Clock& clock, platform::Entropy& entropy, ServerContext server);
  ~Ingest();

  // invalid (path "/<n>/..." for the n-th event of a batch, position in the body), exhausted past a limit.
  Result<Batch> prepare(std::string_view body, BodyForm form, const RequestContext& request);
  // Records of another system, one line each (docs/formats/ids.md); paths and positions as above.
  Result<Batch> prepare_import(std::string_view body, std::string_view format, const RequestContext& request);
  // Hands each event of such a body to `see`, checked as prepare() checks it and before anything is made of
  // it: its persons get no keys yet. What `see` refuses is refused as of that event.
  using See = std::function<Status(const Event&)>;
  Status examine(std::string_view body, BodyForm form, const See& see) const;
  Status examine_import(std::string_view body, std::string_view format, const See& see) const;
  // Changes of one source. The same position again is the same change: its content is not compared, except
  // where an event has an id of its own. Where one is refused no batch is made, and each of these is added to
  // `refused`; the error is the first one's.
  Result<Batch> prepare_captured(std::string_view source, std::span<const CapturedEvent> events,
                                 std::vector<Refused>* refused = nullptr);
  // The id of a change that has none of its own. Whoever has no key of the tenant's cannot tell it from
  // chance.
  Uuid captured_id(std::string_view source, std::string_view position) const {
    return capture_ids_.id_of(source, position);
  }
  // An entry of the server's own; `event` is JSON, of any kind.
  Result<Batch> prepare_system(std::string_view event);
  // The same of several that were written down before under ids of the server's making: one whose id is in
  // the stream already was taken before, and is not compared.
  Result<Batch> prepare_relayed(std::span<const std::string> events);

  using Done = std::function<void(Result<BatchOutcome>)>;
  // `done` runs once, on the committer's thread or, where the batch is refused at once, in this call. It
  // must not block.
  void submit(Batch batch, Done done);

  // Reads the last entry, so that receivedAt goes on from there. Once, before the first submit.
  Status resume();

 private:
  class Placing;
  struct Order;  // the committer's own
  Status add_event(const json::Value& value, const RequestContext& request, bool system, Batch& batch,
                   std::span<const ContextAddition> context = {});
  enum class Rivals { refused, kept };
  Status find_repeats(Batch& batch, Rivals rivals = Rivals::refused) const;

  trail::Log& log_;
  trail::Stream& stream_;
  const KindRegistry& kinds_;
  platform::Clock& clock_;
  const ServerContext server_;
  const Preprocessors preprocessors_;
  EntrySealer sealer_;
  const ImportIds import_ids_;
  const CaptureIds capture_ids_;
  vault::Vault& vault_;
  std::unique_ptr<Order> order_;
};

}  // namespace vestige::audit
