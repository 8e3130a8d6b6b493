// Numbers that order rows: each is given once and a later transaction gets a higher one. Those of a
// transaction that was rolled back are given again.
#pragma once

#include <cstdint>
#include <string_view>

#include "state/database.h"

namespace vestige::state {

// The next number of the sequence `name`, from 1 on. Within a write.
std::int64_t next_in_sequence(Transaction& transaction, std::string_view name);

}  // namespace vestige::state
