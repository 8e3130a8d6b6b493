#include "access/failures.h"

#include <fmt/format.h>

#include "access/internal/facts.h"
#include "access/limits.h"

namespace vestige::access {

bool Failures::may_tell(const Kind& kind) {
  Lock lock(mutex_);
  const auto now = clock_.monotonic();
  auto& minute = minutes_.try_emplace(kind, Minute{.began = now}).first->second;
  if (now - minute.began >= std::chrono::minutes(1)) {
    minute.began = now;
    minute.told = 0;
  }
  if (minute.told >= limits::failure_events_per_minute_max) {
    ++minute.counted;
    return false;
  }
  ++minute.told;
  return true;
}

Status Failures::tell(const Refusal& refusal, const std::function<Status(state::Transaction&)>& also) {
  if (!may_tell({refusal.tenant, std::string(refusal.event_type)}) && !refusal.always) return {};
  const bool locked = !refusal.response.empty();
  auto event = to_json({.kind = "access.security",
                        .action = locked ? "LOCKED" : "FAILED",
                        .time = clock_.now(),
                        .target_id = refusal.target_id,
                        .target_type = refusal.target_type,
                        .subject = refusal.subject,
                        .client = refusal.client,
                        .detail = {{.name = "event_type", .value = std::string(refusal.event_type)},
                                   {.name = "severity", .value = std::string(refusal.severity)},
                                   {.name = "details", .value = refusal.why},
                                   {.name = "response", .value = refusal.response}}});
  return database_.write([&](state::Transaction& transaction) -> Status {
    if (also) VESTIGE_CHECKED(also(transaction));
    const auto added = outbox_.add(transaction, refusal.tenant, access_stream, std::move(event));
    if (!added) return std::unexpected(added.error());
    return {};
  });
}

Status Failures::sweep() {
  std::map<Kind, std::uint64_t> sums;
  {
    Lock lock(mutex_);
    const auto now = clock_.monotonic();
    for (auto at = minutes_.begin(); at != minutes_.end();) {
      auto& [kind, minute] = *at;
      const bool over = now - minute.began >= std::chrono::minutes(1);
      if (over && minute.counted > 0) sums[kind] = minute.counted;
      at = over && minute.counted == 0 ? minutes_.erase(at) : std::next(at);
    }
  }
  for (const auto& [kind, count] : sums) {
    const auto& [tenant, event_type] = kind;
    VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
      const auto added = outbox_.add(
          transaction, tenant, access_stream,
          to_json(
              {.kind = "access.security",
               .action = "COUNTED",
               .time = clock_.now(),
               .target_id = tenant,
               .target_type = "TENANT",
               .detail = {{.name = "event_type", .value = event_type},
                          {.name = "severity", .value = "high"},
                          {.name = "details",
                           .value = fmt::format("{} more were counted and not told one by one", count)}}}));
      if (!added) return std::unexpected(added.error());
      return {};
    }));
    Lock lock(mutex_);
    minutes_[kind].counted -= count;
  }
  return {};
}

}  // namespace vestige::access
