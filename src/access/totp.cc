#include "access/totp.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "access/limits.h"
#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain)
      out.push_back(c);
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::int64_t totp_step(UnixMs time) { return time.value / 1000 / totp_step_seconds; }

std::string totp_code(ByteView secret, std::int64_t step, std::size_t digits) {
  std::array<std::uint8_t, 8> counter;
  for (std::size_t i = 0; i < counter.size(); ++i)
    counter[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(step) >> (56 - 8 * i));
  std::array<std::uint8_t, 20> mac{};
  unsigned size = 0;
  const auto* made = HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(),
                          counter.size(), mac.data(), &size);
  CHECK(made != nullptr && size == mac.size());
  const std::size_t at = mac[19] & 0xf;
  const auto number = (static_cast<std::uint32_t>(mac[at] & 0x7f) << 24) |
                      (static_cast<std::uint32_t>(mac[at + 1]) << 16) |
                      (static_cast<std::uint32_t>(mac[at + 2]) << 8) | mac[at + 3];
  std::uint32_t modulus = 1;
  for (std::size_t i = 0; i < digits; ++i) modulus *= 10;
  return fmt::format("{:0{}}", number % modulus, digits);
}

std::optional<std::int64_t> match_totp(ByteView secret, std::string_view code, UnixMs now,
                                       std::int64_t after) {
  std::optional<std::int64_t> found;
  for (auto step = totp_step(now) - limits::totp_steps_around;
       step <= totp_step(now) + limits::totp_steps_around; ++step) {
    const bool same = crypto::constant_time_equal(view(totp_code(secret, step)), view(code));
    if (same && step > after && !found) found = step;
  }
  return found;
}

std::string to_base32(ByteView bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string out;
  std::uint32_t waiting = 0;
  unsigned bits = 0;
  for (const auto byte : bytes) {
    waiting = (waiting << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) out.push_back(letters[(waiting >> (bits - 5)) & 31]);
  }
  if (bits > 0) out.push_back(letters[(waiting << (5 - bits)) & 31]);
  return out;
}

std::string totp_uri(std::string_view issuer, std::string_view account, ByteView secret) {
  return fmt::format("otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits={}&period={}",
                     percent_encoded(issuer), percent_encoded(account), to_base32(secret),
                     percent_encoded(issuer), totp_digits, totp_step_seconds);
}

}  // namespace vestige::access
