// C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof, tlog-tiles paths, as texts.
// Sources: c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature, /tlog-proof, /tlog-tiles.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/ed25519.h"

namespace vestige::trail {

enum class SignatureType : std::uint8_t { ed25519 = 0x01, cosignature = 0x04 };

// A verifier key: "<name>+<8 hex digits>+<base64(type || key)>".
struct VerifierKey {
  std::string name;
  SignatureType type = SignatureType::ed25519;
  crypto::PublicKey key{};
  std::uint32_t id() const;
  std::string text() const;
};
Result<VerifierKey> parse_verifier_key(std::string_view text);
// Non-empty, no Unicode spaces, no '+', valid UTF-8.
bool is_key_name(std::string_view name);

struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;
  Bytes bytes;  // behind the key id
};

struct Note {
  std::string text;  // ends with a newline
  std::vector<NoteSignature> signatures;
};

inline constexpr std::size_t note_signatures_max = 64;
inline constexpr std::size_t note_bytes_max = 1 << 20;

Result<Note> parse_note(std::string_view bytes);
std::string format_note(const Note& note);
// Adds an Ed25519 signature (type 0x01) over the text.
void sign_note(Note& note, const std::string& name, const crypto::SigningKey& key);
// Succeeds where at least one of `keys` signed and no signature by one of them is wrong. Gives the names.
// For cosignatures the timestamp is part of what was signed.
Result<std::vector<std::string>> verify_note(const Note& note, std::span<const VerifierKey> keys);

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};
};
std::string checkpoint_text(const Checkpoint& checkpoint);
// Of a note's text; extension lines are allowed and ignored.
Result<Checkpoint> parse_checkpoint(std::string_view text);
// Parses and verifies: the origin must be the key's name.
Result<Checkpoint> verify_checkpoint(std::string_view note, const VerifierKey& key);

struct Proof {
  std::uint64_t index = 0;
  std::vector<Hash> path;
  std::string checkpoint;  // the note, verbatim
};
std::string format_proof(const Proof& proof);
Result<Proof> parse_proof(std::string_view text);

// Tiles: 256 hashes each; `width` 256 for a full one, 1-255 for a partial one.
struct TileName {
  unsigned level = 0;
  std::uint64_t number = 0;
  unsigned width = 256;
  bool operator==(const TileName&) const = default;
};
// "<L>/<N>[.p/<W>]", the part behind "tile/". Only the one canonical spelling is accepted.
std::optional<TileName> parse_tile_path(std::string_view path);
std::string format_tile_path(const TileName& name);

}  // namespace vestige::trail
