#include "verify/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "verify/internal/pass.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

// not_found where this is no data directory at all; empty where the manifest is damaged, which is then
// reported.
Result<std::optional<trail::Manifest>> read_manifest(platform::FileSystem& data, Problems& problems) {
  const std::string name(trail::manifest_name);
  const auto bytes = platform::read_file(data, name, trail::manifest_bytes_max);
  if (!bytes) {
    if (bytes.error().kind == ErrorKind::not_found && !data.exists("streams") && !data.exists("wal"))
      return fail(
          ErrorKind::not_found,
          fmt::format("{} is no data directory of Vestige: it has no manifest. Give the directory that the "
                      "server was started with.",
                      data.describe("")));
    problems.add_error(Part::manifest, name, bytes.error());
    return std::optional<trail::Manifest>{};
  }
  auto manifest = trail::decode_manifest(*bytes);
  auto status = manifest ? check_manifest(*manifest) : std::unexpected(manifest.error());
  if (!status) {
    problems.add_error(Part::manifest, name, status.error());
    return std::optional<trail::Manifest>{};
  }
  return std::optional(*std::move(manifest));
}

std::string reason_of(const Problem& problem, const trail::Manifest& manifest) {
  if (!problem.stream || !problem.bad.index) return problem.bad.reason;
  const auto stream = std::ranges::find(manifest.streams, *problem.stream, &trail::StreamRecord::number);
  const auto name = stream == manifest.streams.end() ? std::string("an unknown stream") : stream->full_name();
  return fmt::format("entry {} of {}: {}", *problem.bad.index, name, problem.bad.reason);
}

Report report_of(const Problems& problems, const trail::Manifest& manifest, PassOutcome outcome) {
  Report report;
  report.ok = problems.empty();
  report.streams = std::move(outcome.streams);
  report.notes = std::move(outcome.notes);
  for (const auto& problem : problems.sorted()) {
    report.all_bad.push_back(problem.bad);
    report.all_bad.back().reason = reason_of(problem, manifest);
  }
  if (!report.ok) report.first_bad = report.all_bad.front();
  return report;
}

// Whether what was found wrong may only be that the server went on meanwhile.
bool was_replaced(platform::FileSystem& data, const trail::Manifest& manifest) {
  Problems ignored;
  const auto now = read_manifest(data, ignored);
  return now && *now && (*now)->sequence != manifest.sequence;
}

}  // namespace

Result<Report> verify_data(const Inputs& inputs, const Options& options) {
  int restarts = 0;
  for (int pass = 1;;) {
    Problems problems;
    VESTIGE_TRY(const auto manifest, read_manifest(inputs.data, problems));
    if (!manifest) return report_of(problems, {}, {});
    const auto outdated = [&] { return options.while_running && was_replaced(inputs.data, *manifest); };
    // The write-ahead log is what changes fast and is read first; starting over there costs little.
    const bool may_restart = restarts < limits::restarts_max;
    VESTIGE_TRY(auto outcome,
                run_pass(inputs, options, *manifest, problems, [&] { return may_restart && outdated(); }));
    restarts += outcome.ended_early;
    if (outcome.ended_early) continue;
    if (problems.empty() || pass == limits::passes_max || !outdated())
      return report_of(problems, *manifest, std::move(outcome));
    ++pass;
  }
}

}  // namespace vestige::verify
