#include "cli/internal/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/rotation.h"
#include "crypto/digest.h"

namespace vestige::cli {
namespace {

const std::string events_path = "/api/events";
const std::string ndjson_type = "application/x-ndjson";
// So often is the position written: often enough that little is sent again, seldom enough to cost nothing.
constexpr std::uint64_t batches_between_saves = 50;

// What Retry-After asks for, where it is a number of seconds.
std::optional<std::chrono::milliseconds> retry_after(const http::ClientResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name != "retry-after") continue;
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error == std::errc{} && end == value.data() + value.size())
      return std::min(std::chrono::seconds(seconds), retry_after_max);
  }
  return std::nullopt;
}

}  // namespace

Importer::Importer(const ImportArguments& arguments, const importing::ReaderOptions& options,
                   Connection* connection, Surroundings& surroundings)
    : arguments_(arguments),
      options_(options),
      connection_(connection),
      surroundings_(surroundings),
      progress_(surroundings),
      paths_(oldest_first(arguments.paths)) {}

Status Importer::run() {
  if (!arguments_.resume.empty()) {
    VESTIGE_TRY(start_, read_position(arguments_.resume));
  }
  const auto imported = import_all();
  // Also after a failure: what is there need not be sent again.
  const auto saved = save_position();
  return imported ? saved : imported;
}

Status Importer::import_all() {
  for (const auto& path : paths_) VESTIGE_CHECKED(import_path(path));
  if (start_ && read_.records < start_->records)
    return fail(
        ErrorKind::invalid,
        fmt::format(
            "There are {} records here, fewer than the {} of which {} says that they were imported: it "
            "belongs to other files. Leave --resume out, or name a file that does not exist yet.",
            read_.records, start_->records, arguments_.resume));
  return {};
}

Status Importer::save_position() {
  batches_unsaved_ = 0;
  if (arguments_.resume.empty() || sent_.records == 0) return {};
  return write_position(arguments_.resume, sent_);
}

Status Importer::import_path(const std::string& path) {
  auto reader = importing::open_reader(arguments_.format, path, options_);
  if (!reader) {
    // A path that is not there is a wrong command line.
    if (reader.error().kind == ErrorKind::not_found) reader.error().kind = ErrorKind::invalid;
    return std::unexpected(std::move(reader).error());
  }
  files_.push_back({.path = path, .format = (*reader)->format()});
  for (;;) {
    auto event = (*reader)->next();
    if (!event) {
      // What was read before the bad place is good, and is kept.
      VESTIGE_CHECKED(send_batch());
      return fail(ErrorKind::corrupt, std::move(event).error().message);
    }
    if (!*event) break;
    VESTIGE_CHECKED(add(**event, (*reader)->format()));
    progress_.update(path, overall((*reader)->progress()), read_.records);
  }
  VESTIGE_CHECKED(send_batch());
  progress_.clear();
  for (const auto& notice : (*reader)->notices())
    surroundings_.say(fmt::format("vestige: {}: {}\n", escaped(path), escaped(notice)));
  return {};
}

std::optional<double> Importer::overall(std::optional<double> share) const {
  const auto done = static_cast<double>(files_.size() - 1);
  const auto all = static_cast<double>(paths_.size());
  if (!share) return all > 1 ? std::optional(done / all) : std::nullopt;
  return (done + *share) / all;
}

Status Importer::add(const importing::ImportedEvent& event, const std::string& format) {
  const bool is_record = !event.record.empty();
  const auto count = is_record ? occurrences_.count(format, event.record, event.lossless)
                               : importing::Occurrences::Count{.digest = crypto::sha256(view(event.json))};
  const auto line = request_line(event, count.occurrence);
  ++files_.back().records;
  ++read_.records;
  read_.digest = digest_after(read_.digest, count.digest);
  if (connection_ == nullptr) {
    surroundings_.print((event.json.empty() ? event.record : event.json) + "\n");
    return {};
  }
  if (start_ && read_.records < start_->records) {
    ++files_.back().duplicates;
    return {};
  }
  const auto target = is_record ? fmt::format("/api/imports/{}", format) : events_path;
  if (target != batch_.target || !batch_.has_room_for(line.size())) VESTIGE_CHECKED(send_batch());
  batch_.target = target;
  batch_.body += line;
  batch_.body += '\n';
  batch_.wheres.push_back(event.where);
  batch_.end = read_;
  if (!start_ || read_.records != start_->records) return {};
  if (read_.digest != start_->digest)
    return other_import(
        fmt::format("The first {} records are not those that were imported", start_->records));
  return send_batch();
}

