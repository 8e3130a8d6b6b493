// Text that must not outlive its use: client secrets, codes' verifiers, tokens.
#pragma once

#include <string>
#include <utility>

#include "base/bytes.h"
#include "crypto/digest.h"

namespace vestige::access::oidc {

// Overwritten when it goes or is moved from. Never grown in place, which would leave a copy behind.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  ~SecretText() { wipe(text_); }
  SecretText(SecretText&& other) noexcept : text_(other.text_) { wipe(other.text_); }
  SecretText& operator=(SecretText&& other) noexcept {
    if (this == &other) return *this;
    wipe(text_);
    text_.swap(other.text_);
    return *this;
  }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }

  // For a buffer that is not held in one of these.
  static void wipe(std::string& text) {
    crypto::cleanse({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    text.clear();
  }

 private:
  std::string text_;
};

}  // namespace vestige::access::oidc
