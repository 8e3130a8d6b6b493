#include "verify/testing/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "seal/section.h"

namespace vestige::verify::testing {
namespace {

constexpr std::string_view data_root = "data/";
constexpr std::string_view persons[] = {"ann", "ben", "cem", "dora"};

const trail::Schema& schema() {
  using trail::ColumnType;
  static const trail::Schema columns = {{"action", ColumnType::text, 0},     {"id", ColumnType::uuid, 0},
                                        {"kind", ColumnType::text, 0},       {"mac", ColumnType::bytes, 16},
                                        {"receivedAt", ColumnType::time, 0}, {"salt", ColumnType::salt, 0},
                                        {"tenant", ColumnType::text, 0},     {"time", ColumnType::time, 0}};
  return columns;
}

trail::Options small_options() {
  trail::Options options;
  options.wal_file_bytes = 64 << 10;
  options.wal_bytes_max = 8 << 20;
  options.disk_reserve_bytes = 0;
  options.threads = false;
  return options;
}

std::uint64_t fingerprint_of(const vault::Vault& vault, const std::string& of_tenant, const Uuid& id) {
  const auto key = vault.purpose_key("id-fingerprint", of_tenant);
  crypto::BlockPrf prf(load_le<Block16>(key.data()));
  return load_le<std::uint64_t>(prf(id.bytes).data());
}

// Seals the entry's note for its subjects.
seal::SealedSection seal_for(vault::Vault& vault, platform::Entropy& entropy, const EntryWish& wish,
                             const Uuid& id, const trail::Stream& stream) {
  std::vector<vault::Owner> owners;
  for (const auto& subject : wish.subjects) {
    auto owner = vault.owner_of(stream.tenant(), subject);
    CHECK(owner.has_value());
    owners.push_back(*owner);
  }
  std::ranges::sort(owners, {}, &vault::Owner::ref);
  std::vector<Block16> refs;
  std::vector<Key> keys;
  for (const auto& owner : owners) {
    refs.push_back(owner.ref);
    keys.push_back(owner.key);
  }
  const auto retention = vault.retention_key(vault::standard_retention, vault::Month{647});
  CHECK(retention.has_value());
  const std::vector<seal::Pair> pairs = {{"/detail/note", fmt::format("\"a secret {}\"", wish.number)},
                                         {"mac", "\"AAAA\""}};
  return seal::seal_section(pairs, refs.size() == 1 ? seal::Form::one : seal::Form::any, refs, keys,
                            {0, 647, *retention}, {stream.full_name(), id}, entropy);
}

class EntrySubmission final : public trail::Submission {
 public:
  EntrySubmission(trail::Stream& stream, vault::Vault& vault, platform::Clock& clock,
                  platform::Entropy& entropy, std::vector<EntryWish> wishes)
      : stream_(stream), vault_(vault), clock_(clock), entropy_(entropy), wishes_(std::move(wishes)) {}

  std::uint8_t stream() const override { return stream_.number(); }
  std::size_t bytes_max() const override { return wishes_.size() * 2048; }
  Status place(trail::Placement& placement) override {
    for (const auto& wish : wishes_) {
      const auto id = make_uuid_v7(clock_.now(), entropy_.bytes<16>());
      std::vector<seal::SealedSection> sections;
      if (!wish.subjects.empty()) sections.push_back(seal_for(vault_, entropy_, wish, id, stream_));
      std::string sealed;
      std::vector<ByteView> blobs;
      for (const auto& section : sections) {
        seal::append_references(sealed, std::span(&section.reference, 1));
        blobs.emplace_back(section.blob);
      }
      const auto entry = entry_text(wish, id, clock_.now(), placement.next_salt(), sealed, stream_.tenant());
      placement.add(fingerprint_of(vault_, stream_.tenant(), id), view(entry), blobs, nullptr);
    }
    return {};
  }
  void settled(Status outcome) override { CHECK(outcome.has_value()); }

