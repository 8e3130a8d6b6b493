// Every bound of the module, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace vestige::state::limits {

// The file of the database; unavailable past it, so that state never fills the disk that the trail needs.
inline constexpr std::uint64_t database_bytes_max = std::uint64_t{16} << 30;
// How long a statement waits for another process (a backup) before it is unavailable.
inline constexpr std::chrono::milliseconds busy_wait{5'000};
inline constexpr std::size_t readers_max = 64;

// The write-ahead log is cut to this when it is begun anew; it is longer while a reader keeps it from that.
inline constexpr std::uint64_t log_bytes_kept = std::uint64_t{16} << 20;

// A database with more in it than this is purged by way of a temporary file, a smaller one in memory.
inline constexpr std::uint64_t purge_in_memory_bytes_max = std::uint64_t{64} << 20;

// An event that waits, as JSON: what the trail takes of one, less room for the id that it gets on the way.
inline constexpr std::size_t event_bytes_max = 1'048'576 - 1'024;
// Names of tenants and streams, in bytes.
inline constexpr std::size_t name_bytes_max = 255;
// Events of one stream that may wait. Past it the change that an event tells of is refused: what could not be
// put on record does not happen.
inline constexpr std::uint64_t waiting_max = 1'000'000;
// Events set aside as invalid. Past it their streams wait until somebody has looked.
inline constexpr std::uint64_t refused_max = 10'000;
// Callers that wait for their event to be relayed.
inline constexpr std::size_t waiters_max = 4'096;
// Rows that are decrypted at a time where all that wait are looked through.
inline constexpr std::size_t look_through_rows = 256;

inline constexpr std::chrono::milliseconds lease_max{300'000};

// RFC 5321 §4.5.3.1: a path has 256 characters, two of which are its brackets.
inline constexpr std::size_t email_bytes_max = 254;
inline constexpr std::size_t email_local_bytes_max = 64;
// ITU-T E.164 §6: at most 15 digits with the country code. It names no minimum; the shortest in use have 7.
inline constexpr std::size_t phone_digits_min = 7;
inline constexpr std::size_t phone_digits_max = 15;

}  // namespace vestige::state::limits
