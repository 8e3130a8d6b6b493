#include "trail/format/note.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::trail {
namespace {

constexpr std::string_view signature_prefix = "\xe2\x80\x94 ";  // U+2014 and a space
constexpr std::string_view cosignature_header = "cosignature/v1\n";
constexpr std::size_t key_id_bytes = 4;
constexpr std::size_t cosignature_time_bytes = 8;

std::unexpected<Error> bad(std::string what) { return fail(ErrorKind::invalid, std::move(what)); }

std::uint32_t load_be32(ByteView bytes) {
  return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
}

void append_be32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

// Unicode white space in UTF-8, beyond ASCII: U+0085, U+00A0, U+1680, U+2000-200A, 2028, 2029, 202F, 205F,
// 3000.
bool has_space(std::string_view name) {
  for (const char c : name)
    if (c == ' ' || (c >= '\t' && c <= '\r')) return true;
  constexpr std::string_view wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
  for (const auto space : wide)
    if (name.find(space) != std::string_view::npos) return true;
  for (std::size_t i = 0; i + 2 < name.size(); ++i) {
    const auto last = static_cast<std::uint8_t>(name[i + 2]);
    if (name[i] == '\xe2' && name[i + 1] == '\x80' && last >= 0x80 && last <= 0x8a) return true;
  }
  return false;
}

bool parse_decimal(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 19 || (text.size() > 1 && text[0] == '0')) return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

// Cuts the first line (without its newline) off `rest`; false where there is no newline.
bool take_line(std::string_view& rest, std::string_view& line) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
}

std::string signed_message(const Note& note, const VerifierKey& key, const NoteSignature& signature) {
  if (key.type == SignatureType::ed25519) return note.text;
  std::uint64_t time = 0;
  for (std::size_t i = 0; i < cosignature_time_bytes; ++i) time = time << 8 | signature.bytes[i];
  return fmt::format("{}time {}\n{}", cosignature_header, time, note.text);
}

bool signature_holds(const Note& note, const VerifierKey& key, const NoteSignature& signature) {
  const std::size_t skip = key.type == SignatureType::cosignature ? cosignature_time_bytes : 0;
  if (signature.bytes.size() != skip + sizeof(crypto::Signature)) return false;
  crypto::Signature raw;
  std::memcpy(raw.data(), signature.bytes.data() + skip, raw.size());
  return crypto::verify(key.key, view(signed_message(note, key, signature)), raw);
}

}  // namespace

bool is_key_name(std::string_view name) {
  return !name.empty() && is_utf8(name) && name.find('+') == std::string_view::npos && !has_space(name);
}

std::uint32_t VerifierKey::id() const {
  const std::uint8_t separator[2] = {'\n', static_cast<std::uint8_t>(type)};
  return load_be32(crypto::sha256({view(name), separator, key}));
}

std::string VerifierKey::text() const {
  Bytes typed{static_cast<std::uint8_t>(type)};
  typed.insert(typed.end(), key.begin(), key.end());
  return fmt::format("{}+{:08x}+{}", name, id(), to_base64(typed));
}

Result<VerifierKey> parse_verifier_key(std::string_view text) {
  const auto first = text.find('+');
  const auto second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return bad("a verifier key has the form name+hash+key");
  VerifierKey key;
  key.name = text.substr(0, first);
  const auto typed = from_base64(text.substr(second + 1));
  if (!is_key_name(key.name) || !typed || typed->size() != 1 + sizeof(crypto::PublicKey))
    return bad("the verifier key does not parse");
  if ((*typed)[0] != 0x01 && (*typed)[0] != 0x04)
    return bad("the verifier key has a signature type that is not known");
  key.type = static_cast<SignatureType>((*typed)[0]);
  std::memcpy(key.key.data(), typed->data() + 1, key.key.size());
  if (text.substr(first + 1, second - first - 1) != fmt::format("{:08x}", key.id()))
    return bad("the verifier key's hash does not match its key");
  return key;
}

Result<Note> parse_note(std::string_view bytes) {
  if (bytes.size() > note_bytes_max) return bad(fmt::format("a note has at most {} bytes", note_bytes_max));
  if (!is_utf8(bytes)) return bad("the note is not UTF-8");
  for (const char c : bytes)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return bad("the note holds a control character");
  const auto split = bytes.rfind("\n\n");
  if (split == std::string_view::npos) return bad("the note has no blank line before its signatures");
  Note note{std::string(bytes.substr(0, split + 1)), {}};
  auto rest = bytes.substr(split + 2);
  if (rest.empty()) return bad("the note has no signature");
  while (!rest.empty()) {
    std::string_view line;
    if (!take_line(rest, line) || !line.starts_with(signature_prefix))
      return bad("a signature line does not parse");
    line.remove_prefix(signature_prefix.size());
    const auto space = line.find(' ');
    if (space == std::string_view::npos || !is_key_name(line.substr(0, space)))
      return bad("a signature line has no key name");
    const auto blob = from_base64(line.substr(space + 1));
    if (!blob || blob->size() <= key_id_bytes) return bad("a signature line's base64 does not parse");
    if (note.signatures.size() == note_signatures_max)
      return bad(fmt::format("a note has at most {} signatures", note_signatures_max));
    note.signatures.push_back({std::string(line.substr(0, space)), load_be32(*blob),
                               Bytes(blob->begin() + key_id_bytes, blob->end())});
  }
  return note;
}

std::string format_note(const Note& note) {
  std::string out = note.text + "\n";
  for (const auto& signature : note.signatures) {
    Bytes blob;
    append_be32(blob, signature.key_id);
    blob.insert(blob.end(), signature.bytes.begin(), signature.bytes.end());
    out += fmt::format("{}{} {}\n", signature_prefix, signature.name, to_base64(blob));
  }
  return out;
}