 private:
  trail::Stream& stream_;
  vault::Vault& vault_;
  platform::Clock& clock_;
  platform::Entropy& entropy_;
  std::vector<EntryWish> wishes_;
};

}  // namespace

std::string entry_text(const EntryWish& wish, const Uuid& id, UnixMs received_at, const Block16& salt,
                       const std::string& sealed, std::string_view of_tenant) {
  const auto time = format_time(received_at);
  if (!wish.erasure_action.empty())
    return fmt::format(
        R"({{"action":"{}","detail":{},"id":"{}","kind":"system.erasure","mac":"AAECAwQFBgcICQoLDA0ODw==",)"
        R"("receivedAt":"{}","salt":"{}","schema":1,"tenant":"{}","time":"{}","v":1}})",
        wish.erasure_action, wish.erasure_detail, format_uuid(id), time, to_base64(salt), of_tenant, time);
  return fmt::format(
      R"({{"action":"UPDATED","changes":[{{"field":"limit","new":{0},"old":1.5}}],"context":{{"ip":"10.0.0.{1}"}},)"
      R"("detail":{{"text":"Zürich \"{0}\"\n","values":[true,null,-{0}5,1e+21]}},"id":"{2}","kind":"data.change",)"
      R"({3}"receivedAt":"{4}","salt":"{5}","schema":1,{6}"tenant":"{7}","time":"{4}","v":1}})",
      wish.number, wish.number % 200, format_uuid(id),
      sealed.empty() ? R"("mac":"AAECAwQFBgcICQoLDA0ODw==",)" : "", time, to_base64(salt),
      sealed.empty() ? "" : "\"sealed\":" + sealed + ",", of_tenant);
}

class World::Wrapper final : public trail::KeyWrapper {
 public:
  explicit Wrapper(vault::Vault& vault) : vault_(vault) {}
  Bytes wrap(const Key& key, std::string_view context) override { return vault_.wrap(key, context); }
  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override {
    return vault_.unwrap(wrapped, context);
  }

 private:
  vault::Vault& vault_;
};

class World::Barrier final : public trail::CommitBarrier {
 public:
  explicit Barrier(vault::Vault& vault) : vault_(vault) {}
  Status before_commit() override { return vault_.sync(); }

 private:
  vault::Vault& vault_;
};

World::World(std::uint64_t seed) : entropy_(seed) {
  root_.fill(0x5a);
  reconnect();
}

void World::reconnect() {
  data_ = disk_.open("data");
  vault_files_ = disk_.open("data/vault");
  signer_files_ = disk_.open("data/signer");
}

World::~World() = default;

void World::open() {
  auto vault = vault::Vault::open(*vault_files_, entropy_, clock_, root_, true);
  CHECK(vault.has_value());
  vault_ = *std::move(vault);
  wrapper_ = std::make_unique<Wrapper>(*vault_);
  barrier_ = std::make_unique<Barrier>(*vault_);
  auto log = trail::Log::open({*data_, clock_, entropy_, *wrapper_, *barrier_, schema()}, small_options(),
                              {{std::string(tenant), "audit", true}, {std::string(tenant), "access", true}});
  CHECK(log.has_value());
  log_ = *std::move(log);
  log_->start();
  signers_.clear();
  for (const auto* stream : log_->streams()) open_signer(*stream);
  if (disk_.snapshot().contains("data/api-keys")) return;
  std::string keys = "vestige-api-keys 1\n";
  keys += fmt::format("{} ingest,admin {} default {} first%20key\n",
                      format_uuid(make_uuid_v7(clock_.now(), entropy_.bytes<16>())),
                      format_time(clock_.now()), to_base64(entropy_.bytes<32>()));
  keys += fmt::format("sha256 {}\n", to_hex(crypto::sha256(view(keys))));
  put("api-keys", view(keys));
  put("admin.key", view("vst_0\n"));
}

void World::open_signer(const trail::Stream& stream) {
  auto signer = trail::Signer::open(*signer_files_, entropy_, clock_, stream.full_name(), "test.example",
                                    log_->data_id(), stream.size());
  CHECK(signer.has_value());
  signers_.push_back(*std::move(signer));
}

std::uint8_t World::add_stream(const std::string& of_tenant, const std::string& name) {
  const auto before = log_->streams().size();
  const auto added = log_->add_stream({of_tenant, name, true});
  CHECK(added.has_value());
  if (log_->streams().size() > before) open_signer(**added);
  return (*added)->number();
}

