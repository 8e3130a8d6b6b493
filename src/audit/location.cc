#include "audit/location.h"

#include <fmt/format.h>
#include <maxminddb.h>

#include <algorithm>

#include "base/encoding.h"
#include "json/json.h"

namespace vestige::audit {
namespace {

constexpr std::size_t address_bytes_max = 64;

// A string of the record, by its path; empty where it has none.
template <typename... Path>
std::string_view text_at(MMDB_entry_s& entry, Path... path) {
  MMDB_entry_data_s data;
  const int status = MMDB_get_value(&entry, &data, path..., nullptr);
  if (status != MMDB_SUCCESS || !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING) return {};
  const std::string_view text(data.utf8_string, data.data_size);
  return is_utf8(text) ? text : std::string_view();
}

// The resolver also reads 10.1.2, 10 and 0x0a010203 as addresses; a client that sends such a text means
// something else.
bool is_whole(std::string_view address) {
  if (address.find(':') != std::string_view::npos) return true;
  return std::ranges::count(address, '.') == 3 &&
         address.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

struct LocationDatabase::State {
  MMDB_s database{};
  bool open = false;
  ~State() {
    if (open) MMDB_close(&database);
  }
};

LocationDatabase::LocationDatabase(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocationDatabase::~LocationDatabase() = default;

Result<std::unique_ptr<LocationDatabase>> LocationDatabase::open(const std::string& path) {
  auto state = std::make_unique<State>();
  if (const int status = MMDB_open(path.c_str(), MMDB_MODE_MMAP, &state->database); status != MMDB_SUCCESS)
    return fail(ErrorKind::invalid,
                fmt::format("the location database {} cannot be used: {}. Give a file in MaxMind DB "
                            "format, or none",
                            path, MMDB_strerror(status)));
  state->open = true;
  return std::unique_ptr<LocationDatabase>(new LocationDatabase(std::move(state)));
}

std::optional<std::string> LocationDatabase::locate(std::string_view address) const {
  if (address.empty() || address.size() > address_bytes_max || !is_whole(address)) return std::nullopt;
  int no_address = 0;
  int status = MMDB_SUCCESS;
  auto found = MMDB_lookup_string(&state_->database, std::string(address).c_str(), &no_address, &status);
  if (no_address != 0 || status != MMDB_SUCCESS || !found.found_entry) return std::nullopt;
  const auto city = text_at(found.entry, "city", "names", "en");
  const auto country = text_at(found.entry, "country", "iso_code");
  std::string json;
  for (const auto& [name, value] : {std::pair{"city", city}, std::pair{"country", country}}) {
    if (value.empty()) continue;
    json.push_back(json.empty() ? '{' : ',');
    json::append_quoted(json, name);
    json.push_back(':');
    json::append_quoted(json, value);
  }
  if (json.empty()) return std::nullopt;
  json.push_back('}');
  return json;
}

}  // namespace vestige::audit
