#include "access/passwords.h"

#include <argon2.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "access/internal/errors.h"
#include "access/limits.h"
#include "base/check.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::size_t salt_bytes = 16;
constexpr std::size_t hash_bytes = 32;
constexpr std::uint32_t lanes = 1;
constexpr std::size_t different_characters_min = 5;
constexpr std::string_view encoded_prefix = "$argon2id$v=19$m=";

// The commonest that are long enough, and what people make of the commonest when they are asked for twelve
// characters. Compared without case, and without the digits and signs around.
constexpr std::string_view common[] = {
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789101112",
    "1234567891011",
    "012345678910",
    "0123456789012",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "zaq12wsxcde3",
    "qwertyuiop",
    "qwertyuiopasdfgh",
    "qwertyqwerty",
    "qwerty",
    "qwertz",
    "qwertzuiop",
    "azerty",
    "azertyuiop",
    "asdfghjkl",
    "asdfghjklzxc",
    "zxcvbnm",
    "zxcvbnmasdfgh",
    "password",
    "passwordpassword",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "pa$$word",
    "mypassword",
    "newpassword",
    "changeme",
    "changemeplease",
    "letmein",
    "letmeinplease",
    "letmeinnow",
    "welcome",
    "welcomehome",
    "iloveyou",
    "iloveyouforever",
    "iloveyousomuch",
    "admin",
    "adminadmin",
    "administrator",
    "administrateur",
    "root",
    "rootroot",
    "superuser",
    "secret",
    "topsecret",
    "supersecret",
    "trustno",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "basketball",
    "superman",
    "batman",
    "princess",
    "sunshine",
    "shadow",
    "master",
    "michael",
    "jennifer",
    "computer",
    "internet",
    "whatever",
    "starwars",
    "abcdefghijkl",
    "abcdefghijklm",
    "abcdefghijklmnop",
    "abcabcabcabc",
    "abcd1234abcd",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "thisismypassword",
    "vestige",
    "vestigevestige",
    "audit",
    "audittrail",
    "auditlog",
    "testtesttest",
    "test",
    "guest",
    "guestguest",
    "default",
    "defaultpassword",
    "company",
    "companyname",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "december",
    "monday",
    "friday",
    "passwort",
    "geheim",
    "hallo",
    "motdepasse",
    "contrasena",
    "wachtwoord",
    "wagwoord",
    "liverpool",
    "chelsea",
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

std::string_view without_ornaments(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
  };
  while (!text.empty() && !is_letter(text.front())) text.remove_prefix(1);
  while (!text.empty() && !is_letter(text.back())) text.remove_suffix(1);
  return text;
}

std::size_t characters_of(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::unexpected<Error> not_taken(std::string why, std::string limit = {}) {
  return invalid_at("/password", std::move(why), std::move(limit));
}

// "<digits>" up to `end`, and past it.
std::optional<std::uint32_t> take_number(std::string_view& text, std::string_view end) {
  std::uint32_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  if (!text.starts_with(end)) return std::nullopt;
  text.remove_prefix(end.size());
  return number;
}

std::optional<HashCost> cost_of(std::string_view encoded) {
  if (!encoded.starts_with(encoded_prefix)) return std::nullopt;
  encoded.remove_prefix(encoded_prefix.size());
  const auto memory = take_number(encoded, ",t=");
  const auto passes = memory ? take_number(encoded, ",p=") : std::nullopt;
  const auto threads = passes ? take_number(encoded, "$") : std::nullopt;
  if (!threads || *threads != lanes) return std::nullopt;
  return HashCost{*memory, *passes};
}

}  // namespace

Status check_password(std::string_view password, std::string_view login_name, std::string_view email) {
  if (!is_utf8(password)) return not_taken("a password is text in UTF-8");
  if (characters_of(password) < limits::password_characters_min)
    return not_taken(fmt::format("a password has at least {} characters", limits::password_characters_min),
                     fmt::format("password_characters_min = {}", limits::password_characters_min));
  if (password.size() > limits::password_bytes_max)
    return not_taken(fmt::format("a password has at most {} bytes", limits::password_bytes_max),
                     fmt::format("password_bytes_max = {}", limits::password_bytes_max));
  const auto plain = lowered(password);
  const auto bare = without_ornaments(plain);
  if (std::ranges::find(common, std::string_view(plain)) != std::end(common) ||
      std::ranges::find(common, bare) != std::end(common))
    return not_taken("this password is one of those that are tried first; choose another");
  auto different = plain;
  std::ranges::sort(different);
  if (std::ranges::distance(different.begin(), std::unique(different.begin(), different.end())) <
      static_cast<std::ptrdiff_t>(different_characters_min))
    return not_taken(
        fmt::format("a password has at least {} different characters", different_characters_min));
  for (const auto name : {login_name, email, email.substr(0, email.find('@'))}) {
    if (name.empty()) continue;
    const auto own = lowered(name);
    if (plain == own || bare == own || bare == without_ornaments(own))
      return not_taken("a password must not be one's own login name or email address");
  }
  return {};
}

