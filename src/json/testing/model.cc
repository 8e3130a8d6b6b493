#include "json/testing/model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace vestige::json::testing {

namespace {

double random_number(std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return static_cast<double>(static_cast<std::int64_t>(random() % 2000) - 1000);
    case 1:
      return static_cast<double>(static_cast<std::int64_t>(random()) >> (random() % 64));
    case 2:
      return static_cast<double>(random() % 100000) / 1000;
    default:
      break;
  }
  for (;;) {
    const auto value = std::bit_cast<double>(random());
    if (std::isfinite(value)) return value;
  }
}

std::string escaped_unit(std::mt19937_64& random, char16_t unit) {
  char buffer[8];
  std::snprintf(buffer, sizeof buffer, random() % 2 == 0 ? "\\u%04x" : "\\u%04X",
                static_cast<unsigned>(unit));
  return buffer;
}

std::string spell_text(std::mt19937_64& random, const std::u16string& text) {
  const bool escapes_often = random() % 4 == 0;
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool pair = text[i] >= 0xd800 && text[i] < 0xdc00;
    const auto character = std::u16string_view(text).substr(i, pair ? 2 : 1);
    const bool must = text[i] < 0x20 || text[i] == u'"' || text[i] == u'\\';
    if (text[i] == u'\n' && random() % 2 == 0) {
      out += "\\n";
    } else if (text[i] == u'/' && random() % 2 == 0) {
      out += "\\/";
    } else if (must || (escapes_often && random() % 3 == 0)) {
      for (const auto unit : character) out += escaped_unit(random, unit);
    } else {
      out += to_utf8(character);
    }
    if (pair) ++i;
  }
  return out + "\"";
}

// Another decimal text of the same value: zeros appended, or the point moved.
std::string spell_number(std::mt19937_64& random, double value) {
  auto text = naive_number(value);
  if (text.find('e') != std::string::npos) {
    if (random() % 2 == 0) text[text.find('e')] = 'E';
    return text;
  }
  switch (random() % 4) {
    case 0:
      return text + (text.find('.') == std::string::npos ? ".000" : "00");
    case 1:
      return text + (random() % 2 == 0 ? "e0" : "E-00");
    case 2:
      return text.find('.') == std::string::npos && text != "0" ? text + "0e-1" : text;
    default:
      return text;
  }
}

std::string spaces(std::mt19937_64& random) {
  std::string out;
  while (random() % 4 == 0) out += " \t\r\n"[random() % 4];
  return out;
}

std::string literal_text(std::u16string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto unit = text[i];
    const bool pair = unit >= 0xd800 && unit < 0xdc00;
    char buffer[8];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(unit));
    switch (unit) {
      case u'"':
        out += "\\\"";
        break;
      case u'\\':
        out += "\\\\";
        break;
      case u'\b':
        out += "\\b";
        break;
      case u'\t':
        out += "\\t";
        break;
      case u'\n':
        out += "\\n";
        break;
      case u'\f':
        out += "\\f";
        break;
      case u'\r':
        out += "\\r";
        break;
      default:
        out += unit < 0x20 ? std::string(buffer) : to_utf8(text.substr(i, pair ? 2 : 1));
    }
    if (pair) ++i;
  }
  return out + "\"";
}

struct Speller {
  std::mt19937_64& random;
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(double value) const { return spell_number(random, value); }
  std::string operator()(const std::u16string& value) const { return spell_text(random, value); }
  std::string operator()(const Model::Array& array) const {
    std::string out = "[" + spaces(random);
    for (const auto& element : array) {
      if (&element != &array.front()) out += "," + spaces(random);
      out += spell(random, element) + spaces(random);
    }
    return out + "]";
  }
  std::string operator()(const Model::Object& object) const {
    std::vector<std::string> members;
    for (const auto& [key, value] : object) {
      members.push_back(spaces(random) + spell_text(random, key) + spaces(random) + ":" + spaces(random) +
                        spell(random, value) + spaces(random));
    }
    if (random() % 4 != 0) std::shuffle(members.begin(), members.end(), random);
    std::string out = "{" + spaces(random);
    for (const auto& member : members) out += (&member == &members.front() ? "" : ",") + member;
    return out + "}";
  }
};

struct Writer {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(double value) const { return naive_number(value); }
  std::string operator()(const std::u16string& value) const { return literal_text(value); }
  std::string operator()(const Model::Array& array) const {
    std::string out = "[";
    for (const auto& element : array)
      out += (&element == &array.front() ? "" : ",") + naive_canonical(element);
    return out + "]";
  }
  std::string operator()(const Model::Object& object) const {
    std::string out = "{";
    for (const auto& [key, value] : object) {
      out += (out.size() == 1 ? "" : ",") + literal_text(key) + ":" + naive_canonical(value);
    }
    return out + "}";
  }
};

}  // namespace

