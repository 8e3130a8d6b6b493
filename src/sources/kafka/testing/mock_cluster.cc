#include "sources/kafka/testing/mock_cluster.h"

#include <array>

namespace vestige::sources::kafka::testing {
namespace {

void set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> why{};
  EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()), RD_KAFKA_CONF_OK)
      << why.data();
}

rd_kafka_t* client(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  std::array<char, 512> why{};
  auto* const made = rd_kafka_new(type, conf, why.data(), why.size());
  EXPECT_NE(made, nullptr) << why.data();
  return made;
}

struct Delivered {
  bool done = false;
  rd_kafka_resp_err_t error{};
  std::int64_t offset = -1;
};

void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  *static_cast<Delivered*>(message->_private) = {true, message->err, message->offset};
}

// Errors that a test injected may meet it too.
bool query(rd_kafka_t* client, const std::string& topic, int partition, std::int64_t& low,
           std::int64_t& high) {
  for (int tries = 0; tries < 10; ++tries)
    if (rd_kafka_query_watermark_offsets(client, topic.c_str(), partition, &low, &high, 5'000) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
      return true;
  return false;
}

}  // namespace

MockCluster::MockCluster(int brokers) {
  owner_ = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
  cluster_ = rd_kafka_mock_cluster_new(owner_, brokers);
  auto* const conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster_));
  set(conf, "linger.ms", "0");
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  producer_ = client(RD_KAFKA_PRODUCER, conf);
}

MockCluster::~MockCluster() {
  rd_kafka_destroy(producer_);
  rd_kafka_mock_cluster_destroy(cluster_);
  rd_kafka_destroy(owner_);
}

std::string MockCluster::id() const {
  auto* const id = rd_kafka_clusterid(producer_, 10'000);
  EXPECT_NE(id, nullptr);
  std::string text = id != nullptr ? id : "";
  rd_kafka_mem_free(producer_, id);
  return text;
}

void MockCluster::create(const std::string& topic, int partitions) {
  ASSERT_EQ(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
}

std::int64_t MockCluster::produce(const std::string& topic, int partition, const std::string& value,
                                  const Headers& headers) {
  auto* const all = rd_kafka_headers_new(headers.size());
  for (const auto& [name, text] : headers)
    rd_kafka_header_add(all, name.c_str(), -1, text.data(), static_cast<ssize_t>(text.size()));
  Delivered report;
  std::array<rd_kafka_vu_t, 6> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = partition;
  parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[2].u.i = RD_KAFKA_MSG_F_COPY;
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {const_cast<char*>(value.data()), value.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[4].u.headers = all;
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = &report;
  EXPECT_EQ(rd_kafka_produceva(producer_, parts.data(), parts.size()), nullptr);
  while (!report.done) rd_kafka_poll(producer_, 100);
  EXPECT_EQ(report.error, RD_KAFKA_RESP_ERR_NO_ERROR) << rd_kafka_err2str(report.error);
  return report.offset;
}

std::vector<Letter> MockCluster::read(const std::string& topic, int partition) {
  std::int64_t low = 0, high = 0;
  std::vector<Letter> letters;
  if (!query(producer_, topic, partition, low, high)) return letters;
  auto* const conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", brokers());
  set(conf, "group.id", "reader");
  set(conf, "enable.auto.commit", "false");
  auto* const reader = client(RD_KAFKA_CONSUMER, conf);
  auto* const list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = low;
  rd_kafka_assign(reader, list);
  rd_kafka_topic_partition_list_destroy(list);
  for (int patience = 100; low + static_cast<std::int64_t>(letters.size()) < high && patience > 0;) {
    auto* const message = rd_kafka_consumer_poll(reader, 100);
    if (message == nullptr) {
      --patience;
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      Letter letter{
          message->offset, std::string(static_cast<const char*>(message->payload), message->len), {}};
      if (message->key != nullptr)
        letter.key = std::string(static_cast<const char*>(message->key), message->key_len);
      rd_kafka_headers_t* headers = nullptr;
      const char* name = nullptr;
      const void* value = nullptr;
      std::size_t size = 0;
      if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i)
          letter.headers[name] = std::string(static_cast<const char*>(value), size);
      letters.push_back(std::move(letter));
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(reader);
  rd_kafka_destroy(reader);
  return letters;
}

std::int64_t MockCluster::first_of(const std::string& topic, int partition) {
  std::int64_t low = -1, high = 0;
  EXPECT_TRUE(query(producer_, topic, partition, low, high));
  return low;
}

void MockCluster::fail_next(std::int16_t request, std::vector<rd_kafka_resp_err_t> errors) {
  rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), errors.data());
}

void MockCluster::fail_topic(const std::string& topic, rd_kafka_resp_err_t error) {
  rd_kafka_mock_topic_set_error(cluster_, topic.c_str(), error);
}

void MockCluster::take_down(int broker) { rd_kafka_mock_broker_set_down(cluster_, broker); }
void MockCluster::bring_up(int broker) { rd_kafka_mock_broker_set_up(cluster_, broker); }

}  // namespace vestige::sources::kafka::testing
