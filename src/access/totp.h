// Time-based one-time passwords (RFC 6238 over RFC 4226): HMAC-SHA-1, steps of 30 seconds, 6 digits, which is
// what every authenticator application understands. Pure; that a step is used once is the account's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/strong.h"

namespace vestige::access {

inline constexpr std::size_t totp_secret_bytes = 20;  // RFC 4226 §4 recommends the length of the hash
inline constexpr std::size_t totp_digits = 6;
inline constexpr std::int64_t totp_step_seconds = 30;

std::int64_t totp_step(UnixMs time);
// The code of one step, with leading zeros.
std::string totp_code(ByteView secret, std::int64_t step, std::size_t digits = totp_digits);
// The step that `code` is of, among those around `now` (limits::totp_steps_around) that come after `after`;
// every candidate is computed and compared, whatever matches.
std::optional<std::int64_t> match_totp(ByteView secret, std::string_view code, UnixMs now,
                                       std::int64_t after);

// RFC 4648 §6 without padding, upper case.
std::string to_base32(ByteView bytes);
// What an authenticator application takes, as a QR code or by hand: otpauth://totp/...
std::string totp_uri(std::string_view issuer, std::string_view account, ByteView secret);

}  // namespace vestige::access
