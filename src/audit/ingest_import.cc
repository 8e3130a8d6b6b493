// The way in for records that another system wrote: their ids are made here, everything else is as for
// events.
#include "audit/ingest.h"
#include "audit/limits.h"

namespace vestige::audit {
namespace {

std::unexpected<Error> in_line(Error error, std::size_t number, std::size_t offset) {
  error.path = "/" + std::to_string(number) + error.path;
  error.position = offset + error.position.value_or(0);
  return std::unexpected(std::move(error));
}

}  // namespace

Status Ingest::add_import(std::string_view text, std::string_view format, const RequestContext& request,
                          Batch& batch) {
  thread_local json::Parser parser;
  thread_local json::Document line;
  thread_local json::Document event;
  // The line around the event is none of it.
  VESTIGE_CHECKED(parser.parse(text, line, {.depth_max = event_depth_max + 1, .bytes_max = batch_bytes_max}));
  VESTIGE_TRY(const auto made, imported_event(line.root(), format, import_ids_));
  // What the event is refused for is told as of the line; its positions are those of a text nobody sent.
  const auto of_event = [&](Error error) {
    error.path = path_in_line(error.path, made.record_is_event);
    error.position.reset();
    return std::unexpected(std::move(error));
  };
  if (auto parsed =
          parser.parse(made.json, event, {.depth_max = event_depth_max, .bytes_max = batch_bytes_max});
      !parsed)
    return of_event(std::move(parsed).error());
  if (auto added = add_event(event.root(), request, false, batch); !added)
    return of_event(std::move(added).error());
  batch.items.back().id_from_record = made.id_from_record;
  return {};
}

Result<Batch> Ingest::prepare_import(std::string_view body, std::string_view format,
                                     const RequestContext& request) {
  if (!is_import_format(format))
    return fail(ErrorKind::not_found,
                "an import's format has at most 32 lower-case letters, digits and dashes");
  Batch batch;
  for (std::size_t start = 0; start < body.size();) {
    const auto end = std::min(body.find('\n', start), body.size());
    const auto text = body.substr(start, end - start);
    if (text.find_first_not_of(" \t\r") != std::string_view::npos)
      if (auto added = add_import(text, format, request, batch); !added)
        return in_line(std::move(added).error(), batch.items.size(), start);
    start = end + 1;
  }
  if (batch.items.empty()) return fail(ErrorKind::invalid, "the request brings no record");
  VESTIGE_CHECKED(find_repeats(batch));
  return batch;
}

}  // namespace vestige::audit