void World::append(std::uint8_t stream, const std::vector<EntryWish>& wishes) {
  clock_.advance(std::chrono::milliseconds(7));
  CHECK(log_->submit(
      std::make_unique<EntrySubmission>(log_->stream(stream), *vault_, clock_, entropy_, wishes)));
  CHECK(log_->commit_once().value_or(false));
}

void World::append_some(std::uint8_t stream, std::size_t count, std::size_t group) {
  for (std::size_t done = 0; done < count;) {
    std::vector<EntryWish> wishes;
    for (; done < count && wishes.size() < group; ++done) {
      EntryWish wish{.number = ++appended_};
      if (appended_ % 5 == 0) wish.subjects.emplace_back(persons[appended_ / 5 % std::size(persons)]);
      if (appended_ % 35 == 0) wish.subjects.emplace_back("zoe");
      wishes.push_back(std::move(wish));
    }
    append(stream, wishes);
  }
}

std::uint64_t World::erase_person(const std::string& subject, ErasureStep last) {
  const auto hash = vault_->subject_hash(tenant, subject);
  const auto ref = to_base64(vault_->owner_of(tenant, subject)->ref);
  const auto intent = log_->stream(1).size();
  append(1, {{.erasure_action = "INTENDED",
              .erasure_detail =
                  fmt::format(R"({{"epoch":0,"ref":"{}","subjectHash":"{}"}})", ref, to_base64(hash))}});
  if (last == ErasureStep::intended) return intent;
  const auto erasure = vault_->erase(tenant, hash, intent);
  CHECK(erasure.has_value());
  if (last == ErasureStep::destroyed) return intent;
  append(1, {{.erasure_action = "ERASED",
              .erasure_detail =
                  fmt::format(R"({{"epoch":0,"erasedAt":"{}","erasure":{},"intent":{},"refs":["{}"]}})",
                              format_time(erasure->time), ++erased_, intent, ref)}});
  return intent + 1;
}

void World::seal() {
  for (;;) {
    const auto more = log_->seal_once(true);
    CHECK(more.has_value());
    if (!*more) return;
  }
}

bool World::try_seal_and_stop() {
  for (;;) {
    const auto more = log_->seal_once(true);
    if (!more) return false;
    if (!*more) break;
  }
  for (std::size_t i = 0; i < signers_.size(); ++i) {
    const auto note = signers_[i]->sign(log_->streams()[i]->snapshot());
    if (!note) return false;
  }
  return log_->stop().has_value();
}

void World::sign() {
  for (std::size_t i = 0; i < signers_.size(); ++i) {
    auto& stream = *log_->streams()[i];
    const auto note = signers_[i]->sign(stream.snapshot());
    CHECK(note.has_value());
    if (note->empty()) continue;
    CHECK(platform::replace_file(*data_, stream.directory() + "/checkpoint", view(*note),
                                 platform::FileMode::shared_read));
  }
}

void World::stop(bool clean) {
  if (clean) CHECK(log_->stop());
  log_.reset();
  signers_.clear();
  vault_.reset();
}

void World::build() {
  open();
  append_some(1, 600);
  sign();
  seal();
  stop();
  // A new life: its write-ahead log begins behind the first segment.
  open();
  append_some(1, 300);
  append_some(2, 40);
  sign();
  seal();
  append_some(1, 90);
  append_some(2, 20);
  sign();
  stop();
}

Result<Report> World::verify(Options options, bool keys) const { return verify_data(inputs(keys), options); }

Bytes World::read(const std::string& path) const {
  return disk_.snapshot().at(std::string(data_root) + path);
}
void World::put(const std::string& path, ByteView content) {
  disk_.put(std::string(data_root) + path, content);
}
void World::erase(const std::string& path) { disk_.erase(std::string(data_root) + path); }

std::vector<std::string> World::files() const {
  std::vector<std::string> paths;
  for (const auto& [path, content] : disk_.snapshot()) paths.push_back(path.substr(data_root.size()));
  return paths;
}

}  // namespace vestige::verify::testing
