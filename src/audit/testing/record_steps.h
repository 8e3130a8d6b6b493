// Random steps of records, made from the kinds' schemas, so that every field of every kind is met.
#pragma once

#include <string>
#include <vector>

#include "audit/kinds.h"
#include "audit/records.h"
#include "audit/testing/random_events.h"
#include "audit/testing/tree.h"

namespace vestige::audit::testing {

// A value that fits the schema. `sealed` gets the texts below an x-personal, `clear` the other long ones.
class ValueMaker {
 public:
  explicit ValueMaker(Random& random) : random_(random) {}
  Tree value(const SchemaNode& node, bool personal = false);

  std::vector<std::string> sealed;
  std::vector<std::string> clear;

 private:
  Tree object(const SchemaNode& node, bool personal);
  Tree text(const SchemaNode& node, bool personal);

  Random& random_;
};

// A step of a record type with this id as its target, as a client would send it: an event with an id and a
// time of its own.
Tree random_step(Random& random, const RecordType& type, const KindRegistry& kinds, const std::string& id,
                 UnixMs time, ValueMaker& maker);

// The event as readers would see it at this index, without anything sealed.
Step step_of(const Tree& event, std::uint64_t index);

}  // namespace vestige::audit::testing
