// Brokers in this process (librdkafka's), and a producer and a reader that are not ours.
#pragma once

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vestige::sources::kafka::testing {

using Headers = std::map<std::string, std::string>;

struct Letter {
  std::int64_t offset = 0;
  std::string value;
  Headers headers;
  std::optional<std::string> key{};
};

class MockCluster {
 public:
  explicit MockCluster(int brokers = 1);
  ~MockCluster();
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  void create(const std::string& topic, int partitions);
  // Waits until the brokers have it; gives its offset.
  std::int64_t produce(const std::string& topic, int partition, const std::string& value,
                       const Headers& headers = {});
  // All that is there.
  std::vector<Letter> read(const std::string& topic, int partition);
  // The first offset that is there.
  std::int64_t first_of(const std::string& topic, int partition);
  // The next requests of this kind fail so, one after the other.
  void fail_next(std::int16_t request, std::vector<rd_kafka_resp_err_t> errors);
  void fail_topic(const std::string& topic, rd_kafka_resp_err_t error);
  void take_down(int broker);
  void bring_up(int broker);

  std::string id() const;
  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

 private:
  rd_kafka_t* owner_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  rd_kafka_t* producer_ = nullptr;
};

}  // namespace vestige::sources::kafka::testing
