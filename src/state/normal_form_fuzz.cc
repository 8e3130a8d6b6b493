// Property: a normal form is a fixed point, within its limits, one line, and holds no control, blank or
// second address, whatever was typed.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/encoding.h"
#include "state/fields.h"
#include "state/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige;
  const auto typed = text({data, size});
  if (const auto email = state::normal_email(typed)) {
    CHECK(state::normal_email(*email) == email);
    CHECK(email->size() <= state::limits::email_bytes_max && is_utf8(*email));
    CHECK(std::ranges::count(*email, '@') == 1);
    for (const char c : *email)
      CHECK(static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != ',' && !(c >= 'A' && c <= 'Z'));
  }
  if (const auto phone = state::normal_phone(typed)) {
    CHECK(state::normal_phone(*phone) == phone);
    CHECK(phone->size() >= 1 + state::limits::phone_digits_min &&
          phone->size() <= 1 + state::limits::phone_digits_max);
    CHECK(phone->front() == '+' && phone->find_first_not_of("0123456789", 1) == std::string::npos);
  }
  return 0;
}
