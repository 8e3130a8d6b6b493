#include "audit/testing/world.h"

namespace vestige::audit::testing {

const char* const marks_schema = R"({
  "x-kind": "test.marks", "x-version": 1, "x-shared": "any", "type": "object",
  "properties": {
    "detail": {"type": "object", "properties": {
      "plain": {},
      "own": {"x-personal": true},
      "source": {"x-personal": true, "x-owner": "source"},
      "target": {"x-personal": true, "x-owner": "target"},
      "context": {"x-personal": true, "x-owner": "context"},
      "list": {"items": {"x-personal": true}},
      "rows": {"items": {"properties": {
        "plain": {}, "own": {"x-personal": true}, "target": {"x-personal": true, "x-owner": "target"}}}},
      "deep": {"properties": {"deeper": {"properties": {"own": {"x-personal": true}}}}}}},
    "changes": {"type": "array", "items": {"properties": {"new": {"x-personal": true}}}},
    "context": {"type": "object", "properties": {
      "ip": {"x-personal": true, "x-owner": "context"},
      "node": {"x-personal": true, "x-owner": "context"}}},
    "sourceEntityMeta": {"type": "object", "x-personal": true, "x-owner": "source"},
    "targetEntityMeta": {"type": "object", "x-personal": true, "x-owner": "target"}}
})";

std::string marks_all_schema() {
  std::string schema = marks_schema;
  const auto replace = [&](std::string_view from, std::string_view to) {
    schema.replace(schema.find(from), from.size(), to);
  };
  replace("test.marks", "test.marks.all");
  replace(R"("x-shared": "any")", R"("x-shared": "all")");
  return schema;
}

class World::Barrier final : public trail::CommitBarrier {
 public:
  explicit Barrier(World& world) : world_(world) {}
  Status before_commit() override { return world_.vault->sync(); }

 private:
  World& world_;
};

World::World(std::uint64_t seed) : entropy(seed), barrier_(std::make_unique<Barrier>(*this)) {
  root_.fill(0x5a);
  auto registry = KindRegistry::with_shipped_kinds();
  EXPECT_TRUE(registry);
  kinds = *std::move(registry);
  EXPECT_TRUE(kinds->add(marks_schema));
  EXPECT_TRUE(kinds->add(marks_all_schema()));
}

World::~World() { close(); }

void World::open() {
  data_files = disk.open("data");
  vault_files = disk.open("vault");
  signer_files = disk.open("signer");
  auto opened = vault::Vault::open(*vault_files, entropy, clock, root_, true);
  ASSERT_TRUE(opened) << opened.error().message;
  real_vault = *std::move(opened);
  vault = std::make_unique<ForgetfulVault>(*real_vault);
  trail::Options options;
  options.wal_file_bytes = 4 << 20;
  options.wal_bytes_max = 64 << 20;
  options.disk_reserve_bytes = 0;
  options.segment_rows_max = trail::block_rows;
  options.threads = false;
  sealed_tokeniser_ = std::make_unique<SealedTokeniser>(*vault);
  sidecar_keys_ = std::make_unique<VaultSidecarKeys>(*vault);
  auto opened_log = trail::Log::open({*data_files, clock, entropy, wrapper_, *barrier_, entry_schema(),
                                      &tokeniser_, sealed_tokeniser_.get(), sidecar_keys_.get()},
                                     options, {{"default", "audit", true}});
  ASSERT_TRUE(opened_log) << opened_log.error().message;
  log = *std::move(opened_log);
  auto opened_signer = trail::Signer::open(*signer_files, entropy, clock, "default/audit", "log.example",
                                           log->data_id(), stream().size());
  ASSERT_TRUE(opened_signer) << opened_signer.error().message;
  signer = *std::move(opened_signer);
  ingest = std::make_unique<Ingest>(*log, stream(), *vault, *kinds, clock, entropy, server);
  const auto resumed = ingest->resume();
  ASSERT_TRUE(resumed) << resumed.error().message;
  erasure_index = std::make_unique<ErasureIndex>();
  erasure_ledger = std::make_unique<ErasureLedger>();
  reader = std::make_unique<Reader>(stream(), *vault, *signer, erasure_index.get());
  erasures = std::make_unique<Erasures>(
      ErasureParts{*log, stream(), *signer, *vault, *ingest, *erasure_index, *erasure_ledger,
                   [this](Batch batch) { return append(std::move(batch)); }});
}

void World::close() {
  if (log) {
    const auto stopped = log->stop();
    EXPECT_TRUE(stopped) << stopped.error().message;
  }
  erasures.reset();
  reader.reset();
  ingest.reset();
  signer.reset();
  log.reset();
  vault.reset();
  real_vault.reset();
}

void World::crash(const platform::sim::CrashPolicy& policy) {
  // The disk's handles die first, so that what ends cleans nothing up.
  disk.crash(policy);
  erasures.reset();
  reader.reset();
  ingest.reset();
  signer.reset();
  log.reset();
  vault.reset();
  real_vault.reset();
}

void World::submit(const std::string& body, std::vector<Result<BatchOutcome>>& outcomes) {
  const auto at = outcomes.size();
  outcomes.push_back(fail(ErrorKind::unavailable, "not settled"));
  request.received = clock.now();
  auto batch = ingest->prepare(body, BodyForm::json, request);
  if (!batch) {
    outcomes[at] = std::unexpected(batch.error());
    return;
  }
  ingest->submit(*std::move(batch),
                 [&outcomes, at](Result<BatchOutcome> outcome) { outcomes[at] = std::move(outcome); });
}

Result<BatchOutcome> World::send(const std::string& body, BodyForm form) {
  request.received = clock.now();
  VESTIGE_TRY(auto batch, ingest->prepare(body, form, request));
  return append(std::move(batch));
}

Result<BatchOutcome> World::append(Batch batch) {
  std::optional<Result<BatchOutcome>> settled;
  ingest->submit(std::move(batch), [&settled](Result<BatchOutcome> outcome) {
    EXPECT_FALSE(settled) << "settled twice";
    settled = std::move(outcome);
  });
  while (!settled) {
    const auto more = log->commit_once();
    if (!more) return std::unexpected(more.error());
    EXPECT_TRUE(*more || settled);
    if (!*more) break;
  }
  EXPECT_TRUE(settled);
  return *settled;
}

void World::commit() {
  for (;;) {
    const auto more = log->commit_once();
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) return;
  }
}

void World::seal_everything() {
  for (;;) {
    const auto more = log->seal_once(true);
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) return;
  }
}

vault::VaultImage World::image() {
  auto image = vault::read_vault(*vault_files, root_);
  EXPECT_TRUE(image) << image.error().message;
  return *std::move(image);
}

trail::SidecarContext World::sidecars() {
  return {*data_files, wrapper_, sidecar_keys_.get(), entropy, log->data_id()};
}

std::string World::rendered(std::uint64_t index) {
  const auto snapshot = stream().snapshot();
  const auto record = snapshot.read(index);
  const auto leaf = snapshot.leaf(index);
  EXPECT_TRUE(record && leaf);
  Unsealer unsealer(*vault, stream().full_name(), erasure_index.get());
  std::string out;
  const auto opened =
      unsealer.open(record->entry, [&]() -> Result<std::vector<Bytes>> { return record->blobs; });
  EXPECT_TRUE(opened) << opened.error().message;
  const auto done = render(record->entry, *opened, index, *leaf, out);
  EXPECT_TRUE(done) << done.error().message << "\n" << record->entry;
  return out;
}

}  // namespace vestige::audit::testing
