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

// Hands the event of each line to `take`: a Status of (const json::Value&, const ImportedEvent&).
template <typename Take>
Status for_each_record(std::string_view body, std::string_view format, const ImportIds& ids, Take take) {
  thread_local json::Parser parser;
  thread_local json::Document line;
  thread_local json::Document event;
  if (!is_import_format(format))
    return fail(ErrorKind::not_found,
                "an import's format has at most 32 lower-case letters, digits and dashes");
  const auto take_line = [&](std::string_view text) -> Status {
    // The line around the event is none of it.
    VESTIGE_CHECKED(
        parser.parse(text, line, {.depth_max = event_depth_max + 1, .bytes_max = batch_bytes_max}));
    VESTIGE_TRY(const auto made, imported_event(line.root(), format, ids));
    auto taken = parser.parse(made.json, event, {.depth_max = event_depth_max, .bytes_max = batch_bytes_max});
    if (taken) taken = take(event.root(), made);
    if (taken) return {};
    // What the event is refused for is told as of the line; its positions are those of a text nobody sent.
    auto error = std::move(taken).error();
    error.path = path_in_line(error.path, made.record_is_event);
    error.position.reset();
    return std::unexpected(std::move(error));
  };
  std::size_t number = 0;
  for (std::size_t start = 0; start < body.size();) {
    const auto end = std::min(body.find('\n', start), body.size());
    const auto text = body.substr(start, end - start);
    if (text.find_first_not_of(" \t\r") != std::string_view::npos) {
      if (auto taken = take_line(text); !taken) return in_line(std::move(taken).error(), number, start);
      ++number;
    }
    start = end + 1;
  }
  if (number == 0) return fail(ErrorKind::invalid, "the request brings no record");
  return {};
}

}  // namespace

Result<Batch> Ingest::prepare_import(std::string_view body, std::string_view format,
                                     const RequestContext& request) {
  Batch batch;
  VESTIGE_CHECKED(for_each_record(body, format, import_ids_,
                                  [&](const json::Value& event, const ImportedEvent& made) -> Status {
                                    VESTIGE_CHECKED(add_event(event, request, false, batch));
                                    batch.items.back().id_from_record = made.id_from_record;
                                    return {};
                                  }));
  VESTIGE_CHECKED(find_repeats(batch));
  return batch;
}

Status Ingest::examine_import(std::string_view body, std::string_view format, const See& see) const {
  return for_each_record(body, format, import_ids_,
                         [&](const json::Value& value, const ImportedEvent&) -> Status {
                           VESTIGE_TRY(const auto event, read_event(value, kinds_, false));
                           return see(event);
                         });
}

}  // namespace vestige::audit