std::u16string random_text(std::mt19937_64& random) {
  std::u16string text;
  for (auto length = random() % (random() % 8 == 0 ? 40 : 6); length > 0; --length) {
    switch (random() % 8) {
      case 0:
        text += static_cast<char16_t>(random() % 0x20);
        break;
      case 1:
        text += u"\"\\/~\x7f"[random() % 5];
        break;
      case 2:
        text += static_cast<char16_t>(0x80 + random() % 0xd700);
        break;
      case 3:
        text += static_cast<char16_t>(0xe000 + random() % 0x2000);
        break;
      case 4:
        text += static_cast<char16_t>(0xd800 + random() % 0x400);
        text += static_cast<char16_t>(0xdc00 + random() % 0x400);
        break;
      default:
        text += static_cast<char16_t>(u'a' + random() % 3);
    }
  }
  return text;
}

Model random_model(std::mt19937_64& random, int depth_max) {
  switch (random() % (depth_max > 0 ? 7 : 4)) {
    case 0:
      return {random() % 2 == 0 ? decltype(Model::value)(nullptr) : decltype(Model::value)(random() % 4 < 2)};
    case 1:
      return {random_number(random)};
    case 2:
    case 3:
      return {random_text(random)};
    case 4: {
      Model::Array array(random() % 6);
      for (auto& element : array) element = random_model(random, depth_max - 1);
      return {std::move(array)};
    }
    default: {
      Model::Object object;
      for (auto count = random() % (random() % 10 == 0 ? 60 : 8); count > 0; --count) {
        object[random_text(random)] = random_model(random, depth_max - 1);
      }
      return {std::move(object)};
    }
  }
}

std::string spell(std::mt19937_64& random, const Model& model) {
  return std::visit(Speller{random}, model.value);
}
std::string naive_canonical(const Model& model) { return std::visit(Writer{}, model.value); }

std::string naive_number(double value) {
  if (value == 0) return "0";
  char text[40];
  int digits_count = 1;
  do {
    std::snprintf(text, sizeof text, "%.*e", digits_count - 1, std::abs(value));
  } while (std::strtod(text, nullptr) != std::abs(value) && ++digits_count < 20);
  std::string digits;
  const std::string written(text);
  for (const char c : written.substr(0, written.find('e'))) {
    if (c != '.') digits += c;
  }
  const int k = static_cast<int>(digits.size());
  const int n = std::atoi(written.c_str() + written.find('e') + 1) + 1;
  const std::string sign = value < 0 ? "-" : "";
  if (k <= n && n <= 21) return sign + digits + std::string(static_cast<std::size_t>(n - k), '0');
  if (0 < n && n <= 21) return sign + digits.substr(0, n) + "." + digits.substr(n);
  if (-6 < n && n <= 0) return sign + "0." + std::string(static_cast<std::size_t>(-n), '0') + digits;
  const auto exponent = (n > 0 ? "e+" : "e-") + std::to_string(std::abs(n - 1));
  return sign + digits.substr(0, 1) + (k > 1 ? "." + digits.substr(1) : "") + exponent;
}

std::string to_utf8(std::u16string_view utf16) {
  std::string out;
  for (std::size_t i = 0; i < utf16.size(); ++i) {
    char32_t point = utf16[i];
    if (point >= 0xd800 && point < 0xdc00) point = 0x10000 + (point - 0xd800) * 0x400 + (utf16[++i] - 0xdc00);
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (point >> shift & 0x3f)); };
    if (point < 0x80) {
      out += static_cast<char>(point);
    } else if (point < 0x800) {
      out += static_cast<char>(0xc0 | point >> 6);
      tail(0);
    } else if (point < 0x10000) {
      out += static_cast<char>(0xe0 | point >> 12);
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | point >> 18);
      tail(12), tail(6), tail(0);
    }
  }
  return out;
}

std::u16string to_utf16(std::string_view utf8) {
  std::u16string out;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const int tails = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    char32_t point = tails == 0 ? lead : lead & (0x3f >> tails);
    ++i;
    for (int t = 0; t < tails; ++t) point = point << 6 | (static_cast<unsigned char>(utf8[i++]) & 0x3f);
    if (point >= 0x10000) {
      out += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
      out += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      out += static_cast<char16_t>(point);
    }
  }
  return out;
}

}  // namespace vestige::json::testing
