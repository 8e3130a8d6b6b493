// Every bound of this module that an operator does not set (those are in ServerOptions and ClientOptions).
#pragma once

#include <chrono>
#include <cstddef>

namespace vestige::http::limits {

inline constexpr std::size_t read_bytes_header = 8 << 10;  // offered to a read while a header is awaited
inline constexpr std::size_t read_bytes_body = 64 << 10;   // and while a longer body is
inline constexpr std::size_t body_reserve_bytes_max = 256 << 10;  // allocated on the word of Content-Length
inline constexpr std::size_t chunk_line_bytes_max = 1 << 10;      // a chunk's size with its extensions
inline constexpr std::size_t trailer_bytes_max = 8 << 10;         // after the last chunk; read and dropped
inline constexpr std::size_t inflate_step_bytes = 32 << 10;       // decompressed at a time

// An answer's body up to this counts as part of its connection, of which there are connections_max.
inline constexpr std::size_t answer_bytes_uncounted = 16 << 10;

inline constexpr int zstd_window_log_max = 23;  // 8 MiB, what RFC 8878 asks every decoder to support

inline constexpr std::size_t turned_away_max = 64;  // connections past connections_max being told so at once
inline constexpr std::size_t linger_bytes_max =
    64 << 20;  // read and dropped after a refusal, so that it arrives
inline constexpr std::chrono::seconds linger_timeout{2};
inline constexpr std::chrono::milliseconds sweep_period{200};  // how late a timeout may be noticed
inline constexpr std::chrono::milliseconds accept_pause{100};  // after accept failed for want of descriptors
inline constexpr std::chrono::seconds abort_timeout{5};        // for aborted connections to unwind in stop()
inline constexpr int listen_backlog = 1024;

}  // namespace vestige::http::limits
