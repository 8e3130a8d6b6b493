#include "audit/preprocess.h"

#include <algorithm>

namespace vestige::audit {
namespace {

void add_text(const Event& event, Additions& additions, std::string_view name, std::string_view text) {
  if (text.empty() || event.context.find(name).exists()) return;
  ContextAddition addition{std::string(name), {}};
  json::append_quoted(addition.json, text);
  additions.context.push_back(std::move(addition));
}

class ServerTime final : public Preprocessor {
 public:
  void add(const Event& event, const RequestContext& request, const ServerContext&,
           Additions& additions) const override {
    additions.time = event.time.value_or(request.received);
  }
};

class NodeAndLocation final : public Preprocessor {
 public:
  void add(const Event& event, const RequestContext&, const ServerContext& server,
           Additions& additions) const override {
    add_text(event, additions, "node", server.node);
    add_text(event, additions, "serverLocation", server.location);
  }
};

class ClientLocation final : public Preprocessor {
 public:
  void add(const Event& event, const RequestContext&, const ServerContext& server,
           Additions& additions) const override {
    const auto address = event.context.find("ip");
    if (!server.locate || !address.is_string()) return;
    if (event.context.find("location").exists()) return;
    if (auto place = server.locate(address.string()))
      additions.context.push_back({"location", *std::move(place)});
  }
};

class Service final : public Preprocessor {
 public:
  void add(const Event& event, const RequestContext& request, const ServerContext&,
           Additions& additions) const override {
    add_text(event, additions, "service", request.service);
  }
};

// No event that was sent has one of its own: read_event() refuses it.
class Approval final : public Preprocessor {
 public:
  void add(const Event&, const RequestContext& request, const ServerContext&,
           Additions& additions) const override {
    if (!request.approval.empty()) additions.context.push_back({"approval", request.approval});
  }
};

}  // namespace

Preprocessors::Preprocessors() {
  units_.push_back(std::make_unique<ServerTime>());
  units_.push_back(std::make_unique<NodeAndLocation>());
  units_.push_back(std::make_unique<ClientLocation>());
  units_.push_back(std::make_unique<Service>());
  units_.push_back(std::make_unique<Approval>());
}

Additions Preprocessors::run(const Event& event, const RequestContext& request,
                             const ServerContext& server) const {
  Additions additions;
  for (const auto& unit : units_) unit->add(event, request, server, additions);
  std::ranges::sort(additions.context, {}, &ContextAddition::name);
  return additions;
}

}  // namespace vestige::audit
