// Brings the tables of a database up to what this program needs.
#pragma once

#include <span>
#include <string>

#include "platform/clock.h"
#include "state/database.h"

namespace vestige::state {

// The steps of this module's own tables.
std::span<const Migration> own_migrations();

// Applies the steps of `migrations` that the database lacks, in their order. `file` is for messages.
Status migrate(Database& database, std::span<const Migration> migrations, platform::Clock& clock,
               const std::string& file);

}  // namespace vestige::state
