// Property: no bytes crash the reader, and how they are cut into pieces changes nothing of what it reads.
// The first byte seeds the cuts.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/internal/request_reader.h"

namespace {

using vestige::http::internal::Budget;
using vestige::http::internal::RequestReader;

std::string read_all(std::string_view bytes, std::size_t piece) {
  Budget budget(1 << 20);
  RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 4096}, budget);
  std::string seen;
  std::string buffer;
  reader.start();
  for (std::size_t at = 0; at < bytes.size();) {
    const auto count = std::min(piece, bytes.size() - at);
    buffer.append(bytes.substr(at, count));
    at += count;
    for (;;) {
      std::string_view left = buffer;
      const auto step = reader.feed(left);
      buffer.erase(0, buffer.size() - left.size());
      if (step == RequestReader::Step::need_more) break;
      if (step == RequestReader::Step::header_done) continue;
      // When damage is noticed depends on the cuts; that no further request is read after it does not.
      if (step == RequestReader::Step::refused) return seen;
      const auto& request = reader.request();
      seen += request.method + " " + request.path + " " + request.body + "\n";
      reader.start();
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (read_all(bytes, bytes.size() + 1) != read_all(bytes, 1 + data[0] % 16)) std::abort();
  return 0;
}
