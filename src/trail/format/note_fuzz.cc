// Property: no text makes the parsers of notes, checkpoints, proofs, verifier keys and tile paths crash; what
// is accepted is the one spelling of what it says (optional lines aside), and nothing verifies that was not
// signed. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "trail/format/note.h"

namespace vestige::trail {
namespace {

VerifierKey known_key() {
  static const crypto::SigningKey key(Key{1});
  return {.name = "log.example/t/s", .type = SignatureType::ed25519, .key = key.public_key()};
}

void read_note(std::string_view text) {
  const auto note = parse_note(text);
  if (!note) return;
  CHECK(format_note(*note) == text);
  const auto key = known_key();
  CHECK(!verify_note(*note, std::span(&key, 1)));
  CHECK(!verify_checkpoint(text, key));
}

void read_checkpoint(std::string_view text) {
  if (const auto checkpoint = parse_checkpoint(text)) CHECK(text.starts_with(checkpoint_text(*checkpoint)));
}

void read_proof(std::string_view text) {
  const auto proof = parse_proof(text);
  if (!proof) return;
  const auto again = format_proof(*proof);
  CHECK(again == text || text.find("\nextra ") != std::string_view::npos);
  CHECK(parse_proof(again));
}

void read_path(std::string_view text) {
  if (const auto name = parse_tile_path(text)) CHECK(format_tile_path(*name) == text);
}

void read_key(std::string_view text) {
  if (const auto key = parse_verifier_key(text)) CHECK(key->text() == text);
}

}  // namespace
}  // namespace vestige::trail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = vestige::text({data + 1, size - 1});
  switch (data[0] % 5) {
    case 0:
      vestige::trail::read_note(text);
      break;
    case 1:
      vestige::trail::read_checkpoint(text);
      break;
    case 2:
      vestige::trail::read_proof(text);
      break;
    case 3:
      vestige::trail::read_path(text);
      break;
    default:
      vestige::trail::read_key(text);
      break;
  }
  return 0;
}
