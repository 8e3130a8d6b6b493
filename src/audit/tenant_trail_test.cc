// Property: tenants of one server share log and vault, and nothing else. An erasure of one leaves the person
// of the same name of another; a vault that is older than the trails of all together is refused, although
// each trail alone would find nothing wrong; what the server itself records of a tenant's files is in that
// tenant's trail.
#include "audit/tenant_trail.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::World;

constexpr std::uint64_t seed = 31;
constexpr std::string_view tenants[] = {"acme", "beta"};

std::string event_about(const std::string& subject, const std::string& secret) {
  return R"({"kind":"test.marks","action":"CREATED","subject":")" + subject + R"(","detail":{"own":")" +
         secret + R"("},"sourceId":")" + subject + R"("})";
}

// A log with two tenants beside the World's own stream, and a committer, since TenantTrail waits for one.
class TenantsWorld {
 public:
  TenantsWorld() : world(seed) {}
  ~TenantsWorld() { close(); }

  // Until the trails are checked; gives what the check says.
  Status open() {
    world.open();
    ledger_ = std::make_unique<ErasureLedger>();
    stop_ = false;
    committer_ = std::thread([this] {
      while (!stop_) {
        static_cast<void>(world.log->commit_once());
        std::this_thread::yield();
      }
    });
    for (const auto tenant : tenants) {
      for (const auto name : {audit_stream_name, access_stream_name})
        EXPECT_TRUE(world.log->add_stream({std::string(tenant), std::string(name), true}));
      auto opened = TenantTrail::open({.log = *world.log,
                                       .vault = *world.vault,
                                       .kinds = *world.kinds,
                                       .clock = world.clock,
                                       .entropy = world.entropy,
                                       .data = *world.data_files,
                                       .signer_files = *world.signer_files,
                                       .origin_prefix = "log.example",
                                       .server = world.server,
                                       .ledger = *ledger_,
                                       .erasure = {}},
                                      tenant);
      EXPECT_TRUE(opened) << opened.error().message;
      trails_.push_back(*std::move(opened));
      VESTIGE_CHECKED(trails_.back()->erasures().check("vault/erased"));
    }
    for (auto& trail : trails_) VESTIGE_CHECKED(trail->erasures().finish());
    return {};
  }
  void close() {
    if (!committer_.joinable()) return;
    stop_ = true;
    committer_.join();
    trails_.clear();
    world.close();
  }
  TenantTrail& of(std::string_view tenant) { return *trails_[tenant == tenants[0] ? 0 : 1]; }
  void send(std::string_view tenant, const std::string& subject, const std::string& secret) {
    auto& trail = of(tenant);
    auto batch = trail.ingest().prepare(event_about(subject, secret), BodyForm::json,
                                        {std::string(tenant), "the service", world.clock.now()});
    ASSERT_TRUE(batch) << batch.error().message;
    ASSERT_TRUE(trail.append(trail.ingest(), *std::move(batch)));
  }
  Result<CertifiedErasure> erase(std::string_view tenant, const std::string& subject) {
    return of(tenant).erasures().erase({.subject = subject, .reason = "asked for", .actor = "key-1"});
  }
  std::string_view state_of(std::string_view tenant, const std::string& subject) {
    return of(tenant).erasures().keys(subject)->state;
  }
  // All events of one tenant's stream `audit`, as readers see them.
  std::string everything(std::string_view tenant) {
    std::string all;
    const auto visited =
        of(tenant).reader().visit(0, of(tenant).reader().size(), {}, {.personal = true, .sensitive = true},
                                  [&](const MatchedEntry& entry) -> Result<bool> {
                                    all += std::string(entry.event) + "\n";
                                    return true;
                                  });
    EXPECT_TRUE(visited) << visited.error().message;
    return all;
  }

  World world;

 private:
  std::unique_ptr<ErasureLedger> ledger_;
  std::vector<std::unique_ptr<TenantTrail>> trails_;
  std::atomic<bool> stop_ = false;
  std::thread committer_;
};

TEST(TenantTrail, AnErasureLeavesThePersonOfTheSameNameOfAnother) {
  TenantsWorld both;
  ASSERT_TRUE(both.open());
  for (const auto tenant : tenants) both.send(tenant, "anna", "secret of " + std::string(tenant));
  ASSERT_TRUE(both.erase("acme", "anna"));
  for (const bool restarted : {false, true}) {
    if (restarted) {
      both.close();
      ASSERT_TRUE(both.open());
    }
    EXPECT_EQ(both.state_of("acme", "anna"), "erased");
    EXPECT_EQ(both.state_of("beta", "anna"), "active");
    EXPECT_EQ(both.everything("acme").find("secret of"), std::string::npos);
    EXPECT_NE(both.everything("beta").find("secret of beta"), std::string::npos);
    EXPECT_EQ(both.everything("beta").find("acme"), std::string::npos);
  }
  // Each counts its own, from one.
  ASSERT_TRUE(both.erase("beta", "anna"));
  for (const auto tenant : tenants)
    EXPECT_NE(both.everything(tenant).find(R"("erasure":1)"), std::string::npos);
  EXPECT_EQ(both.world.vault->erasures(), 2U);
}

TEST(TenantTrail, AVaultOlderThanTheTrailsTogetherIsRefused) {
  TenantsWorld both;
  ASSERT_TRUE(both.open());
  for (const auto tenant : tenants) both.send(tenant, "anna", "a secret");
  ASSERT_TRUE(both.erase("acme", "anna"));
  both.close();
  const auto between = both.world.disk.snapshot();
  ASSERT_TRUE(both.open());
  ASSERT_TRUE(both.erase("beta", "anna"));
  both.close();
  auto mixed = both.world.disk.snapshot();
  std::erase_if(mixed, [](const auto& file) { return file.first.starts_with("vault/"); });
  for (const auto& [path, bytes] : between)
    if (path.starts_with("vault/")) mixed[path] = bytes;
  both.world.disk.restore(mixed);
  // One record in the journal: as many as each trail has, and fewer than both.
  const auto refused = both.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_NE(refused.error().message.find("2 erasures"), std::string::npos) << refused.error().message;
}

TEST(TenantTrail, SegmentsAndCheckpointsAreTheTenantsOwn) {
  TenantsWorld both;
  ASSERT_TRUE(both.open());
  both.send("acme", "anna", "a secret");
  both.world.seal_everything();
  for (const auto tenant : tenants) {
    ASSERT_TRUE(both.of(tenant).housekeep());
    ASSERT_TRUE(both.of(tenant).housekeep());  // tells nothing twice
  }
  const auto told = both.everything("acme");
  EXPECT_NE(told.find(R"("targetId":"acme/audit")"), std::string::npos) << told;
  EXPECT_EQ(told.find("system.segment"), told.rfind("system.segment")) << told;
  EXPECT_EQ(both.everything("beta"), "");
  const auto file = both.world.data_files->open("streams/acme/audit/checkpoint");
  ASSERT_TRUE(file);
  EXPECT_NE(both.of("acme").signer().last_note().find("log.example/acme/audit\n2\n"), std::string::npos)
      << both.of("acme").signer().last_note();
}

TEST(TenantTrail, TheWaysInAreNamed) {
  TenantsWorld both;
  ASSERT_TRUE(both.open());
  auto& acme = both.of("acme");
  EXPECT_EQ(acme.tenant(), "acme");
  EXPECT_EQ(acme.ingest_of("audit"), &acme.ingest());
  EXPECT_EQ(acme.ingest_of("access"), &acme.looks());
  EXPECT_EQ(acme.ingest_of("other"), nullptr);
}

}  // namespace
}  // namespace vestige::audit
