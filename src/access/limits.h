// Every bound of who may come in, in one place. What a tenant has is counted by tenant and never all
// together: nobody uses up what belongs to another, or learns by a refusal how much others have (decision
// 110).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace vestige::access::limits {

using std::chrono::milliseconds;

// Tenants.
inline constexpr std::size_t tenants_max = 127;  // with the home tenant: two streams each (decision 99)
inline constexpr std::size_t tenant_id_bytes_max = 63;
inline constexpr std::size_t tenant_name_bytes_max = 256;

// Accounts of people.
inline constexpr std::size_t accounts_max = 100'000;        // of a tenant
inline constexpr std::size_t list_max = 1'000;              // accounts or sessions in one answer
inline constexpr std::size_t accounts_ended_at_once = 256;  // in one transaction of the sweep
inline constexpr std::size_t login_name_bytes_max = 128;
inline constexpr std::size_t display_name_bytes_max = 256;
inline constexpr std::size_t email_bytes_max = 254;  // RFC 5321
inline constexpr std::size_t roles_max = 16;
inline constexpr std::size_t role_bytes_max = 64;

// Passwords (NIST SP 800-63B) and the second factor.
inline constexpr std::size_t password_characters_min = 12;
inline constexpr std::size_t password_bytes_max = 256;
inline constexpr std::size_t hashes_at_once_max =
    4;  // of 19 MiB each; whoever comes then is told to try again
inline constexpr std::uint32_t hash_memory_kib_max = 1 << 20;  // what a stored hash may ask for
inline constexpr std::uint32_t hash_passes_max = 64;
inline constexpr std::size_t recovery_codes = 10;
inline constexpr std::int64_t totp_steps_around = 1;  // a clock may be so many steps of 30 s off

// Links that are good once: the first administrator's, and those by which a password is set.
inline constexpr milliseconds one_time_link_valid = std::chrono::hours(24);

// Failures (docs/formats/accounts.md says what follows from these numbers).
inline constexpr std::uint32_t pair_failures_max = 5;       // of one account from one address
inline constexpr std::uint32_t address_failures_max = 20;   // of any accounts from one address
inline constexpr std::uint32_t account_failures_max = 100;  // of one account from anywhere
inline constexpr milliseconds first_lock = std::chrono::seconds(30);
inline constexpr milliseconds first_account_lock = std::chrono::minutes(15);
inline constexpr milliseconds lock_max = std::chrono::hours(1);
inline constexpr milliseconds account_failures_kept = std::chrono::hours(24);  // after the last one
inline constexpr milliseconds address_failures_kept = std::chrono::hours(2);
inline constexpr std::size_t tracked_pairs_max = 65'536;
inline constexpr std::size_t tracked_addresses_max = 65'536;
inline constexpr std::size_t tracked_accounts_max = 100'000;
inline constexpr std::size_t known_addresses_max =
    8;  // of one account; an account-wide lock does not bind them
inline constexpr milliseconds known_address_kept = std::chrono::hours(24 * 30);
inline constexpr std::size_t failure_events_per_minute_max = 60;  // past it they are counted

// Sessions.
inline constexpr milliseconds idle_default = std::chrono::minutes(30);
inline constexpr milliseconds absolute_default = std::chrono::hours(12);
inline constexpr std::size_t sessions_max = 100'000;       // of a tenant
inline constexpr std::size_t sessions_per_owner_max = 32;  // the one that was idle longest ends for the next
inline constexpr std::size_t user_agent_bytes_max = 512;
inline constexpr milliseconds seen_written_every = std::chrono::minutes(1);

// API keys.
inline constexpr std::size_t keys_max = 10'000;  // of a tenant
inline constexpr std::size_t key_name_bytes_max = 256;
inline constexpr std::size_t key_ranges_max = 64;
inline constexpr std::size_t keys_file_bytes_max = 16 << 20;  // of the file of before

// Links by which customers reach their own data.
inline constexpr milliseconds single_use_link_valid_max = std::chrono::hours(24 * 30);
inline constexpr milliseconds reusable_link_valid_max = std::chrono::hours(12);
inline constexpr std::size_t link_subject_bytes_max = 1'024;
inline constexpr std::size_t used_links_max = 1'000'000;  // of a tenant
inline constexpr milliseconds used_link_kept =
    std::chrono::hours(24);  // past its end: the clock may be set back

// What is presented to be let in: longer than any of ours is wrong without being looked at.
inline constexpr std::size_t token_bytes_max = 4'096;

// The policy.
inline constexpr std::size_t policy_bytes_max = 256 << 10;
inline constexpr std::size_t policy_roles_max = 64;
inline constexpr std::size_t approval_rules_max = 64;
inline constexpr std::size_t policy_text_bytes_max = 512;
inline constexpr std::size_t policy_modifications_max = 64;
inline constexpr std::uint32_t approval_minutes_max = 60 * 24 * 90;
inline constexpr std::uint32_t ends_within_days_max = 3'650;

// Approvals.
inline constexpr std::size_t approval_request_bytes_max = 64 << 10;  // kept until it is decided and used
inline constexpr std::size_t approval_reason_bytes_max = 1'024;      // the comment of a decision as well
inline constexpr std::size_t approval_words_bytes_max = 512;
inline constexpr std::size_t open_approvals_per_asker_max = 64;
inline constexpr std::size_t open_approvals_max = 5'000;  // of a tenant
inline constexpr std::size_t approvals_max = 20'000;      // with those that ended
inline constexpr std::size_t approvals_list_max = 100;    // in one answer
inline constexpr std::size_t approvals_expired_at_once = 256;
inline constexpr milliseconds ended_approvals_kept = std::chrono::hours(24 * 90);

}  // namespace vestige::access::limits
