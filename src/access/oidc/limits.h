// Every bound of signing in by OpenID Connect that an operator does not set.
#pragma once

#include <chrono>
#include <cstddef>

namespace vestige::access::oidc::limits {

// Configuration.
inline constexpr std::size_t providers_max = 16;
inline constexpr std::size_t provider_name_max = 32;  // characters
inline constexpr std::size_t client_id_bytes_max = 512;
inline constexpr std::size_t client_secret_bytes_max = 1024;
inline constexpr std::size_t address_bytes_max = 2048;  // of any URL
inline constexpr std::size_t mapped_groups_max = 1000;
inline constexpr std::size_t scopes_max = 32;

// What a provider says.
inline constexpr std::size_t document_bytes_max = 512 << 10;  // discovery, keys, answers
inline constexpr unsigned document_depth_max = 16;
inline constexpr std::size_t keys_max = 64;
inline constexpr std::size_t key_id_bytes_max = 256;
inline constexpr std::size_t token_bytes_max = 64 << 10;  // an ID token with its groups
inline constexpr std::size_t token_header_bytes_max = 8 << 10;
inline constexpr std::size_t access_token_bytes_max = 64 << 10;
inline constexpr std::size_t audiences_max = 32;
inline constexpr std::size_t groups_max = 2000;          // of one person
inline constexpr std::size_t subject_bytes_max = 255;    // OpenID Connect Core §2; also of the customer's id
inline constexpr std::size_t text_bytes_max = 320;       // of a name or an email address
inline constexpr std::chrono::seconds clock_leeway{60};  // by which the provider's clock may differ from ours

// Asking a provider.
inline constexpr int stall_seconds_max = 5;  // without progress
inline constexpr int ask_seconds_max = 10;   // for one question as a whole
inline constexpr std::chrono::minutes discovery_lifetime{60};
inline constexpr std::chrono::minutes keys_lifetime{10};  // how long a key that was withdrawn may still pass
inline constexpr std::chrono::seconds keys_refetch_interval{30};  // for tokens that name an unknown key
inline constexpr std::chrono::seconds failure_lifetime{5};  // a provider that is down is asked again after it

// Logins that were begun and not completed.
inline constexpr std::size_t pending_max = 16'384;  // 8 to 25 MiB, by the length of return_to
inline constexpr std::chrono::minutes login_lifetime{10};
inline constexpr std::size_t return_to_bytes_max = 1024;
inline constexpr std::size_t code_bytes_max = 8 << 10;

}  // namespace vestige::access::oidc::limits