void sign_note(Note& note, const std::string& name, const crypto::SigningKey& key) {
  const VerifierKey about{name, SignatureType::ed25519, key.public_key()};
  const auto signature = key.sign(view(note.text));
  note.signatures.push_back({name, about.id(), Bytes(signature.begin(), signature.end())});
}

Result<std::vector<std::string>> verify_note(const Note& note, std::span<const VerifierKey> keys) {
  std::vector<std::string> signers;
  for (const auto& signature : note.signatures) {
    for (const auto& key : keys) {
      if (key.name != signature.name || key.id() != signature.key_id) continue;
      if (!signature_holds(note, key, signature))
        return bad(fmt::format("the signature of {} on the note is wrong", key.name));
      signers.push_back(key.name);
    }
  }
  if (signers.empty()) return bad("no known key signed the note");
  return signers;
}

std::string checkpoint_text(const Checkpoint& checkpoint) {
  return fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, to_base64(checkpoint.root));
}

Result<Checkpoint> parse_checkpoint(std::string_view text) {
  std::string_view origin;
  std::string_view size;
  std::string_view root;
  if (!take_line(text, origin) || !take_line(text, size) || !take_line(text, root) || origin.empty())
    return bad("a checkpoint has an origin, a size and a root, one a line");
  Checkpoint checkpoint;
  checkpoint.origin = origin;
  if (!parse_decimal(size, checkpoint.size)) return bad("the checkpoint's size is no decimal number");
  const auto hash = array_from_base64<32>(root);
  if (!hash) return bad("the checkpoint's root is no base64 of 32 bytes");
  checkpoint.root = *hash;
  for (std::string_view line; !text.empty();)
    if (!take_line(text, line) || line.empty()) return bad("an extension line of the checkpoint is empty");
  return checkpoint;
}

Result<Checkpoint> verify_checkpoint(std::string_view note_bytes, const VerifierKey& key) {
  VESTIGE_TRY(const auto note, parse_note(note_bytes));
  VESTIGE_CHECKED(verify_note(note, std::span(&key, 1)));
  VESTIGE_TRY(auto checkpoint, parse_checkpoint(note.text));
  if (checkpoint.origin != key.name)
    return bad(fmt::format("the checkpoint is of the log {}, the key of {}", checkpoint.origin, key.name));
  return checkpoint;
}

namespace {
constexpr std::string_view proof_header = "c2sp.org/tlog-proof@v1";
constexpr std::size_t proof_path_max = 64;
}  // namespace

std::string format_proof(const Proof& proof) {
  std::string out = fmt::format("{}\nindex {}\n", proof_header, proof.index);
  for (const auto& hash : proof.path) out += to_base64(hash) + "\n";
  return out + "\n" + proof.checkpoint;
}

Result<Proof> parse_proof(std::string_view text) {
  std::string_view line;
  if (!take_line(text, line) || line != proof_header)
    return bad(fmt::format("a proof starts with the line {}", proof_header));
  Proof proof;
  if (!take_line(text, line)) return bad("the proof ends after its first line");
  if (line.starts_with("extra ")) {
    if (!from_base64(line.substr(6))) return bad("the proof's extra line is no base64");
    if (!take_line(text, line)) return bad("the proof ends after its extra line");
  }
  if (!line.starts_with("index ") || !parse_decimal(line.substr(6), proof.index))
    return bad("the proof has no index line");
  for (;;) {
    if (!take_line(text, line)) return bad("the proof ends before its checkpoint");
    if (line.empty()) break;
    const auto hash = array_from_base64<32>(line);
    if (!hash || proof.path.size() == proof_path_max) return bad("the proof's path does not parse");
    proof.path.push_back(*hash);
  }
  proof.checkpoint = text;
  return proof;
}

namespace {

constexpr unsigned tile_level_max = 63;
constexpr unsigned tile_width = 256;

// "x001/x234/067" to 1234067; false where it is not the canonical spelling.
bool parse_tile_number(std::string_view text, std::uint64_t& number) {
  number = 0;
  bool first = true;
  for (;;) {
    const auto slash = text.find('/');
    auto element = text.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    if (!last) {
      if (!element.starts_with('x')) return false;
      element.remove_prefix(1);
    }
    if (element.size() != 3 || number > (std::uint64_t{1} << 53)) return false;
    if (first && !last && element == "000") return false;
    for (const char c : element) {
      if (c < '0' || c > '9') return false;
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (last) return true;
    first = false;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

std::optional<TileName> parse_tile_path(std::string_view path) {
  TileName name;
  const auto slash = path.find('/');
  std::uint64_t level = 0;
  if (slash == std::string_view::npos || !parse_decimal(path.substr(0, slash), level) ||
      level > tile_level_max)
    return std::nullopt;
  name.level = static_cast<unsigned>(level);
  path.remove_prefix(slash + 1);
  if (const auto partial = path.find(".p/"); partial != std::string_view::npos) {
    std::uint64_t width = 0;
    if (!parse_decimal(path.substr(partial + 3), width) || width == 0 || width >= tile_width)
      return std::nullopt;
    name.width = static_cast<unsigned>(width);
    path = path.substr(0, partial);
  }
  if (!parse_tile_number(path, name.number)) return std::nullopt;
  return name;
}

std::string format_tile_path(const TileName& name) {
  std::string number = fmt::format("{:03}", name.number % 1000);
  for (auto left = name.number / 1000; left > 0; left /= 1000)
    number = fmt::format("x{:03}/{}", left % 1000, number);
  auto path = fmt::format("{}/{}", name.level, number);
  if (name.width != tile_width) path += fmt::format(".p/{}", name.width);
  return path;
}

}  // namespace vestige::trail
