#include "trail/format/members.h"

#include <cstring>

namespace vestige::trail {

// `at` is behind an opening quote; gives the place of the closing one, or the size where there is none.
std::size_t MemberScanner::string_end(std::size_t at) {
  while (at < text_.size()) {
    const auto* quote = static_cast<const char*>(std::memchr(text_.data() + at, '"', text_.size() - at));
    if (quote == nullptr) return text_.size();
    const auto place = static_cast<std::size_t>(quote - text_.data());
    std::size_t slashes = 0;
    while (slashes < place - at && text_[place - 1 - slashes] == '\\') ++slashes;
    if (slashes % 2 == 0) return place;
    at = place + 1;
  }
  return text_.size();
}

// Gives the place behind the value that starts at `at`.
std::size_t MemberScanner::value_end(std::size_t at) {
  if (text_[at] == '"') return string_end(at + 1) + 1;
  std::size_t depth = 0;
  for (; at < text_.size(); ++at) {
    switch (text_[at]) {
      case '"':
        at = string_end(at + 1);
        break;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (depth == 0) return at;  // a scalar before the object's end
        if (--depth == 0) return at + 1;
        break;
      case ',':
        if (depth == 0) return at;
        break;
      default:
        break;
    }
  }
  return at;
}

std::optional<Member> MemberScanner::next() {
  if (!ok_ || at_ + 1 >= text_.size()) return std::nullopt;
  Member member{};
  member.start = at_;
  ok_ = false;
  if (text_[at_] != '"') return std::nullopt;
  const auto key_end = string_end(at_ + 1);
  if (key_end + 2 >= text_.size() || text_[key_end + 1] != ':') return std::nullopt;
  member.key = text_.substr(at_ + 1, key_end - at_ - 1);
  const auto start = key_end + 2;
  member.end = value_end(start);
  if (member.end <= start || member.end >= text_.size()) return std::nullopt;
  member.value = text_.substr(start, member.end - start);
  const bool last = member.end + 1 == text_.size();
  if (!last && text_[member.end] != ',') return std::nullopt;
  at_ = last ? member.end : member.end + 1;
  // A comma with nothing behind it.
  if (!last && at_ + 1 == text_.size()) return std::nullopt;
  ok_ = true;
  return member;
}

}  // namespace vestige::trail
