#include "sources/kafka/broker.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {
namespace {

struct Destroy {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
template <typename T>
using Owned = std::unique_ptr<T, Destroy>;

constexpr int wait_of(std::chrono::milliseconds patience) { return static_cast<int>(patience.count()); }

// What was asked of a broker and failed: all of these are tried again.
std::unexpected<Error> failed(std::string_view what, rd_kafka_resp_err_t code) {
  return fail(ErrorKind::unavailable, fmt::format("{}: {}", what, rd_kafka_err2str(code)));
}

// Values may be secret, so no message has them; librdkafka's own ones would.
Status set_option(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> ignored{};
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), ignored.data(), ignored.size())) {
    case RD_KAFKA_CONF_OK:
      return {};
    case RD_KAFKA_CONF_UNKNOWN:
      return fail(ErrorKind::invalid, fmt::format("librdkafka has no option {}", name));
    default:
      return fail(ErrorKind::invalid, fmt::format("the value of the option {} is none that it takes", name));
  }
}

// A secret that stands in an error of SSL would be one of the operator's files' names at most.
void keep_quiet(const rd_kafka_t*, int, const char*, const char*) {}

using Settings = std::vector<std::pair<std::string, std::string>>;

Result<Owned<rd_kafka_conf_t>> configure(const Cluster& cluster, const Settings& ours,
                                         const Settings& defaults = {}) {
  Owned<rd_kafka_conf_t> conf(rd_kafka_conf_new());
  VESTIGE_CHECKED(set_option(conf.get(), "client.id", "vestige"));
  for (const auto& [name, value] : defaults) VESTIGE_CHECKED(set_option(conf.get(), name, value));
  for (const auto& [name, value] : cluster.options) VESTIGE_CHECKED(set_option(conf.get(), name, value));
  VESTIGE_CHECKED(set_option(conf.get(), "bootstrap.servers", cluster.brokers));
  for (const auto& [name, value] : ours) VESTIGE_CHECKED(set_option(conf.get(), name, value));
  rd_kafka_conf_set_log_cb(conf.get(), keep_quiet);
  return conf;
}

Result<Owned<rd_kafka_t>> make_client(rd_kafka_type_t type, Owned<rd_kafka_conf_t> conf) {
  std::array<char, 512> why{};
  auto* const client = rd_kafka_new(type, conf.get(), why.data(), why.size());
  if (client == nullptr)
    return fail(ErrorKind::invalid, fmt::format("librdkafka does not start: {}", why.data()));
  static_cast<void>(conf.release());  // is the client's now
  return Owned<rd_kafka_t>(client);
}

Result<std::string> cluster_of(rd_kafka_t* client) {
  auto* const id = rd_kafka_clusterid(client, wait_of(limits::answer_patience));
  if (id == nullptr) return fail(ErrorKind::unavailable, "no broker of the cluster answers");
  std::string text = id;
  rd_kafka_mem_free(client, id);
  return text;
}

Settings consumer_settings(const Configuration& configuration) {
  return {{"group.id", configuration.group_name()},
          {"enable.auto.commit", "false"},
          {"enable.auto.offset.store", "false"},
          {"auto.offset.reset", "error"},
          {"enable.partition.eof", "true"},
          {"isolation.level", "read_committed"},
          {"partition.assignment.strategy", "range,roundrobin"},
          {"topic.blacklist", R"(^.*\.dlq$)"},
          {"queued.max.messages.kbytes", std::to_string(limits::fetched_kilobytes_max)}};
}

// What a broker was asked when it died is waited for when the consumer closes: a minute by default, which
// whoever stops the server would wait.
Settings consumer_defaults() {
  return {{"socket.timeout.ms", std::to_string(limits::request_patience.count())}};
}

// What follows a request that failed has a sequence number that brokers refuse, and librdkafka gives up
// instead of numbering anew (gapless). One request under way a broker, so that little comes twice after a
// failure.
Settings producer_settings(const Producer::Terms& terms) {
  Settings settings = {{"acks", "all"},
                       {"enable.idempotence", "true"},
                       {"enable.gapless.guarantee", "true"},
                       {"max.in.flight.requests.per.connection", "1"},
                       {"delivery.report.only.error", "false"},
                       {"message.timeout.ms", std::to_string(terms.patience.count())},
                       {"message.max.bytes", std::to_string(limits::sent_bytes_max)},
                       {"queue.buffering.max.kbytes", std::to_string(limits::sending_kilobytes_max)},
                       // Without a key to the same partition each time: the random ones would break the order
                       // of what is sent again.
                       {"partitioner", "murmur2"},
                       {"linger.ms", "0"}};
  if (terms.one_by_one) settings.emplace_back("batch.num.messages", "1");
  return settings;
}

