#include "app/capture_service.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>

namespace vestige::app {
namespace {

constexpr std::string_view hash_purpose = "capture-column-hash";

void say(const std::string& text) { spdlog::info("{}", text); }
void warn(const std::string& text) { spdlog::warn("{}", text); }

Result<audit::TenantTrail*> trail_for(TrailService& trail, const std::string& source,
                                      const std::string& tenant) {
  if (auto* const found = trail.find(tenant)) return found;
  return fail(ErrorKind::invalid,
              fmt::format("The source \"{}\" is for the tenant \"{}\", which there is not. Make it first: "
                          "start without this source, `vestige tenant create {}`, start again.",
                          source, tenant, tenant));
}

}  // namespace

Result<std::unique_ptr<CaptureService>> CaptureService::open(
    TrailService& trail, platform::Clock& clock, platform::Entropy& entropy,
    const std::vector<sources::postgres::Configuration>& postgres,
    const std::vector<sources::kafka::Configuration>& kafka) {
  auto service = std::make_unique<CaptureService>();
  std::set<std::string> names;
  const auto take_name = [&names](const std::string& name) -> Status {
    if (names.insert(name).second) return {};
    return fail(ErrorKind::invalid, fmt::format("Two sources are named \"{}\".", name));
  };
  for (const auto& configuration : postgres) {
    VESTIGE_CHECKED(sources::postgres::check(configuration));
    VESTIGE_CHECKED(take_name(configuration.name));
    VESTIGE_TRY(auto* const of_tenant, trail_for(trail, configuration.name, configuration.tenant));
    service->postgres_.push_back(std::make_unique<sources::postgres::Capture>(
        configuration, sources::postgres::CaptureParts{
                           .log = trail.log(),
                           .trail = *of_tenant,
                           .trail_of = [&trail](std::string_view tenant) { return trail.find(tenant); },
                           .data = trail.data(),
                           .clock = clock,
                           .entropy = entropy,
                           .hash_key = trail.vault().purpose_key(hash_purpose, configuration.tenant),
                           .say = say,
                           .warn = warn}));
  }
  std::set<std::pair<std::string, std::string>> groups;
  for (const auto& configuration : kafka) {
    VESTIGE_CHECKED(sources::kafka::check(configuration));
    VESTIGE_CHECKED(take_name(configuration.name));
    if (!groups.insert({configuration.brokers, configuration.group_name()}).second)
      return fail(ErrorKind::invalid,
                  fmt::format("Two sources read as the group \"{}\": each would get a part of the commands.",
                              configuration.group_name()));
    VESTIGE_TRY(auto* const of_tenant, trail_for(trail, configuration.name, configuration.tenant));
    service->kafka_.push_back(std::make_unique<sources::kafka::Capture>(
        configuration,
        sources::kafka::CaptureParts{
            .log = trail.log(), .trail = *of_tenant, .clock = clock, .say = say, .warn = warn}));
  }
  return service;
}

void CaptureService::start() {
  for (const auto& capture : postgres_) capture->start();
  for (const auto& capture : kafka_) capture->start();
}

void CaptureService::stop() {
  for (const auto& capture : postgres_) capture->stop();
  for (const auto& capture : kafka_) capture->stop();
}

std::vector<sources::postgres::CaptureFigures> CaptureService::postgres_figures() const {
  std::vector<sources::postgres::CaptureFigures> all;
  for (const auto& capture : postgres_) all.push_back(capture->figures());
  return all;
}

std::vector<sources::kafka::CaptureFigures> CaptureService::kafka_figures() const {
  std::vector<sources::kafka::CaptureFigures> all;
  for (const auto& capture : kafka_) all.push_back(capture->figures());
  return all;
}

}  // namespace vestige::app
