#include "sources/postgres/progress.h"

#include <fmt/format.h>

#include "json/json.h"

namespace vestige::sources::postgres {

std::string member(std::string_view name, std::string_view text) {
  std::string out = fmt::format("\"{}\":", name);
  json::append_quoted(out, text);
  return out;
}

std::string member(std::string_view name, std::uint64_t number) {
  return fmt::format("\"{}\":{}", name, number);
}

std::string Place::origin() const {
  return gaps == 0 ? std::to_string(system) : fmt::format("{}.{}", system, gaps);
}

Progress::Progress(trail::Log& log, audit::TenantTrail& trail, std::string source)
    : log_(log), trail_(trail), source_(std::move(source)) {}

std::string Progress::mark(std::string_view what) const {
  return fmt::format("capture.{}{}{}", source_, what.empty() ? "" : ".", what);
}

std::optional<Place> Progress::place() const {
  const auto stream = trail_.stream().number();
  const auto lsn = log_.mark(stream, mark(""));
  const auto system = log_.mark(stream, mark("system"));
  if (!lsn || !system) return std::nullopt;
  const auto count = [&](std::string_view of) { return log_.mark(stream, mark(of)).value_or(0); };
  return Place{.system = *system,
               .lsn = Lsn{*lsn},
               .transactions = count("transactions"),
               .rows = count("rows"),
               .unattributed = count("unattributed"),
               .gaps = count("gaps")};
}

std::optional<Lsn> Progress::covered() const {
  const auto lsn = log_.mark(trail_.stream().number(), mark("covered"));
  return lsn ? std::optional(Lsn{*lsn}) : std::nullopt;
}

Result<std::optional<SnapshotView>> Progress::snapshot() const {
  const auto place = log_.mark(trail_.stream().number(), mark("snapshot"));
  if (!place || *place == 0) return std::optional<SnapshotView>{};
  VESTIGE_TRY(const auto record, trail_.stream().snapshot().read(*place - 1));
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(record.entry, document));
  const auto detail = document.root().find("detail");
  const auto text_in = [&](std::string_view name) {
    const auto value = detail.find(name);
    return value.is_string() ? std::string(value.string()) : std::string();
  };
  VESTIGE_TRY(auto view, SnapshotView::parse(text_in("snapshot"), parse_lsn(text_in("at")).value_or(Lsn{})));
  return std::optional(std::move(view));
}

void Progress::set_place(trail::Placement& placement, const Place& place) const {
  placement.set_mark(mark(""), place.lsn.value);
  placement.set_mark(mark("system"), place.system);
  placement.set_mark(mark("transactions"), place.transactions);
  placement.set_mark(mark("rows"), place.rows);
  placement.set_mark(mark("unattributed"), place.unattributed);
  placement.set_mark(mark("gaps"), place.gaps);
}

Status Progress::append(audit::Batch batch,
                        std::function<void(trail::Placement&, const audit::BatchOutcome&)> placed) {
  batch.placed = std::move(placed);
  const auto outcome = trail_.append(trail_.ingest(), std::move(batch));
  return outcome ? Status{} : std::unexpected(outcome.error());
}

Status Progress::add_rows(std::span<const audit::CapturedEvent> rows, std::optional<Place> upto) {
  audit::Batch batch;
  if (!rows.empty()) {
    VESTIGE_TRY(batch, trail_.ingest().prepare_captured(source_, rows));
  }
  return append(std::move(batch), [this, upto](trail::Placement& placement, const audit::BatchOutcome&) {
    if (upto) set_place(placement, *upto);
  });
}

Status Progress::add_rows_of(audit::TenantTrail& other, std::span<const audit::CapturedEvent> rows) {
  VESTIGE_TRY(auto batch, other.ingest().prepare_captured(source_, rows));
  const auto outcome = other.append(other.ingest(), std::move(batch));
  return outcome ? Status{} : std::unexpected(outcome.error());
}

Result<audit::Batch> Progress::entry(std::string_view action, const std::string& database,
                                     const std::vector<std::string>& detail, const Place& place) const {
  std::string members = member("capture", source_) + ',' + member("system", std::to_string(place.system)) +
                        ',' + member("database", database);
  for (const auto& each : detail) members += ',' + each;
  return trail_.ingest().prepare_system(fmt::format(
      R"({{"kind":"system.capture","action":"{}","sourceType":"SERVER","targetType":"CAPTURE",{},)"
      R"("detail":{{{}}}}})",
      action, member("targetId", source_), members));
}

Status Progress::record(std::string_view action, const std::string& database,
                        const std::vector<std::string>& detail, const Place& place,
                        std::optional<Lsn> covered) {
  VESTIGE_TRY(auto batch, entry(action, database, detail, place));
  return append(std::move(batch),
                [this, place, covered](trail::Placement& placement, const audit::BatchOutcome&) {
                  set_place(placement, place);
                  if (covered) placement.set_mark(mark("covered"), covered->value);
                });
}

Status Progress::record_gap(const std::string& database, const std::vector<std::string>& detail,
                            const Place& place) {
  VESTIGE_TRY(auto batch, entry("GAP", database, detail, place));
  return append(std::move(batch), [this, place](trail::Placement& placement, const audit::BatchOutcome&) {
    set_place(placement, place);
    placement.set_mark(mark("covered"), place.lsn.value);
    placement.set_mark(mark("snapshot"), 0);
  });
}

bool Progress::owes_snapshot() const {
  return log_.mark(trail_.stream().number(), mark("snapshot")) == std::uint64_t{0};
}

Status Progress::record_snapshot(const std::string& database, const std::vector<std::string>& detail,
                                 const Place& place) {
  VESTIGE_TRY(auto batch, entry("SNAPSHOT_TAKEN", database, detail, place));
  return append(std::move(batch),
                [this, place](trail::Placement& placement, const audit::BatchOutcome& outcome) {
                  set_place(placement, place);
                  placement.set_mark(mark("snapshot"), outcome.events.front().index + 1);
                });
}

}  // namespace vestige::sources::postgres
