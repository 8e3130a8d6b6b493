// Where an address is, by a database that the operator supplies (MaxMind DB format, such as GeoLite2-City).
// Without one, or where it does not know the address, nothing is said: a place is never guessed.
//
// Owner: app. Thread-safe. The file is mapped by libmaxminddb and must stay as it is while the server runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vestige::audit {

class LocationDatabase {
 public:
  static Result<std::unique_ptr<LocationDatabase>> open(const std::string& path);
  ~LocationDatabase();

  // Canonical JSON with what the database has of "city" and "country" (ISO 3166-1 code); empty where it has
  // neither, or where the text is no address.
  std::optional<std::string> locate(std::string_view address) const;

 private:
  struct State;
  explicit LocationDatabase(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vestige::audit
