// An audit command of a Kafka topic, made an event (docs/formats/capture.md, "A command").
//
// Pure. Whatever the bytes are, they are an event or refused with a reason that has none of their values in
// it; whether the event is one that the trail takes is not decided here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/captured.h"
#include "sources/kafka/broker.h"

namespace vestige::sources::kafka {

Result<audit::CapturedEvent> read_command(const Message& message, const Configuration& configuration,
                                          std::string_view cluster);

// CLUSTER/TOPIC/PARTITION/OFFSET/DIGEST. The digest is what tells a message from another one that stood at
// the same offset before its topic was made anew.
std::string position_of(const Message& message, std::string_view cluster);

// At most so many bytes of it, and UTF-8 whatever it was.
std::string bounded_text(std::string_view text, std::size_t bytes_max);

}  // namespace vestige::sources::kafka
