// API keys: who may call, and for what. Kept hashed in one small file until accounts get a database of
// their own. Format: docs/formats/keys.md.
//
// Owner: app. Thread-safe. Durable when create() or revoke() returns success.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/api_scope.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/uuid.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"

namespace vestige::api {

using access::Scope;
using access::Scopes;

struct ApiKey {
  Uuid id;
  std::string name;
  std::string tenant;
  Scopes scopes;
  UnixMs created{};
};

inline constexpr std::size_t keys_max = 10'000;
inline constexpr std::size_t key_name_bytes_max = 256;
inline constexpr std::string_view keys_file_name = "api-keys";

class ApiKeys {
 public:
  static Result<std::unique_ptr<ApiKeys>> open(platform::FileSystem& files, platform::Entropy& entropy);

  struct Created {
    ApiKey about;
    std::string key;  // shown once, never stored
  };
  // Makes a key without storing it; add() stores it. In between, its making is put on record.
  Result<Created> make(std::string_view name, Scopes scopes, std::string_view tenant, UnixMs now);
  Status add(const Created& created);
  Status revoke(const Uuid& id);  // not_found where there is none

  std::optional<ApiKey> find(const Uuid& id) const;
  std::vector<ApiKey> list() const;  // by time of making
  // The key that was presented; empty where there is none such. Takes the same time for every wrong key.
  std::optional<ApiKey> authenticate(std::string_view presented) const;

 private:
  ApiKeys(platform::FileSystem& files, platform::Entropy& entropy) : files_(files), entropy_(entropy) {}
  struct Stored {
    ApiKey about;
    Hash digest;
  };
  Status write(const std::vector<Stored>& keys) REQUIRES(mutex_);

  platform::FileSystem& files_;
  platform::Entropy& entropy_;
  mutable Mutex mutex_;
  std::vector<Stored> keys_ GUARDED_BY(mutex_);
};

}  // namespace vestige::api
