#include <soci/soci.h>

#include "state/sequence.h"

namespace vestige::state {

std::int64_t next_in_sequence(Transaction& transaction, std::string_view name) {
  const std::string named(name);
  long long number = 0;
  transaction.sql() << "INSERT INTO state_sequences (name, last_number) VALUES (:name, 1) "
                       "ON CONFLICT (name) DO UPDATE SET last_number = state_sequences.last_number + 1 "
                       "RETURNING last_number",
      soci::use(named), soci::into(number);
  return number;
}

}  // namespace vestige::state
