// Rows of the table `versions`, in which ExAudit, a library of Elixir, keeps what became of the rows of other
// tables: as psql's \copy writes them, the patch in hex. A mapping makes the event (mappings/exaudit.toml),
// but for its changes, which are in the patch, a term of Erlang.
//
// A version tells of the columns that changed. Of a column that is a map, a list or a struct it tells only
// what changed inside. So the whole value before and after is not in it, and is not made up: not every change
// has a version (update_all, SQL), so what an earlier one said may be long past. Such a change is one of a
// place, COLUMN#POINTER: "fields#/village/value".
#pragma once

#include <string>

#include "base/result.h"
#include "cli/import/internal/external_term.h"
#include "json/json.h"

namespace vestige::cli::importing {

inline constexpr std::string_view exaudit_format = "exaudit";
inline constexpr std::size_t version_bytes_max = 16 << 20;    // of a row as it is exported
inline constexpr std::size_t patch_kept_bytes_max = 131'072;  // of longer ones the digest is kept
inline constexpr std::size_t changes_bytes_max = 600'000;  // of an event; with the patch less than its 1 MiB
inline constexpr std::size_t place_bytes_max = 4'096;      // of its name

struct Version {
  // The columns that ExAudit itself writes, canonical. They never change, so that importing the row again
  // adds nothing even where another column does: that of a user who was deleted becomes null.
  std::string record;
  // What mappings read: the row, and beside it
  //   table             "public.contacts"
  //   entity            the entity's id under the name of its table, {"contacts": "4"}
  //   columns           those that ExAudit does not write itself
  //   attribution       "none" where there is no user_id
  //   rolled_back       true where the version is part of a rollback
  //   changes_left_out  how many changes an event could not hold
  std::string view;
  std::string changes{};  // an array as an event has it; empty where nothing changed
};

// Of them those that are in an event before a mapping is asked, or are there for mappings alone.
inline constexpr std::string_view version_members_used[] = {"changes_left_out", "columns", "entity",
                                                            "entity_schema",    "patch",   "rollback"};

// Pure. invalid or exhausted with what is wrong, as part of a sentence.
Result<Version> read_version(const json::Value& row);

struct PatchChanges {
  std::string json;          // the array
  std::size_t left_out = 0;  // changes that it has no room for, or whose place has too long a name
};
// What a patch of ExAudit's says, in the order of names. Elements of lists that went come last, the last one
// first: so the elements can be applied one after the other.
Result<PatchChanges> changes_of_patch(const Term& patch);

}  // namespace vestige::cli::importing
