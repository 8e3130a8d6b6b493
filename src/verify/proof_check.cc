#include "verify/proof_check.h"

#include <fmt/format.h>

#include "trail/format/note.h"
#include "trail/merkle/merkle.h"

namespace vestige::verify {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::unexpected<Error> unreadable(std::string_view what, const Error& error) {
  return fail(ErrorKind::invalid, fmt::format("The {} does not parse: {}.", what, error.message));
}

}  // namespace

Result<CheckedCheckpoint> check_checkpoint(std::string_view note, std::string_view verifier_key) {
  const auto key = trail::parse_verifier_key(trimmed(verifier_key));
  if (!key) return unreadable("verifier key", key.error());
  const auto parsed = trail::parse_note(note);
  if (!parsed) return unreadable("checkpoint", parsed.error());
  auto claimed = trail::parse_checkpoint(parsed->text);
  if (!claimed) return unreadable("checkpoint", claimed.error());
  if (claimed->origin != key->name)
    return fail(
        ErrorKind::corrupt,
        fmt::format("The checkpoint is of the log \"{}\", but the verifier key is that of \"{}\": it says "
                    "nothing about this checkpoint.",
                    claimed->origin, key->name));
  const auto checkpoint = trail::verify_checkpoint(note, *key);
  if (!checkpoint)
    return fail(
        ErrorKind::corrupt,
        fmt::format(
            "The checkpoint (size {}) does not carry a signature by the key \"{}\": it was altered, or "
            "another key signed it. ({})",
            claimed->size, key->text(), checkpoint.error().message));
  return CheckedCheckpoint{.origin = checkpoint->origin, .size = checkpoint->size, .root = checkpoint->root};
}

Result<CheckedProof> check_proof(std::string_view proof, std::string_view entry,
                                 std::string_view verifier_key) {
  const auto parsed = trail::parse_proof(proof);
  if (!parsed) return unreadable("proof", parsed.error());
  VESTIGE_TRY(auto checkpoint, check_checkpoint(parsed->checkpoint, verifier_key));
  const auto leaf = trail::leaf_hash(view(entry));
  if (!trail::verify_inclusion(leaf, parsed->index, checkpoint.size, parsed->path, checkpoint.root))
    return fail(
        ErrorKind::corrupt,
        fmt::format(
            "The entry is not what stands at index {} of the log \"{}\": its hash does not lead to the "
            "root that was signed at size {}. The entry's bytes, the index or the path were altered, or "
            "the proof belongs to another entry.",
            parsed->index, checkpoint.origin, checkpoint.size));
  return CheckedProof{.checkpoint = std::move(checkpoint), .index = parsed->index, .leaf = leaf};
}

}  // namespace vestige::verify