// What became of a message. The kind says what can be done.
Status outcome_of(std::string_view topic, rd_kafka_resp_err_t code) {
  const auto because = [&](ErrorKind kind) {
    return fail(kind, fmt::format("{}: {}", topic, rd_kafka_err2str(code)));
  };
  switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return {};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return because(ErrorKind::exhausted);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return because(ErrorKind::not_found);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return because(ErrorKind::denied);
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      return because(ErrorKind::invalid);
    default:
      return because(ErrorKind::unavailable);
  }
}

Owned<rd_kafka_topic_partition_list_t> list_of(const std::vector<Start>& starts) {
  Owned<rd_kafka_topic_partition_list_t> list(
      rd_kafka_topic_partition_list_new(static_cast<int>(starts.size())));
  for (const auto& [place, offset] : starts)
    rd_kafka_topic_partition_list_add(list.get(), place.topic.c_str(), place.partition)->offset =
        offset.value_or(RD_KAFKA_OFFSET_BEGINNING);
  return list;
}

Message message_of(const rd_kafka_message_t& from) {
  Message message{.place = {rd_kafka_topic_name(from.rkt), from.partition}, .offset = from.offset};
  rd_kafka_timestamp_type_t type{};
  if (const auto time = rd_kafka_message_timestamp(&from, &type); type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
    message.time = UnixMs{time};
  if (from.key != nullptr) message.key.emplace(static_cast<const char*>(from.key), from.key_len);
  if (from.payload != nullptr) message.value.emplace(static_cast<const char*>(from.payload), from.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&from, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return message;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    auto& header = message.headers.emplace_back(name, std::nullopt);
    if (value != nullptr) header.second.emplace(static_cast<const char*>(value), size);
  }
  return message;
}

Outgoing outgoing_of(const Letter& letter) {
  const auto& message = *letter.message;
  Outgoing sent{.key = message.key, .value = message.value, .headers = message.headers};
  if (letter.bare) {
    const auto bytes = sent.bytes();
    sent = {};
    sent.headers.emplace_back("vestige.bytes", std::to_string(bytes));
  }
  sent.headers.emplace_back("vestige.reason", letter.reason);
  sent.headers.emplace_back("vestige.topic", message.place.topic);
  sent.headers.emplace_back("vestige.partition", std::to_string(message.place.partition));
  sent.headers.emplace_back("vestige.offset", std::to_string(message.offset));
  return sent;
}

}  // namespace

Status check_options(const Configuration& configuration) {
  const auto consumer =
      configure(configuration.cluster(), consumer_settings(configuration), consumer_defaults());
  return consumer ? Status{} : std::unexpected(consumer.error());
}

Status check_options(const Cluster& cluster) {
  const auto producer = configure(cluster, producer_settings({}));
  return producer ? Status{} : std::unexpected(producer.error());
}

struct Consumer::Session {
  static void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t* partitions, void* opaque);
  static void on_error(rd_kafka_t* client, int code, const char* reason, void* opaque);
  static rd_kafka_resp_err_t begin(rd_kafka_t* client, const std::vector<Start>& starts);

  // Where partitions begin or end, in their order.
  Result<std::vector<std::int64_t>> ask(const std::vector<Place>& places, std::int64_t which,
                                        std::chrono::milliseconds patience) const;
  static constexpr std::string_view unheard = "nobody says where a partition begins and ends";

  Handlers handlers;
  Owned<rd_kafka_t> client;
};

void Consumer::Session::on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t what,
                                     rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto& self = *static_cast<Session*>(opaque);
  if (what != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    self.handlers.revoked();
    rd_kafka_assign(client, nullptr);
    return;
  }
  std::vector<Place> places;
  for (int i = 0; i < partitions->cnt; ++i)
    places.push_back({partitions->elems[i].topic, partitions->elems[i].partition});
  begin(client, self.handlers.assigned(places));
}

// One that is paused would stay so, also when it was another's in between.
rd_kafka_resp_err_t Consumer::Session::begin(rd_kafka_t* client, const std::vector<Start>& starts) {
  const auto list = list_of(starts);
  const auto code = rd_kafka_assign(client, list.get());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_resume_partitions(client, list.get());
  return code;
}

void Consumer::Session::on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto& self = *static_cast<Session*>(opaque);
  self.handlers.trouble(
      code, fmt::format("{}: {}", rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(code)), reason));
}

