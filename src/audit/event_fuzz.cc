// Property: no text makes the reader of events, or that of import lines, crash; what is accepted is accepted
// again in canonical form and means the same; what is refused names a place with a message fit for a person.
// The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "audit/event.h"
#include "audit/import_line.h"
#include "audit/limits.h"
#include "base/check.h"
#include "base/encoding.h"

namespace vestige::audit {
namespace {

const KindRegistry& kinds() {
  static const auto registry = KindRegistry::with_shipped_kinds();
  CHECK(registry.has_value());
  return **registry;
}

void check_refusal(const Error& error) {
  CHECK(!error.message.empty() && is_utf8(error.message) && is_utf8(error.path));
  CHECK(error.kind != ErrorKind::corrupt && error.kind != ErrorKind::io);
}

void read_one(const json::Value& root) {
  const auto event = read_event(root, kinds(), false);
  if (!event) return check_refusal(event.error());
  CHECK(event->schema != nullptr && !is_system_kind(event->kind));
  CHECK(event->subjects.size() <= subjects_max);
  json::Parser parser;
  json::Document document;
  const auto canonical = json::canonical(root);
  CHECK(parser.parse(canonical, document, {.depth_max = event_depth_max, .bytes_max = batch_bytes_max}));
  const auto again = read_event(document.root(), kinds(), false);
  CHECK(again.has_value());
  CHECK(again->id == event->id && again->time == event->time && again->kind == event->kind &&
        again->action == event->action && again->subjects == event->subjects);
}

void read_import_line(const json::Value& line) {
  static const ImportIds ids(Key{1});
  const auto imported = imported_event(line, "json", ids);
  if (!imported) return check_refusal(imported.error());
  json::Parser parser;
  json::Document document;
  CHECK(parser.parse(imported->json, document,
                     {.depth_max = 2 * event_depth_max, .bytes_max = batch_bytes_max}));
  read_one(document.root());
}

}  // namespace
}  // namespace vestige::audit

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static vestige::json::Parser parser;
  static vestige::json::Document document;
  const auto text = vestige::text({data + 1, size - 1});
  if (!parser.parse(text, document, {.depth_max = vestige::audit::event_depth_max, .bytes_max = 16 << 20}))
    return 0;
  if (data[0] % 2 == 0)
    vestige::audit::read_one(document.root());
  else
    vestige::audit::read_import_line(document.root());
  return 0;
}