Status Importer::send_batch() {
  if (batch_.wheres.empty()) return {};
  VESTIGE_TRY(const auto response, post());
  VESTIGE_CHECKED(take_answer(response.body));
  batch_.clear();
  return ++batches_unsaved_ < batches_between_saves ? Status{} : save_position();
}

Status Importer::take_answer(const std::string& body) {
  json::Document document;
  VESTIGE_CHECKED(parse_answer(body, document));
  const auto accepted = number_of(document.root(), "accepted", UINT64_MAX);
  const auto duplicates = number_of(document.root(), "duplicates", UINT64_MAX);
  const auto events = document.root().find("events");
  const auto last = events.is_array() && events.size() == batch_.wheres.size()
                        ? number_of(events.at(events.size() - 1), "index", UINT64_MAX)
                        : UINT64_MAX;
  const bool has_index = last != UINT64_MAX || arguments_.resume.empty();
  if (accepted > batch_.wheres.size() || duplicates != batch_.wheres.size() - accepted || !has_index)
    return fail(ErrorKind::corrupt,
                fmt::format("The server acknowledged something else than the {} events that it was sent: {}",
                            batch_.wheres.size(), escaped(std::string_view(body).substr(0, 200))));
  files_.back().accepted += accepted;
  files_.back().duplicates += duplicates;
  batch_.end.index = last;
  if (start_ && batch_.end.records == start_->records && (duplicates != 1 || last != start_->index))
    return other_import(fmt::format("The server does not have the last record at index {}", start_->index));
  sent_ = batch_.end;
  return {};
}

std::unexpected<Error> Importer::other_import(std::string_view what) const {
  return fail(
      ErrorKind::invalid,
      fmt::format("{}, so what {} says does not hold here. Leave --resume out, or name a file that does not "
                  "exist yet: then everything is sent, and adds only what is missing.",
                  what, arguments_.resume));
}

Result<http::ClientResponse> Importer::post() {
  auto pause = retry_pause_min;
  for (unsigned attempt = 1;; ++attempt) {
    auto response = connection_->client().send("POST", batch_.target, batch_.body, ndjson_type);
    if (!response && response.error().kind != ErrorKind::unavailable) return response;
    const bool busy = response && (response->status == 503 || response->status == 429);
    if (response && !busy) {
      if (response->status < 300 && response->status != waiting_status) return response;
      return std::unexpected(refused(*response));
    }
    // A server that never answered is more likely not there than lost.
    const bool give_up = attempt == batch_attempts_max || (!response && !reached_);
    reached_ = reached_ || response;
    const auto why = response ? describe_refusal(*response) : response.error().message;
    if (give_up)
      return fail(ErrorKind::unavailable,
                  fmt::format("{}\n  {}", why,
                              attempt == 1 ? fmt::format("The address comes from {}.",
                                                         connection_->target().url_source)
                                           : fmt::format("Given up after {} attempts.", attempt)));
    const auto wait = std::max(pause, response ? retry_after(*response).value_or(pause) : pause);
    if (attempt == 1) {
      progress_.clear();
      surroundings_.say(fmt::format("vestige: {}\n  Waiting {} ms and trying again, up to {} times.\n", why,
                                    wait.count(), batch_attempts_max - 1));
    }
    surroundings_.pause(wait);
    pause = std::min(pause * 2, retry_pause_max);
  }
}

Error Importer::refused(const http::ClientResponse& response) const {
  auto error = refusal(response);
  error.kind = ErrorKind::denied;
  const auto& path = files_.back().path;
  if (const auto event = event_of_problem(response.body, batch_.body); event && *event < batch_.wheres.size())
    error.message +=
        fmt::format("\n  The record is {} of {}.", escaped(batch_.wheres[*event]), escaped(path));
  else
    error.message += fmt::format("\n  The batch holds {} to {} of {}.", escaped(batch_.wheres.front()),
                                 escaped(batch_.wheres.back()), escaped(path));
  error.message += fmt::format(
      "\n  Nothing of this batch ({} events) was kept. What was accepted before stays; importing again adds "
      "only "
      "what is missing.",
      batch_.wheres.size());
  return error;
}

}  // namespace vestige::cli