Consumer::Consumer(std::unique_ptr<Session> session) : session_(std::move(session)) {}

Result<std::unique_ptr<Consumer>> Consumer::open(const Configuration& configuration, Handlers handlers) {
  auto session = std::make_unique<Session>();
  session->handlers = std::move(handlers);
  VESTIGE_TRY(auto conf,
              configure(configuration.cluster(), consumer_settings(configuration), consumer_defaults()));
  rd_kafka_conf_set_opaque(conf.get(), session.get());
  rd_kafka_conf_set_rebalance_cb(conf.get(), Session::on_rebalance);
  rd_kafka_conf_set_error_cb(conf.get(), Session::on_error);
  VESTIGE_TRY(session->client, make_client(RD_KAFKA_CONSUMER, std::move(conf)));
  rd_kafka_poll_set_consumer(session->client.get());
  return std::unique_ptr<Consumer>(new Consumer(std::move(session)));
}

// Not rd_kafka_consumer_close(): it waits for what brokers that are away were asked, a minute and more. Who
// does not leave the group is given up by it.
Consumer::~Consumer() {
  auto* const client = session_->client.get();
  {
    const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(client));
    const Owned<rd_kafka_error_t> refused(rd_kafka_consumer_close_queue(client, queue.get()));
    // Messages that were fetched come as well, and do not count.
    for (unsigned waits = 0; waits < limits::close_waits_max && rd_kafka_consumer_closed(client) == 0;) {
      const Owned<rd_kafka_event_t> event(
          rd_kafka_queue_poll(queue.get(), wait_of(limits::receive_patience)));
      if (!event) ++waits;
      if (!event || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_REBALANCE) continue;
      session_->handlers.revoked();
      rd_kafka_assign(client, nullptr);
    }
  }
  const bool closed = rd_kafka_consumer_closed(client) != 0;
  // A rebalance that was told and not answered would be waited for, for ever.
  if (!closed) rd_kafka_assign(client, nullptr);
  rd_kafka_destroy_flags(session_->client.release(), closed ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

Result<std::string> Consumer::cluster() {
  auto* const client = session_->client.get();
  auto id = cluster_of(client);
  // Nothing is subscribed to yet, so that nothing but callbacks comes: they say why nobody answers.
  if (!id) const Owned<rd_kafka_message_t> nothing(rd_kafka_consumer_poll(client, 0));
  return id;
}

Status Consumer::subscribe(const std::vector<std::string>& topics) {
  std::vector<Start> wanted;
  for (const auto& topic : topics) wanted.push_back({{topic, RD_KAFKA_PARTITION_UA}});
  const auto code = rd_kafka_subscribe(session_->client.get(), list_of(wanted).get());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return fail(ErrorKind::invalid, fmt::format("the topics are not taken: {}", rd_kafka_err2str(code)));
}

Result<Consumer::Received> Consumer::receive(std::chrono::milliseconds patience) {
  const Owned<rd_kafka_message_t> message(rd_kafka_consumer_poll(session_->client.get(), wait_of(patience)));
  if (!message) return Received{};
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return Received{message_of(*message)};
  if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message->rkt != nullptr)
    return Received{OutOfRange{{rd_kafka_topic_name(message->rkt), message->partition}}};
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && message->rkt != nullptr)
    return Received{EndOfPartition{{rd_kafka_topic_name(message->rkt), message->partition}, message->offset}};
  if (message->err == RD_KAFKA_RESP_ERR__FATAL) return failed("librdkafka gave up", message->err);
  session_->handlers.trouble(message->err, rd_kafka_message_errstr(message.get()));
  return Received{};
}

Status Consumer::restart(const std::vector<Start>& starts) {
  const auto code = Session::begin(session_->client.get(), starts);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Status{} : failed("partitions are not begun anew", code);
}

Status Consumer::pause(const Place& place) {
  const auto code = rd_kafka_pause_partitions(session_->client.get(), list_of({{place}}).get());
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Status{} : failed("a partition does not pause", code);
}

Status Consumer::resume(const Place& place) {
  const auto code = rd_kafka_resume_partitions(session_->client.get(), list_of({{place}}).get());
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Status{} : failed("a partition does not go on", code);
}

