#include <fmt/format.h>
#include <soci/soci.h>

#include "state/database.h"
#include "state/fields.h"

namespace vestige::state {
namespace {

constexpr std::string_view purpose = "state.key";

}  // namespace

Status Fields::hold_against(Database& database) const {
  return database.write([&](Transaction& transaction) -> Status {
    const std::string name = "fields";
    std::string sealed;
    transaction.sql() << "SELECT sealed FROM state_keys WHERE name = :name", soci::use(name),
        soci::into(sealed);
    if (transaction.sql().got_data()) {
      if (open(purpose, name, sealed)) return {};
      return fail(ErrorKind::denied,
                  "The state database was written with the keys of another vault: nothing encrypted in it "
                  "can be read "
                  "with this one. Start the server with the vault and root key that belong to it.");
    }
    sealed = seal(purpose, name, "");
    transaction.sql() << "INSERT INTO state_keys (name, sealed) VALUES (:name, :sealed)", soci::use(name),
        soci::use(sealed);
    return {};
  });
}

}  // namespace vestige::state
