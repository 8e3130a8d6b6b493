#include "access/role_terms.h"

#include <fmt/format.h>

#include "access/internal/errors.h"
#include "base/time_text.h"

namespace vestige::access {

Status check_end(std::string_view role, const RoleTerms& terms, std::optional<UnixMs> end, UnixMs now,
                 std::string_view path, std::string_view how) {
  constexpr std::int64_t day_ms = 24 * 3'600'000;
  if (!terms.ends_within_days) return {};
  const auto latest = now + *terms.ends_within_days * day_ms;
  if (end && *end <= latest) return {};
  return invalid_at(std::string(path),
                    fmt::format("whoever has the role {} has an end within {} days: {}, at the latest {}",
                                role, *terms.ends_within_days, how, format_time(latest)));
}

}  // namespace vestige::access
