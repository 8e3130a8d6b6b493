// How a foreign record becomes an event: which path gives which member. The tables that are shipped
// (mappings/*.toml) and the operator's own files have one form: docs/operating/import.md, "Mapping files".
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace vestige::cli::importing {

inline constexpr std::size_t mapping_bytes_max = 1 << 20;
inline constexpr std::size_t mapping_rules_max = 1'000;  // of one kind, in one file
inline constexpr std::string_view unrecognised_action = "UNRECOGNISED";

// The members whose share an import reports.
enum class Reported : std::size_t { action, actor, target, time, ip, count };
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Reported::count)> reported_names = {
    "action", "actor", "target", "time", "ip"};

struct MappedEvent {
  std::string json;  // an event without id, and without the record
  std::array<bool, static_cast<std::size_t>(Reported::count)> has{};
  std::string action;
  bool action_is_known = true;         // the table says which kind it is
  bool cut = false;                    // an id or word was longer than an event may have
  std::vector<std::string_view> used;  // top-level members of the record that went into the event
};

// Immutable; thread-safe.
class Mapping {
 public:
  // TOML, or JSON where it begins with a brace. `base` is what the file's `extends` names. invalid with the
  // name of the rule that is wrong.
  using FindBase = const Mapping* (*)(const void* from, std::string_view name);
  static Result<Mapping> read(std::string_view text, std::string_view file, const void* bases = nullptr,
                              FindBase find_base = nullptr);
  Mapping();
  ~Mapping();
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;

  const std::string& name() const;
  // The member of an object around the records; empty where those that are known count.
  const std::string& array_name() const;
  // Whether one of the sets of paths in `recognise` is there. False where the mapping has none.
  bool recognises(const json::Value& record) const;
  // The member in which the event stands (an object, or a string that holds one as JSON), where the mapping
  // names one and the record has it.
  json::Value inside(const json::Value& record, std::string_view* first) const;
  // `changes`: an array that is known already and counts in the place of what the mapping says of changes;
  // empty where it is not.
  MappedEvent map(const json::Value& record, std::string_view changes = {}) const;

  struct Rules;  // internal/rules.h

 private:
  std::unique_ptr<Rules> rules_;
};

class Catalogue;
// The event that an operator's own mapping makes of a record, or of what it says stands inside of it.
// Thread-safe.
std::string map_record(const Catalogue& catalogue, const Mapping& own, const json::Value& record);

// The mappings that this build ships, by name.
class Catalogue {
 public:
  static Result<Catalogue> load();
  static std::vector<std::string> names();

  const Mapping* find(std::string_view name) const;
  // The first that recognises the record; null where none does.
  const Mapping* recognise(const json::Value& record) const;
  // Takes members by their names; for records of which nothing is known.
  const Mapping& guesses() const;

 private:
  std::map<std::string, Mapping, std::less<>> mappings_;
};

}  // namespace vestige::cli::importing
