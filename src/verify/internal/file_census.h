// Accounts for every file by name: ours, a left-over of an interrupted write, or nobody's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "verify/internal/problems.h"
#include "verify/internal/scope.h"
#include "verify/internal/wal_check.h"

namespace vestige::verify {

struct Census {
  const Scope& scope;
  const WalOutcome& wal;
  // Entries known of each stream; a segment that ends past it is no left-over of sealing, since what is being
  // sealed is in the write-ahead log. Empty where that log could not be read.
  std::map<std::uint8_t, std::uint64_t> sizes;
  Problems& problems;
  std::vector<std::string>& left_overs;

  void count_data();
  void count_signer(platform::FileSystem& signer);

 private:
  void foreign(std::string path, std::string_view why);
  void count_wal();
  void count_streams();
  void count_stream(const trail::StreamRecord& stream);
  void count_stream_file(const trail::StreamRecord& stream, const std::string& directory,
                         const std::string& name);
  void count_unknown(platform::FileSystem& files, const std::vector<std::string>& paths,
                     std::string_view prefix);
  // Names in `directory` of `files`; sub-directories that are not wanted are nobody's.
  std::vector<std::string> names(platform::FileSystem& files, const std::string& directory,
                                 const std::vector<std::string>& directories, std::string_view prefix);
};

// Checks the containers of a vault without keys, and its names.
void check_vault_containers(platform::FileSystem& vault, bool while_running, Problems& problems,
                            std::vector<std::string>& left_overs);

}  // namespace vestige::verify
