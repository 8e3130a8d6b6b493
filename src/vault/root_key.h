// Where the root key comes from. Without it nothing can be read again: the data is lost.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/entropy.h"
#include "platform/files.h"

namespace vestige::vault {

struct RootKeySource {
  // Exactly one is used, in this order: `command` (its standard output), `environment` (the name of a
  // variable), else the file "root.key" of the vault directory. Each holds base64 of 32 bytes, one line.
  std::string command;  // run as ["/bin/sh", "-c", command]
  std::string environment;
};

struct RootKey {
  Key key{};
  bool created = false;   // a new file "root.key" (0600) was written and is durable
  std::string described;  // "the file DIR/root.key", for messages
};

// Makes a new file key only where `create` is set and no vault exists yet; otherwise an absent key is
// not_found with a message that says that the data cannot be read without it.
Result<RootKey> load_root_key(platform::FileSystem& vault_files, platform::Entropy& entropy,
                              const RootKeySource& source, bool create);

}  // namespace vestige::vault
