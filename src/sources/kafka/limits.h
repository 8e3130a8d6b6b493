// Every bound of the capture from Kafka, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace vestige::sources::kafka::limits {

inline constexpr std::size_t name_bytes_max = 54;  // of a source
inline constexpr std::size_t topic_bytes_max = 249;
inline constexpr std::size_t topics_max = 1'000;
inline constexpr std::size_t partitions_max = 4'096;  // that one source reads at a time
inline constexpr std::size_t marks_max = 32'768;      // of one source, four a partition that ever was

// Commands that go into the trail as one group, of all partitions together.
inline constexpr std::size_t batch_commands_max = 1'000;
inline constexpr std::size_t batch_bytes_max = 4 << 20;
inline constexpr std::size_t command_bytes_max = 4 << 20;  // that is parsed; an event has less
// What librdkafka fetches ahead, of all partitions together.
inline constexpr std::size_t fetched_kilobytes_max = 32 << 10;
// Of a message that we send; its topic takes less.
inline constexpr std::size_t sent_bytes_max = 64 << 20;
inline constexpr std::size_t sending_kilobytes_max = 80 << 10;  // that librdkafka holds until acknowledged
// Messages that were sent and not acknowledged yet, with copies of them.
inline constexpr std::size_t unacknowledged_max = 1'000;
inline constexpr std::size_t unacknowledged_bytes_max = 16 << 20;  // one more message is taken below it

inline constexpr std::size_t header_names_max = 32;  // that are recorded
inline constexpr std::size_t header_name_bytes_max = 128;
inline constexpr std::size_t header_value_bytes_max = 1'024;  // of a longer one its digest
inline constexpr std::size_t reason_bytes_max = 1'000;
inline constexpr std::size_t covered_partitions_max = 1'000;  // that one entry COVERED tells of

inline constexpr std::chrono::milliseconds receive_patience{100};
inline constexpr std::chrono::milliseconds answer_patience{5'000};       // of a broker
inline constexpr std::chrono::milliseconds request_patience{10'000};     // of what librdkafka asks by itself
inline constexpr std::chrono::milliseconds dead_letter_patience{5'000};  // until it is acknowledged
inline constexpr unsigned topic_looks_max = 5;
inline constexpr unsigned close_waits_max = 50;  // of receive_patience each, until a consumer is closed
inline constexpr std::chrono::seconds stall_patience{10};  // without an acknowledgement, before it is told
inline constexpr std::chrono::milliseconds look_patience{1'000};  // of a look whether a broker is there
inline constexpr std::chrono::seconds commit_period{1};           // of offsets that Kafka shows
inline constexpr std::chrono::seconds look_period{5};
inline constexpr std::chrono::seconds idle_patience{30};      // without a partition, before it is told
inline constexpr std::chrono::minutes covered_period{10};     // between entries COVERED
inline constexpr std::chrono::milliseconds retry_first{500};  // after an error, doubled up to the last
inline constexpr std::chrono::milliseconds retry_last{30'000};

}  // namespace vestige::sources::kafka::limits
