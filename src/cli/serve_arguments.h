// What an operator may set about `vestige serve`, with its defaults. Filled by configuration.h; each module
// checks what belongs to it once more when it is built.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "access/oidc/configuration.h"
#include "sources/kafka/configuration.h"
#include "sources/postgres/configuration.h"

namespace vestige::cli {

struct ServeArguments {
  std::string data = "./var";
  std::uint16_t port = 8080;
  std::string listen = "127.0.0.1";
  std::string origin{};           // prefix of the streams' origins; empty: the host name
  std::string vault_dir{};        // empty: "vault" in the data directory
  std::string signer_dir{};       // empty: "signer" in the data directory
  std::string trusted_proxies{};  // ranges of addresses between commas
  std::string public_url{};       // as browsers reach the server; empty: where it listens
  std::string tls_certificate{};
  std::string tls_key{};
  std::string root_key_command{};
  std::string root_key_environment{};
  std::string node{};  // empty: the host name
  std::string server_location{};
  std::string location_database{};  // a MaxMind DB file; empty: no locations are added
  std::string log_format = "text";  // or "json"
  std::uint64_t connections_max = 1'024;
  std::uint64_t body_bytes_max = std::uint64_t{16} << 20;
  std::uint64_t wal_bytes_max = std::uint64_t{1} << 30;
  std::uint64_t head_bytes_max = std::uint64_t{256} << 20;
  std::uint64_t disk_reserve_bytes = std::uint64_t{64} << 20;
  std::uint64_t segment_rows_max = 524'288;
  std::uint64_t segment_bytes_max = std::uint64_t{64} << 20;
  std::uint64_t page_cache_bytes_max = std::uint64_t{32} << 20;
  std::uint64_t vault_backup_days = 30;
  // Of the file only.
  std::vector<access::oidc::Configuration> sso{};
  std::vector<sources::postgres::Configuration> capture_postgres{};
  std::vector<sources::kafka::Configuration> capture_kafka{};
};

}  // namespace vestige::cli
