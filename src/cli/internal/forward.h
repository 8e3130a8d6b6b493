// `vestige forward kafka`: the entries of a trail onto a topic, each as the API gives it, in their order and
// at least once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/internal/connection.h"
#include "sources/kafka/configuration.h"

namespace vestige::cli {

struct ForwardArguments {
  ConnectionArguments connection{};
  std::string brokers{};
  std::string topic{};
  std::string cursor{};                 // empty: forward.TOPIC
  std::vector<std::string> options{};   // NAME=VALUE of librdkafka
  std::string options_file{};           // the same, a line each
  std::string query{};                  // only what it finds; empty: everything
  std::optional<std::uint64_t> from{};  // where to begin as long as the cursor was never saved; nothing: 0
  std::uint64_t count = 0;              // end after so many; 0: follow
  bool skip_too_large = false;
};

inline constexpr std::size_t options_file_bytes_max = 64 << 10;
inline constexpr std::size_t cursor_name_bytes_max = 64;
inline constexpr std::chrono::seconds cursor_save_period{1};
inline constexpr std::chrono::milliseconds forward_pause_min{250};  // between tries to reach the server
inline constexpr std::chrono::milliseconds forward_pause_max{30'000};
inline constexpr std::chrono::seconds flush_patience{10};  // of a stop, for what is not acknowledged yet

// How it is told to end: with what was sent acknowledged and the cursor saved, or just so.
enum class Ending { not_yet, in_order, at_once };

// Options of file and command line together; the latter outrank. No message has a value in it.
Result<sources::kafka::Cluster> cluster_of(const ForwardArguments& arguments);
Result<std::string> cursor_of(const ForwardArguments& arguments);

// Until `ending` says so. The exit code.
int forward(const ForwardArguments& arguments, Surroundings& surroundings,
            const std::function<Ending()>& ending);
// The same until SIGINT or SIGTERM; a second one ends it at once.
int run_forward_kafka(const ForwardArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
