// Sealed sections: the personal values of one entry that belong to one owner (or one group of owners), as a
// blob beside the entry and a root inside it. Format: docs/formats/entry.md. Pure functions; keys are given
// by the caller.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "platform/entropy.h"

namespace vestige::seal {

// A JSON pointer into the event and a canonical JSON value: a scalar, or an empty container.
struct Pair {
  std::string path;
  std::string value;
  bool operator==(const Pair&) const = default;
};

inline constexpr std::string_view mac_path = "mac";  // of the last pair of an entry's first section
inline constexpr std::size_t owners_max = 16;        // of one section
inline constexpr std::size_t pairs_max = 65'536;
inline constexpr std::size_t plain_bytes_max = 8 << 20;

enum class Form : std::uint8_t { one = 0, any = 1, all = 2 };

// What the entry says about a section.
struct Reference {
  Form form = Form::one;
  std::vector<Block16> refs;  // sorted; one for Form::one
  Hash root{};
};

// Retention: the class and month whose key the content depends on beside its owners'.
struct Retention {
  std::uint8_t retention_class = 0;
  std::uint16_t month = 0;
  Key key{};
};

// What the section is bound to.
struct Binding {
  std::string stream;  // "<tenant>/<stream>"
  Uuid entry;
};

struct SealedSection {
  Reference reference;
  Bytes blob;
};

// `keys` are the owners' in the order of `refs`.
SealedSection seal_section(std::span<const Pair> pairs, Form form, std::vector<Block16> refs,
                           std::span<const Key> keys, const Retention& retention, const Binding& binding,
                           platform::Entropy& entropy);

struct SectionHead {
  std::uint8_t retention_class = 0;
  std::uint16_t month = 0;
  Form form = Form::one;
};
Result<SectionHead> read_section_head(ByteView blob);

struct OpenedSection {
  std::vector<Pair> pairs;
  Block16 seed{};  // of their salts
};

// Decrypts and recomputes the root. `keys` in the order of refs; for Form::all an empty key stands for an
// owner that is gone, one is enough. corrupt where anything does not match.
Result<OpenedSection> open_section(ByteView blob, const Reference& reference,
                                   std::span<const std::optional<Key>> keys, const Key& retention_key,
                                   const Binding& binding);

Block16 salt_of(const Block16& seed, std::size_t index);
Hash pair_leaf(const Block16& salt, const Pair& pair);
// The root over the pairs' leaves, with the salts that the seed gives.
Hash pairs_root(std::span<const Pair> pairs, const Block16& seed);
// RFC 6962 inclusion path of one of the pairs; index < pairs.size().
std::vector<Hash> pair_path(std::span<const Pair> pairs, const Block16& seed, std::size_t index);

// The value of an entry's member "sealed", and back.
void append_references(std::string& to, std::span<const Reference> references);
Result<std::vector<Reference>> parse_references(std::string_view json);

}  // namespace vestige::seal
