// Property: no target crashes the parser; what it accepts starts with '/' or is "*", holds no NUL, and is
// routed without a crash to exactly one answer.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/encoding.h"
#include "http/internal/target.h"
#include "http/server.h"

namespace {

struct Counter final : vestige::http::Responder::Sink {
  void respond(vestige::http::Response) override { ++answers; }
  std::shared_ptr<vestige::http::EventStream> stream(vestige::http::Response) override {
    ++answers;
    return nullptr;
  }
  int answers = 0;
};

vestige::http::Router routes() {
  vestige::http::Router router;
  for (const char* pattern : {"/", "/a", "/a/{b}", "/a/{b}/c", "/{x}/{y}/{z...}", "/a/b/{rest...}"})
    router.add("GET", pattern, [](vestige::http::Request request, vestige::http::Responder responder) {
      for (const auto& [name, value] : request.captures)
        if (value.empty() || value == "..") std::abort();
      responder.respond({});
    });
  return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto router = routes();
  auto target = vestige::http::internal::parse_target({reinterpret_cast<const char*>(data), size});
  if (!target) return 0;
  if (target->path != "*" && !target->path.starts_with('/')) std::abort();
  if (target->path.find('\0') != std::string::npos && size != 0 && !std::memchr(data, 0, size)) std::abort();
  if (!vestige::is_utf8(target->path)) std::abort();
  const auto sink = std::make_shared<Counter>();
  vestige::http::Request request;
  request.method = "GET";
  request.path = std::move(target->path);
  request.encoded_path = std::move(target->encoded_path);
  router.handle(std::move(request), vestige::http::Responder(sink));
  if (sink->answers != 1) std::abort();
  return 0;
}
