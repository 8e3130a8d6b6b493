// Property: no text makes the parser crash or read outside its text; what is accepted has canonical bytes
// that are accepted and are their own canonical bytes; what is refused has a position inside the text.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/encoding.h"
#include "json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static vestige::json::Parser parser;
  static vestige::json::Document document;
  const auto status = parser.parse(vestige::text({data, size}), document);
  if (!status) {
    CHECK(!document.root().exists());
    CHECK(status.error().position && *status.error().position <= size);
    CHECK(vestige::is_utf8(status.error().message) && vestige::is_utf8(status.error().path));
    return 0;
  }
  const auto bytes = canonical(document.root());
  CHECK(vestige::is_utf8(bytes));
  CHECK(parser.parse(bytes, document));
  CHECK(canonical(document.root()) == bytes);
  return 0;
}
