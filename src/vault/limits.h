// Every bound of the vault, in one place. docs/formats/vault.md repeats those that a file is checked by.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vestige::vault::limits {

inline constexpr std::size_t page_slots_max = 512;
inline constexpr std::size_t pages_max = 65'536;
inline constexpr std::uint64_t subjects_max = std::uint64_t{pages_max} * page_slots_max;  // 33,554,432
inline constexpr std::size_t retention_keys_max = 65'536;
inline constexpr std::size_t kept_keys_max = 65'536;

// New subjects that may wait for a sync; the next owner_of() of a new subject syncs first.
inline constexpr std::uint64_t unsynced_subjects_max = 65'536;

// Draws of a new ref before the entropy source is held to repeat itself.
inline constexpr int ref_draws_max = 64;

// What a root key file, variable or command may hold, in bytes.
inline constexpr std::size_t root_key_text_max = 4'096;

// Times that a reader beside a running server starts over because a newer top table was written.
inline constexpr int image_attempts_max = 16;

// Erasures that one journal can hold; bounds what a reader takes into memory (1.3 GB).
inline constexpr std::uint64_t journal_records_max = 8'388'608;

}  // namespace vestige::vault::limits
