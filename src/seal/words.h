// Words of a text as searches know them, the same when a text is indexed and when it is looked for.
//
// A word is a run of letters, digits and marks, folded: compatibility decomposition, full case folding, marks
// removed (Unicode, by utf8proc), so "Café", "CAFE" and "cafe" are one word. A character of a script that is
// written without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) is a word of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vestige::seal {

// Reads the words of one text in order. The text must be valid UTF-8 and outlive the reader.
class WordReader {
 public:
  // Stars::belong: '*' counts as a letter, as in a pattern that words are held against.
  enum class Stars { separate, belong };
  explicit WordReader(std::string_view text, Stars stars = Stars::separate)
      : text_(text), stars_belong_(stars == Stars::belong) {}
  // False at the end. `word` is folded, not empty, and valid until the next call.
  bool next(std::string_view& word);

 private:
  bool next_ascii(std::string_view& word);
  bool next_unicode(std::string_view& word);
  // 0 for what is no part of a word.
  char folded_ascii(char c) const;

  std::string_view text_;
  bool stars_belong_;
  std::size_t at_ = 0;
  std::string folded_;
};

// A whole text folded, blanks and punctuation kept: what comparisons that ignore case and accents compare.
std::string fold(std::string_view text);

// Whether `text` is `pattern`, in which each '*' stands for any characters, none included.
bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace vestige::seal
