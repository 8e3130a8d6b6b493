#include "cli/load/events.h"

#include <array>
#include <cstring>
#include <string_view>

#include "base/time_text.h"

namespace vestige::cli::load {
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
  // `bound` fits in 32 bits; a multiplication costs a tenth of a division.
  std::uint64_t below(std::uint64_t bound) { return (next() >> 32) * bound >> 32; }

 private:
  std::uint64_t state_;
};

constexpr std::array<std::string_view, 5> actions = {"UPDATED", "CREATED", "VIEWED", "COMMUNICATED",
                                                     "DELETED"};
constexpr std::array<std::string_view, 4> target_types = {"CUSTOMER", "ORDER", "ACCOUNT", "CONTACT"};
constexpr std::array<std::string_view, 5> fields = {"phone", "email", "address", "status", "creditLimit"};
constexpr std::array<std::string_view, 30> words = {
    "customer", "called",   "about", "invoice",  "payment",   "declined", "card",     "expired",
    "address",  "changed",  "after", "request",  "verified",  "identity", "document", "branch",
    "manager",  "approved", "limit", "increase", "complaint", "resolved", "refund",   "issued",
    "order",    "shipped",  "late",  "courier",  "reported",  "damage"};
constexpr int words_of_note = 14;

constexpr std::size_t event_bytes_max = 800;

// Writes into room that is there already: making an event must cost next to nothing beside what is measured.
class Writer {
 public:
  explicit Writer(char* to) : at_(to) {}
  char* end() const { return at_; }
  void text(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  // Decimal, at least `width` digits.
  void number(std::uint64_t number, std::size_t width = 1) {
    std::array<char, 20> digits;
    std::size_t at = digits.size();
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    while (digits.size() - at < width) digits[--at] = '0';
    text({digits.data() + at, digits.size() - at});
  }
  void hex(std::uint64_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
      *at_++ = "0123456789abcdef"[value >> shift & 0xf];
  }
  void time(UnixMs time) {
    write_time(time, at_);
    at_ += time_text_size;
  }

 private:
  char* at_;
};

// A version 4 UUID.
void write_id(Writer& to, std::uint64_t high, std::uint64_t low) {
  to.hex(high >> 32, 8);
  to.text("-");
  to.hex(high >> 16, 4);
  to.text("-4");
  to.hex(high, 3);
  to.text("-8");
  to.hex(low >> 48, 3);
  to.text("-");
  to.hex(low, 12);
}

void write_head(Writer& to, Random& random, UnixMs time) {
  to.text(R"({"id":")");
  const auto high = random.next();
  write_id(to, high, random.next());
  to.text(R"(","time":")");
  to.time(time);
  to.text(R"(","kind":"data.change","action":")");
  to.text(actions[random.below(actions.size())]);
  to.text(R"(","sourceType":")");
  to.text(source_type);
  to.text(R"(","sourceId":"emp-)");
  to.number(random.below(5'000), 5);
}

void write_target(Writer& to, Random& random, const EventShape& shape) {
  const auto target = random.below(shape.targets);
  to.text(R"(","targetType":")");
  to.text(target_types[random.below(target_types.size())]);
  to.text(R"(","targetId":"bench-)");
  to.number(target, 7);
  if (!shape.with_subject) return;
  to.text(R"(","subject":"bench-)");
  to.number(target, 7);
}

void write_content(Writer& to, Random& random) {
  to.text(R"(","changes":[{"field":")");
  to.text(fields[random.below(fields.size())]);
  to.text(R"(","old":")");
  to.number(random.below(1'000'000));
  to.text(R"(","new":")");
  to.number(random.below(1'000'000));
  to.text(R"("}],"detail":{"note":")");
  for (int i = 0; i < words_of_note; ++i) {
    if (i > 0) to.text(" ");
    to.text(words[random.below(words.size())]);
  }
  to.text(R"(","ticket":)");
  to.number(random.below(1'000'000));
  to.text(R"(,"amount":)");
  to.number(random.below(10'000));
  to.text(".");
  to.number(1 + random.below(9));  // never a zero, which a number does not keep
  to.text(R"(},"context":{"ip":"10)");
  for (int part = 0; part < 3; ++part) {
    to.text(".");
    to.number(random.below(256));
  }
  to.text(R"(","requestId":")");
  to.hex(random.next(), 16);
  to.text(R"("}})");
}

}  // namespace

void append_event(std::string& to, const EventShape& shape, std::uint64_t number, UnixMs time) {
  // Far apart for neighbouring numbers, so that no two events draw the same sequence.
  Random seeds(shape.seed);
  Random random(seeds.next() + number * 0xd1342543de82ef95ULL);
  const auto before = to.size();
  to.resize(before + event_bytes_max);
  Writer writer(to.data() + before);
  write_head(writer, random, time);
  write_target(writer, random, shape);
  write_content(writer, random);
  to.resize(static_cast<std::size_t>(writer.end() - to.data()));
}

}  // namespace vestige::cli::load
