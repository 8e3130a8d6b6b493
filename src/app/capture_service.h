// The captures that the configuration names, each with the trail of its tenant.
//
// Order of start: after the trail runs and tenants are known; of stop: before the trail stops, since what was
// read is put on record first.
#pragma once

#include <memory>
#include <vector>

#include "app/trail_service.h"
#include "sources/kafka/capture.h"
#include "sources/postgres/capture.h"

namespace vestige::app {

class CaptureService {
 public:
  // invalid where a source is for a tenant that there is not, or two have one name, or one group of a
  // cluster.
  static Result<std::unique_ptr<CaptureService>> open(
      TrailService& trail, platform::Clock& clock, platform::Entropy& entropy,
      const std::vector<sources::postgres::Configuration>& postgres,
      const std::vector<sources::kafka::Configuration>& kafka);

  void start();
  void stop();
  std::vector<sources::postgres::CaptureFigures> postgres_figures() const;
  std::vector<sources::kafka::CaptureFigures> kafka_figures() const;

 private:
  std::vector<std::unique_ptr<sources::postgres::Capture>> postgres_;
  std::vector<std::unique_ptr<sources::kafka::Capture>> kafka_;
};

}  // namespace vestige::app
