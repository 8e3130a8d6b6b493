// What a crash left on the disk, told from the file names and the WAL's frames before recovery touches them.
// Crash tests count these, so that a rare state is known to have been recovered from.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "platform/sim/sim_files.h"

namespace vestige::trail::testing {

// Names of states to how often each was met.
class Probes {
 public:
  void hit(const std::string& name, std::uint64_t times = 1) { counts_[name] += times; }
  std::uint64_t count(const std::string& name) const;
  void print() const;

 private:
  std::map<std::string, std::uint64_t> counts_;
};

// Looks at the data directory as it is and counts every state it finds.
void inspect_scene(const platform::sim::SimDisk& disk, Probes& probes);

}  // namespace vestige::trail::testing
