// Defends: a password opens its own hash and no other; an account without one costs the same and opens for
// nothing; memory is bounded; and what is tried first is not taken.
#include "access/passwords.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <semaphore>
#include <thread>

#include "access/limits.h"
#include "platform/sim/sim_clock.h"

namespace vestige::access {
namespace {

constexpr HashCost cheap{.memory_kib = 8, .passes = 1};

TEST(Passwords, EncodedFormAndVectorOfTheReferenceImplementation) {
  platform::sim::SimEntropy entropy(1);
  PasswordHasher hasher(entropy, {.memory_kib = 256, .passes = 2});
  const std::string vector =
      "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  EXPECT_TRUE(*hasher.matches(vector, "password"));
  EXPECT_FALSE(*hasher.matches(vector, "Password"));
  EXPECT_FALSE(hasher.is_outdated(vector));
  const auto made = hasher.hash("password");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->starts_with("$argon2id$v=19$m=256,t=2,p=1$")) << *made;
  EXPECT_NE(*made, *hasher.hash("password"));
  EXPECT_TRUE(*hasher.matches(*made, "password"));
}

TEST(Passwords, TheShippedCostIsWhatTheDecisionSays) {
  platform::sim::SimEntropy entropy(1);
  PasswordHasher hasher(entropy);
  const auto made = hasher.hash("quiet otters count ledgers");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << *made;
  EXPECT_TRUE(*hasher.matches(*made, "quiet otters count ledgers"));
  EXPECT_TRUE(hasher.is_outdated("$argon2id$v=19$m=19456,t=1,p=1$AAAA$AAAA"));
}

TEST(Passwords, WithoutAHashNothingMatches) {
  platform::sim::SimEntropy entropy(1);
  PasswordHasher hasher(entropy, cheap);
  for (const auto* password : {"", "x", "quiet otters count ledgers"})
    EXPECT_FALSE(*hasher.matches(std::nullopt, password));
  // Longer than any that is taken, although its beginning is right.
  const std::string longest(limits::password_bytes_max, 'p');
  const auto made = hasher.hash(longest);
  EXPECT_TRUE(*hasher.matches(*made, longest));
  EXPECT_FALSE(*hasher.matches(*made, longest + "p"));
}

TEST(Passwords, AHashThatAsksForTooMuchIsDamage) {
  platform::sim::SimEntropy entropy(1);
  PasswordHasher hasher(entropy, cheap);
  for (const auto* hash :
       {"", "plain", "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65", "$argon2i$v=19$m=8,t=1,p=1$a$b",
        "$argon2id$v=19$m=8,t=99999,p=1$c29tZXNhbHQ$nf65", "$argon2id$v=19$m=8,t=1,p=1$!!!$nf65",
        "$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$nf65"}) {
    const auto matched = hasher.matches(hash, "password");
    ASSERT_FALSE(matched) << hash;
    EXPECT_EQ(matched.error().kind, ErrorKind::corrupt) << hash;
  }
}

// Holds whoever asks for a salt until it is let go.
class Gate final : public platform::Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    std::ranges::fill(out, std::uint8_t{1});
    if (!closed) return;
    arrived.release();
    open.acquire();
  }
  std::atomic<bool> closed = false;
  std::counting_semaphore<> arrived{0}, open{0};
};

TEST(Passwords, NoMoreThanSoManyAtATime) {
  Gate gate;
  PasswordHasher hasher(gate, cheap);
  gate.closed = true;
  std::atomic<std::size_t> made = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < limits::hashes_at_once_max; ++i)
      threads.emplace_back([&] { made += hasher.hash("quiet otters count ledgers") ? 1 : 0; });
    for (std::size_t i = 0; i < limits::hashes_at_once_max; ++i) gate.arrived.acquire();
    // An account that there is not takes a place too, so it is turned away alike.
    const auto hash = std::optional<std::string>("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAA");
    for (const auto& busy : {hasher.matches(hash, "x"), hasher.matches(std::nullopt, "x")}) {
      ASSERT_FALSE(busy);
      EXPECT_EQ(busy.error().kind, ErrorKind::unavailable);
    }
    gate.open.release(static_cast<std::ptrdiff_t>(limits::hashes_at_once_max));
  }
  EXPECT_EQ(made, limits::hashes_at_once_max);
  gate.closed = false;
  // Whoever was turned away left no place taken.
  for (std::size_t i = 0; i < 2 * limits::hashes_at_once_max; ++i) EXPECT_TRUE(hasher.hash("x"));
}

TEST(Passwords, WhatIsTaken) {
  EXPECT_TRUE(check_password("quiet otters count ledgers", "ada", "ada@example.org"));
  EXPECT_TRUE(check_password("twelve chars", "ada", ""));
  EXPECT_TRUE(check_password("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \xc3\xa9\xc3\xa8\xc3\xaa \xc3\xa0\xc3\xa1z",
                             "ada", ""));
  const std::string too_long(limits::password_bytes_max + 1, 'a');
  for (const std::string& refused :
       {std::string(), std::string("elevenchars"),
        std::string("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"), std::string("bad \xff utf-8 text"),
        too_long, std::string("aaaaaaaaaaaa"), std::string("123456789012"), std::string("Password1234!"),
        std::string("PASSWORDPASSWORD"), std::string("1234administrator"),
        std::string("correct horse battery staple"), std::string("ada.lovelace.longname"),
        std::string("ADA.lovelace.longname123"), std::string("someone.else@example.org")}) {
    const auto checked = check_password(refused, "ada.lovelace.longname", "someone.else@example.org");
    ASSERT_FALSE(checked) << refused;
    EXPECT_EQ(checked.error().path, "/password");
    if (refused.size() > 3) EXPECT_EQ(checked.error().message.find(refused), std::string::npos);
  }
}

}  // namespace
}  // namespace vestige::access
