// Every bound of the capture from PostgreSQL, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace vestige::sources::postgres::limits {

// Of one transaction's messages in memory; past it they go to a file, encrypted, until the transaction ends.
inline constexpr std::size_t spool_memory_bytes_max = 4 << 20;
inline constexpr std::size_t spool_chunk_bytes = 256 << 10;
// PostgreSQL sends a large transaction in pieces, and may have several under way.
inline constexpr std::size_t transactions_open_max = 1'024;

// Rows that go into the trail as one group, of one transaction or of several.
inline constexpr std::size_t batch_rows_max = 1'000;
inline constexpr std::size_t batch_bytes_max = 4 << 20;

inline constexpr std::size_t snapshot_rows_at_once = 500;
inline constexpr std::size_t tables_max = 1'000;
inline constexpr std::size_t sources_max = 64;

inline constexpr std::chrono::milliseconds receive_patience{100};
inline constexpr std::chrono::seconds status_period{5};  // between words to PostgreSQL that we are there
inline constexpr std::chrono::seconds look_period{10};   // between looks at the slot
inline constexpr std::uint64_t lag_bytes_warned = std::uint64_t{1} << 30;
inline constexpr std::chrono::seconds warn_period{600};
inline constexpr std::chrono::seconds drop_patience{10};      // for PostgreSQL to notice that we left
inline constexpr std::chrono::minutes covered_period{10};     // between entries COVERED
inline constexpr std::chrono::milliseconds retry_first{500};  // after an error, doubled up to the last
inline constexpr std::chrono::milliseconds retry_last{30'000};

}  // namespace vestige::sources::postgres::limits
