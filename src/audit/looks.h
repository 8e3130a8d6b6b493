// Looks at the trail are events as well: who read, searched, exported or proved what, why, and what they were
// given. They are entries of the stream `access`, kind data.access, durable before the first byte of the
// answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/search/normal_form.h"
#include "audit/search/visibility.h"
#include "crypto/digest.h"
#include "vault/vault.h"

namespace vestige::audit {

struct Look {
  std::string action;       // SEARCHED, VIEWED, ...
  std::string access_type;  // view, export, print
  std::string operation;
  std::string source_type;  // of who looked: ACCOUNT, API_KEY, CUSTOMER
  std::string source_id;
  std::string source_name;
  std::string role;
  std::string ip{};
  std::string user_agent{};
  std::string session{};
  std::string target_type{};  // what was looked at, where it was one thing
  std::string target_id{};
  std::string query{};    // recorded_form()
  std::string counted{};  // counted_form()
  std::string reason{};
  std::string purpose{};
  std::string approval{};
  std::optional<std::string> person{};  // whom the look was about, where it was about one; seals the reason
  bool personal = false;                // what was not masked
  bool sensitive = false;
  std::string outcome;  // success, failure, unauthorized
  unsigned status = 0;
  GivenOut given_out{};
};

// The event, for Ingest::prepare_system() of the stream `access`.
std::string look_event(const Look& look);

// How what people asked for stands on record: what may say something of a person as a digest under a key of
// the vault. Thread-safe.
class QueryDigests {
 public:
  QueryDigests(vault::Vault& vault, std::string_view tenant);
  std::string of(std::string_view value) const;
  // The ref of a person's key; nothing where there is no key (never seen, or erased).
  std::optional<Block16> ref_of(std::string_view person) const;
  std::string recorded(const Search& search) const;
  // The id of what was looked at: as it is, or as a digest where it is that of a person.
  std::string recorded_id(std::string_view id) const;

 private:
  vault::Vault& vault_;
  const std::string tenant_;
  const crypto::HmacKey key_;
};

}  // namespace vestige::audit
