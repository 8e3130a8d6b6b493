#include "bench/support/events.h"

#include <fmt/format.h>

#include <array>

namespace vestige::bench {
namespace {

// splitmix64: small, fast, the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

 private:
  std::uint64_t state_;
};

constexpr std::array actions = {"UPDATED", "CREATED", "VIEWED", "COMMUNICATED", "DELETED"};
constexpr std::array target_types = {"CUSTOMER", "ORDER", "ACCOUNT", "CONTACT"};
constexpr std::array fields = {"phone", "email", "address", "status", "creditLimit"};
constexpr std::array words = {"customer", "called",   "about",     "invoice",  "payment",  "declined",
                              "card",     "expired",  "address",   "changed",  "after",    "request",
                              "verified", "identity", "document",  "branch",   "manager",  "approved",
                              "limit",    "increase", "complaint", "resolved", "refund",   "issued",
                              "order",    "shipped",  "late",      "courier",  "reported", "damage"};

std::string make_event(Random& random, std::uint64_t number, const EventOptions& options) {
  const auto high = random.next();
  const auto low = random.next();
  const auto person = random.below(options.subjects);
  std::string text;
  for (int i = 0; i < 14; ++i)
    fmt::format_to(std::back_inserter(text), "{}{}", i > 0 ? " " : "", words[random.below(words.size())]);
  const auto ms = 1'700'000'000'000 + number * 7 + random.below(5'000);
  const auto second = ms / 1'000 % 60;
  const auto minute = ms / 60'000 % 60;
  const auto hour = ms / 3'600'000 % 24;
  return fmt::format(
      R"({{"id":"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}","time":"2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z","kind":"data.change",)"
      R"("action":"{}","sourceType":"EMPLOYEE","sourceId":"emp-{:05}","targetType":"{}","targetId":"cust-{:07}",{})"
      R"("changes":[{{"field":"{}","old":"{}","new":"{}"}}],"detail":{{"note":"{}","ticket":{},"amount":{}.{:02}}},)"
      R"("context":{{"ip":"10.{}.{}.{}","requestId":"{:016x}"}}}})",
      high >> 32, high >> 16 & 0xffff, high & 0xfff, low >> 48 & 0xfff, low & 0xffffffffffff,
      1 + number / 12'000'000 % 28, hour, minute, second, ms % 1'000, actions[random.below(actions.size())],
      random.below(5'000), target_types[random.below(target_types.size())], person,
      options.with_subject ? fmt::format("\"subject\":\"cust-{:07}\",", person) : std::string(),
      fields[random.below(fields.size())], random.below(1'000'000), random.below(1'000'000), text,
      random.below(1'000'000), random.below(10'000), random.below(100), random.below(256), random.below(256),
      random.below(256), random.next());
}

}  // namespace

std::vector<std::string> make_batches(std::uint64_t count, std::size_t batch, const EventOptions& options) {
  Random random(options.seed + (options.with_subject ? 1 : 0));
  std::vector<std::string> batches;
  for (std::uint64_t number = 0; number < count;) {
    std::string body;
    for (std::size_t i = 0; i < batch && number < count; ++i, ++number)
      body += make_event(random, options.first + number, options) + "\n";
    batches.push_back(std::move(body));
  }
  return batches;
}

}  // namespace vestige::bench