// Not rd_kafka_query_watermark_offsets(): it asks a leader that is gone until that comes back, whatever the
// timeout (mended in librdkafka 2.3).
Result<std::vector<std::int64_t>> Consumer::Session::ask(const std::vector<Place>& places, std::int64_t which,
                                                         std::chrono::milliseconds patience) const {
  std::vector<Start> questions;
  for (const auto& place : places) questions.push_back({place, which});
  const auto list = list_of(questions);
  if (const auto code = rd_kafka_offsets_for_times(client.get(), list.get(), wait_of(patience));
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return failed(unheard, code);
  std::vector<std::int64_t> offsets;
  for (int i = 0; i < list->cnt; ++i) {
    const auto& answer = list->elems[i];
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(unheard, answer.err);
    // As when there was no answer for this one.
    if (answer.offset < 0) return failed(unheard, RD_KAFKA_RESP_ERR__NO_OFFSET);
    offsets.push_back(answer.offset);
  }
  return offsets;
}

Result<Watermarks> Consumer::watermarks(const Place& place) {
  VESTIGE_TRY(const auto low, session_->ask({place}, RD_KAFKA_OFFSET_BEGINNING, limits::answer_patience));
  VESTIGE_TRY(const auto high, session_->ask({place}, RD_KAFKA_OFFSET_END, limits::answer_patience));
  return Watermarks{.low = low.front(), .high = high.front()};
}

Result<std::vector<std::int64_t>> Consumer::ends(const std::vector<Place>& places) {
  return session_->ask(places, RD_KAFKA_OFFSET_END, limits::look_patience);
}

std::optional<std::int64_t> Consumer::end_of(const Place& place) {
  std::int64_t low = 0, high = 0;
  const auto code = rd_kafka_get_watermark_offsets(session_->client.get(), place.topic.c_str(),
                                                   place.partition, &low, &high);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0) return std::nullopt;
  return high;
}

bool Consumer::reachable() {
  const struct rd_kafka_metadata* metadata = nullptr;
  const auto code =
      rd_kafka_metadata(session_->client.get(), 0, nullptr, &metadata, wait_of(limits::look_patience));
  if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void Consumer::commit(const std::vector<Start>& next) {
  if (next.empty()) return;
  // For display alone: one that fails is made good by the next.
  static_cast<void>(rd_kafka_commit(session_->client.get(), list_of(next).get(), 1));
}

struct Producer::Session {
  static void on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque);
  static void on_error(rd_kafka_t*, int code, const char* reason, void* opaque);

  Handlers handlers;
  Owned<rd_kafka_t> client;
};

void Producer::Session::on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& self = *static_cast<Session*>(opaque);
  // Given up because of another one, which is told, or of what serve() says.
  if (message->err == RD_KAFKA_RESP_ERR__FATAL || message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
      message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
    return;
  self.handlers.delivered(reinterpret_cast<std::uintptr_t>(message->_private),
                          outcome_of(rd_kafka_topic_name(message->rkt), message->err));
}

void Producer::Session::on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return;  // what came before it says why
  auto& self = *static_cast<Session*>(opaque);
  self.handlers.trouble(
      fmt::format("{}: {}", rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(code)), reason));
}