// One of the places in which a hash is computed.
class PasswordHasher::Turn {
 public:
  explicit Turn(PasswordHasher& hasher) : hasher_(hasher) {
    Lock lock(hasher_.mutex_);
    taken_ = hasher_.running_ < limits::hashes_at_once_max;
    if (!taken_) return;
    ++hasher_.running_;
    ++hasher_.computed_;
  }
  ~Turn() {
    Lock lock(hasher_.mutex_);
    if (taken_) --hasher_.running_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Status taken() const {
    if (taken_) return {};
    Error error{.kind = ErrorKind::unavailable,
                .message = "too many passwords are being checked at this moment; try again in a second"};
    error.limit = fmt::format("hashes_at_once_max = {}", limits::hashes_at_once_max);
    return std::unexpected(std::move(error));
  }

 private:
  PasswordHasher& hasher_;
  bool taken_;
};

PasswordHasher::PasswordHasher(platform::Entropy& entropy, HashCost cost) : cost_(cost), entropy_(entropy) {
  // Any hash does: what it is of is never asked.
  const auto unpadded = [](std::string text) {
    while (text.ends_with('=')) text.pop_back();
    return text;
  };
  stand_in_ = fmt::format("{}{},t={},p={}${}${}", encoded_prefix, cost.memory_kib, cost.passes, lanes,
                          unpadded(to_base64(entropy.bytes<salt_bytes>())),
                          unpadded(to_base64(entropy.bytes<hash_bytes>())));
}

Result<std::string> PasswordHasher::hash(std::string_view password) {
  const Turn turn(*this);
  VESTIGE_CHECKED(turn.taken());
  const auto salt = entropy_.bytes<salt_bytes>();
  std::string encoded(
      argon2_encodedlen(cost_.passes, cost_.memory_kib, lanes, salt_bytes, hash_bytes, Argon2_id), 0);
  const auto done =
      argon2id_hash_encoded(cost_.passes, cost_.memory_kib, lanes, password.data(), password.size(),
                            salt.data(), salt.size(), hash_bytes, encoded.data(), encoded.size());
  if (done != ARGON2_OK)
    return fail(ErrorKind::unavailable,
                fmt::format("a password could not be hashed: {}", argon2_error_message(done)));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

Result<bool> PasswordHasher::matches(const std::optional<std::string>& encoded, std::string_view password) {
  const Turn turn(*this);
  VESTIGE_CHECKED(turn.taken());
  const auto cost = cost_of(encoded.value_or(stand_in_));
  if (!cost || cost->memory_kib > limits::hash_memory_kib_max || cost->passes > limits::hash_passes_max)
    return fail(ErrorKind::corrupt,
                "the hash of a password in the database is none that this program writes");
  // What is longer than any password of ours is wrong; it costs what a wrong one costs.
  const auto shown = password.substr(0, limits::password_bytes_max);
  const auto done = argon2id_verify(encoded.value_or(stand_in_).c_str(), shown.data(), shown.size());
  if (done != ARGON2_OK && done != ARGON2_VERIFY_MISMATCH)
    return fail(done == ARGON2_MEMORY_ALLOCATION_ERROR ? ErrorKind::unavailable : ErrorKind::corrupt,
                fmt::format("a password could not be checked: {}", argon2_error_message(done)));
  return done == ARGON2_OK && encoded.has_value() && shown.size() == password.size();
}

std::uint64_t PasswordHasher::computed() const {
  Lock lock(mutex_);
  return computed_;
}

bool PasswordHasher::is_outdated(std::string_view encoded) const {
  const auto cost = cost_of(encoded);
  return !cost || *cost != cost_;
}

}  // namespace vestige::access
