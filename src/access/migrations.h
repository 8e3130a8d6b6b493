// The tables of this module, step by step, for state::Database::open(). Formats: docs/formats/accounts.md.
#pragma once

#include <span>

#include "state/database.h"

namespace vestige::access {

std::span<const state::Migration> migrations();

}  // namespace vestige::access
