// Every bound of the verifier, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vestige::verify::limits {

// Erasures that a report lists one by one; those beyond are in the counts.
inline constexpr std::size_t erasures_listed_max = 1'000;

inline constexpr std::size_t problems_max =
    100;  // that a report keeps; the first ones in the order of verify.h
inline constexpr std::size_t notes_max = 100;
inline constexpr unsigned threads_max = 16;

// Beside a running server, when the manifest was replaced meanwhile: passes over the data, and starts over
// after the write-ahead log; and readings of the vault when an entry brings a key that the last reading had
// not.
inline constexpr int passes_max = 3;
inline constexpr int restarts_max = 32;
inline constexpr int vault_readings_max = 16;

// Deeper than any entry that the server takes (64).
inline constexpr std::uint32_t entry_depth_max = 128;

// Of an export: a row with its cells, and how deep what stands in a line may be nested. An event of 1 MiB
// stands in it up to three times, in CSV once more, with its numbers in their longest form.
inline constexpr std::size_t export_row_bytes_max = 128 << 20;
inline constexpr std::uint32_t export_depth_max = 256;
inline constexpr std::size_t disclosure_bytes_max = 64 << 20;
// Of a report on captures, and the entries that it lists of each kind.
inline constexpr std::size_t coverage_bytes_max = 64 << 20;
inline constexpr std::uint64_t coverage_listed_max = 1'000;

inline constexpr std::size_t signer_state_bytes_max = 4'096;
inline constexpr std::size_t api_keys_max = 10'000;
inline constexpr std::size_t api_keys_bytes_max = 16 << 20;
inline constexpr std::size_t vault_file_bytes_max = std::size_t{2}
                                                    << 30;  // a full erasure journal has 1.3 GB
inline constexpr std::size_t sidecar_bytes_max = std::size_t{1} << 30;
inline constexpr std::size_t root_key_text_max = 4'096;

}  // namespace vestige::verify::limits
