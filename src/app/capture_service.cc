#include "app/capture_service.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>

namespace vestige::app {
namespace {

constexpr std::string_view hash_purpose = "capture-column-hash";

}  // namespace

Result<std::unique_ptr<CaptureService>> CaptureService::open(
    TrailService& trail, platform::Clock& clock, platform::Entropy& entropy,
    const std::vector<sources::postgres::Configuration>& postgres) {
  auto service = std::make_unique<CaptureService>();
  std::set<std::string> names;
  for (const auto& configuration : postgres) {
    VESTIGE_CHECKED(sources::postgres::check(configuration));
    if (!names.insert(configuration.name).second)
      return fail(ErrorKind::invalid, fmt::format("Two sources are named \"{}\".", configuration.name));
    auto* const of_tenant = trail.find(configuration.tenant);
    if (of_tenant == nullptr)
      return fail(
          ErrorKind::invalid,
          fmt::format("The source \"{}\" is for the tenant \"{}\", which there is not. Make it first: "
                      "start without this source, `vestige tenant create {}`, start again.",
                      configuration.name, configuration.tenant, configuration.tenant));
    service->captures_.push_back(std::make_unique<sources::postgres::Capture>(
        configuration, sources::postgres::CaptureParts{
                           .log = trail.log(),
                           .trail = *of_tenant,
                           .trail_of = [&trail](std::string_view tenant) { return trail.find(tenant); },
                           .data = trail.data(),
                           .clock = clock,
                           .entropy = entropy,
                           .hash_key = trail.vault().purpose_key(hash_purpose, configuration.tenant),
                           .say = [](const std::string& text) { spdlog::info("{}", text); },
                           .warn = [](const std::string& text) { spdlog::warn("{}", text); }}));
  }
  return service;
}

void CaptureService::start() {
  for (const auto& capture : captures_) capture->start();
}

void CaptureService::stop() {
  for (const auto& capture : captures_) capture->stop();
}

std::vector<sources::postgres::CaptureFigures> CaptureService::figures() const {
  std::vector<sources::postgres::CaptureFigures> all;
  for (const auto& capture : captures_) all.push_back(capture->figures());
  return all;
}

}  // namespace vestige::app