Producer::Producer(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Producer::~Producer() = default;

Result<std::unique_ptr<Producer>> Producer::open(const Cluster& cluster, Terms terms, Handlers handlers) {
  auto session = std::make_unique<Session>();
  session->handlers = std::move(handlers);
  VESTIGE_TRY(auto conf, configure(cluster, producer_settings(terms)));
  rd_kafka_conf_set_opaque(conf.get(), session.get());
  rd_kafka_conf_set_dr_msg_cb(conf.get(), Session::on_delivered);
  rd_kafka_conf_set_error_cb(conf.get(), Session::on_error);
  VESTIGE_TRY(session->client, make_client(RD_KAFKA_PRODUCER, std::move(conf)));
  return std::unique_ptr<Producer>(new Producer(std::move(session)));
}

Result<std::string> Producer::cluster() { return cluster_of(session_->client.get()); }

Result<std::int32_t> Producer::look_for(const std::string& topic) {
  auto* const client = session_->client.get();
  const Owned<rd_kafka_topic_t> handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
  if (!handle) return fail(ErrorKind::invalid, fmt::format("\"{}\" is no name of a topic", topic));
  auto outcome = outcome_of(topic, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  // One that brokers make when it is asked for is there a little later.
  for (unsigned tries = 0; tries < limits::topic_looks_max; ++tries) {
    const struct rd_kafka_metadata* metadata = nullptr;
    const auto code = rd_kafka_metadata(client, 0, handle.get(), &metadata, wait_of(limits::answer_patience));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed("no broker tells of topics", code);
    std::int32_t partitions = 0;
    if (metadata->topic_cnt == 1) {
      outcome = outcome_of(topic, metadata->topics[0].err);
      partitions = metadata->topics[0].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    // Without a leader just now it is there all the same.
    const bool is_there = outcome || outcome.error().kind == ErrorKind::unavailable;
    if (is_there && partitions > 0) return partitions;
    if (!is_there && outcome.error().kind == ErrorKind::denied) break;
    rd_kafka_poll(client, wait_of(limits::look_patience));
  }
  if (outcome) outcome = outcome_of(topic, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  return std::unexpected(std::move(outcome).error());
}

std::int32_t partition_of(const Outgoing& message, std::int32_t partitions) {
  const auto& key = message.key;
  return rd_kafka_msg_partitioner_murmur2(nullptr, key ? key->data() : nullptr, key ? key->size() : 0,
                                          partitions, nullptr, nullptr);
}

Status Producer::send(const std::string& topic, const Outgoing& message, std::uint64_t number,
                      std::optional<std::int32_t> partition) {
  Owned<rd_kafka_headers_t> headers(rd_kafka_headers_new(message.headers.size()));
  for (const auto& [name, value] : message.headers)
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                        value ? value->data() : nullptr, value ? static_cast<ssize_t>(value->size()) : 0);
  std::array<rd_kafka_vu_t, 7> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[1].u.i = RD_KAFKA_MSG_F_COPY;
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  for (const auto& [part, text] : {std::pair(&parts[2], &message.key), std::pair(&parts[3], &message.value)})
    // Only read, as it is to be copied.
    if (*text) part->u.mem = {const_cast<char*>((*text)->data()), (*text)->size()};
  parts[4].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[4].u.headers = headers.get();
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(number));
  parts[6].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[6].u.i32 = partition.value_or(RD_KAFKA_PARTITION_UA);
  const Owned<rd_kafka_error_t> refused(
      rd_kafka_produceva(session_->client.get(), parts.data(), parts.size()));
  if (refused) return outcome_of(topic, rd_kafka_error_code(refused.get()));
  static_cast<void>(headers.release());  // are the message's now
  return {};
}

Status Producer::serve(std::chrono::milliseconds patience) {
  auto* const client = session_->client.get();
  rd_kafka_poll(client, wait_of(patience));
  std::array<char, 512> why{};
  const auto code = rd_kafka_fatal_error(client, why.data(), why.size());
  // A message failed, and nothing is sent after it: its own outcome says why, now or at the next call.
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE) return {};
  auto outcome = outcome_of("Kafka", code);
  outcome.error().message += fmt::format(" ({})", why.data());
  return outcome;
}

std::size_t Outgoing::bytes() const {
  std::size_t bytes = (key ? key->size() : 0) + (value ? value->size() : 0);
  for (const auto& [name, text] : headers) bytes += name.size() + (text ? text->size() : 0);
  return bytes;
}

Result<std::unique_ptr<DeadLetters>> DeadLetters::open(const Configuration& configuration, bool one_by_one) {
  auto letters = std::make_unique<DeadLetters>();
  VESTIGE_TRY(letters->producer_,
              Producer::open(configuration.cluster(),
                             {.patience = limits::dead_letter_patience, .one_by_one = one_by_one},
                             {.delivered = [self = letters.get()](std::uint64_t number, Status outcome) {
                               self->outcomes_[number] = std::move(outcome);
                             }}));
  return letters;
}

std::vector<Status> DeadLetters::send(const std::vector<Letter>& letters) {
  outcomes_.assign(letters.size(), std::nullopt);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const auto& place = letters[i].message->place;
    auto taken = producer_->send(place.topic + std::string(dead_letter_ending), outgoing_of(letters[i]), i);
    if (!taken) outcomes_[i] = std::move(taken);
  }
  // It ends: each is delivered, or its time is over, and either is told.
  const auto failure = [&] {
    return std::ranges::find_if(outcomes_, [](const auto& outcome) { return outcome && !*outcome; });
  };
  Status unknown;
  while (unknown && failure() == outcomes_.end() &&
         !std::ranges::all_of(outcomes_, &std::optional<Status>::has_value))
    unknown = producer_->serve(limits::receive_patience);
  if (const auto first = failure(); first != outcomes_.end())
    unknown = fail(ErrorKind::unavailable, (*first)->error().message);
  std::vector<Status> told;
  for (auto& outcome : outcomes_) told.push_back(outcome ? *std::move(outcome) : unknown);
  return told;
}

}  // namespace vestige::sources::kafka
