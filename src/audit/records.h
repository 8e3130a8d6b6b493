// Records: what the steps of one ticket, order, email or session amount to. A record type is a table; one
// engine folds all of them, in the order in which things happened, however the steps arrived.
//
// - A step's detail is merged into the record, objects member by member; the last step that sets a field
// wins.
// - A list gathers one element a step, from a member of the detail that is a step of that list.
// - A rule fills in a field that no step says, from the event around the detail.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "audit/gather.h"

namespace vestige::audit {

// Paths are names with '/' between them: in the event ("detail/event_type", "time"), or in the record.
struct Rule {
  enum class Take : std::uint8_t { first, last };
  std::string_view to;    // in the record, or in the element of a list
  std::string_view from;  // in the event; "=text" is that text
  Take take = Take::first;
  std::string_view when{};    // only of steps where this is there; empty: of any
  std::string_view equals{};  // and is this text; empty: any value
  // Of a list of objects: what their members are called in the record.
  struct Name {
    std::string_view from;
    std::string_view to;
  };
  std::span<const Name> names{};
};

struct RecordList {
  std::string_view to;
  std::string_view when;                          // a step adds an element where this is there; empty: always
  std::string_view from;                          // what the element takes over whole; empty: nothing
  std::span<const Rule> rules;                    // the first that has a value fills in what is missing
  std::string_view kind{};                        // steps of this kind only; empty: of any
  std::string_view key{};                         // elements with the same text here are one element
  std::span<const std::string_view> leave_out{};  // of the members that it would take over
};

struct RecordType {
  std::string_view name;
  std::span<const std::string_view> kinds;
  std::string_view fields_kind;  // whose detail has the fields of the record; empty: none has
  std::span<const Rule> rules;
  std::span<const RecordList> lists;
  // Members of that detail that are no fields of the record.
  std::span<const std::string_view> leave_out;
};

std::span<const RecordType> record_types();
// Null where there is no such type.
const RecordType* find_record_type(std::string_view name);

// A session of this server, from the stream `access`, with the looks in it among its activities. It is none
// of the types, for who reads `audit` may not read that stream.
const RecordType& signed_in_session();

// A JSON object: type, id, targetTypes (of the steps), record, entries (what it was folded from, in that
// order), complete, tree.
Result<std::string> fold_record(const RecordType& type, std::string_view id, const Gathered& gathered);

}  // namespace vestige::audit
