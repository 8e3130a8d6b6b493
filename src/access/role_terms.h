// What the policy asks of whoever is given a role, beside that the role is there: to have an end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/strong.h"

namespace vestige::access {

struct RoleTerms {
  std::optional<std::uint32_t> ends_within_days{};
};

// What the policy of a tenant says of a role; nothing where it has none of this name.
using TermsOfRole = std::function<std::optional<RoleTerms>(std::string_view tenant, std::string_view role)>;

// invalid, at `path`, where whoever has the role has to have an end and `end` is none or too late; `how` says
// how it is given.
Status check_end(std::string_view role, const RoleTerms& terms, std::optional<UnixMs> end, UnixMs now,
                 std::string_view path, std::string_view how);

}  // namespace vestige::access
