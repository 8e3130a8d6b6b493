// Property: no bytes make the readers of exports and disclosures crash or grow beyond one line, and nothing
// holds under a key that did not sign it. In pieces they say the same as at once. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "verify/disclosure_check.h"
#include "verify/export_check.h"

namespace vestige::verify {
namespace {

trail::VerifierKey known_key() {
  static const crypto::SigningKey key(Key{1});
  return {
      .name = "log.example/default/audit", .type = trail::SignatureType::ed25519, .key = key.public_key()};
}

ExportVerdict check(std::string_view file, std::optional<trail::VerifierKey> key, std::size_t piece) {
  ExportCheck checking(std::move(key));
  for (std::size_t at = 0; at < file.size(); at += std::min(piece, file.size() - at))
    if (!checking.feed(file.substr(at, piece))) break;
  return checking.finish();
}

void read_export(std::string_view file) {
  CHECK(check(file, known_key(), file.size()).bad);
  const auto whole = check(file, std::nullopt, std::max<std::size_t>(file.size(), 1));
  const auto pieces = check(file, std::nullopt, 3);
  CHECK(whole.bad.has_value() == pieces.bad.has_value() && whole.facts.events == pieces.facts.events);
  if (whole.bad) CHECK(whole.bad->line == pieces.bad->line && whole.bad->reason == pieces.bad->reason);
}

}  // namespace
}  // namespace vestige::verify

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = vestige::text({data + 1, size - 1});
  if (data[0] % 2 == 0)
    vestige::verify::read_export(text);
  else
    CHECK(!vestige::verify::check_disclosure(text, vestige::verify::known_key().text()));
  return 0;
}
