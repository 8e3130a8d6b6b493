// Undoes Content-Encoding while the body arrives, and stops at the limit: a bomb costs no more memory than
// an honest body.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vestige::http::internal {

enum class Encoding { identity, gzip, zstd };
// Of a Content-Encoding value; nothing for one that is not supported.
std::optional<Encoding> encoding_of(std::string_view value);

class BodyDecoder {
 public:
  enum class Outcome { good, too_large, damaged };

  BodyDecoder(Encoding encoding, std::size_t bytes_max);
  ~BodyDecoder();
  BodyDecoder(BodyDecoder&&) noexcept;
  BodyDecoder& operator=(BodyDecoder&&) noexcept;

  // Appends to `out` what `piece` decodes to. At most bytes_max bytes come out over all calls.
  Outcome feed(std::string_view piece, std::string& out);
  // Whether the body may end here: a compressed one that stops in the middle is damaged.
  bool may_end() const;

  struct Inflater;

 private:
  std::unique_ptr<Inflater> inflater_;  // none for identity
  std::size_t bytes_max_;
};

}  // namespace vestige::http::internal
