// What the values of an entry are found by: hashes that stand in the filters of sidecars
// (docs/formats/sidecar.md). The same for a value that is clear and for one that is sealed.
//
// A value is found by each word of its texts and numbers; each text or number of several words without
// blanks, whole (an address, an id with dashes); sourceId and targetId also under their names.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "seal/section.h"

namespace vestige::seal {

using Token = std::uint64_t;  // never 0

// Different kinds of tokens are hashed with different seeds.
enum class TokenKind : std::uint64_t { word = 1, whole = 2, source_id = 3, target_id = 4, ref = 5 };
Token token(TokenKind kind, std::string_view text);

struct TextShape {
  std::size_t words = 0;
  bool blanks = false;
};
// The words of a text as tokens.
TextShape add_words(std::string_view text, std::vector<Token>& to);
bool is_found_whole(const TextShape& shape, std::string_view text);

// Members of an event that say something about the entry and are not searched as text.
bool is_searched_as_text(std::string_view member);
// Between the quotes, as it is written, escapes included.
std::string_view content_of(std::string_view json_string);

// Of a member of the event, or what a section has of it: `path` is a JSON pointer without its first slash.
void add_value_tokens(std::string_view path, std::string_view json, std::vector<Token>& to);
// Of all that a section holds.
void add_pair_tokens(std::span<const Pair> pairs, std::vector<Token>& to);

}  // namespace vestige::seal
