#include "trail/log/signer.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::trail {
namespace {

constexpr std::string_view state_name = "state";
constexpr std::string_view key_name = "log.key";
constexpr std::size_t state_bytes_max = 4096;
constexpr std::size_t key_bytes_max = 4096;

class FileSignerState final : public SignerStateStore {
 public:
  FileSignerState(platform::FileSystem& files, const std::string& directory)
      : files_(files), path_(platform::join(directory, state_name)) {}

  Result<SignerState> load() override {
    VESTIGE_TRY(const auto bytes, platform::read_file(files_, path_, state_bytes_max));
    auto state = decode_signer_state(bytes);
    if (!state)
      return corrupt(path_, state.error().where ? state.error().where->offset : 0,
                     fmt::format("{}: {}", files_.describe(path_), state.error().message));
    return state;
  }

  Status store(const SignerState& state) override {
    const auto stored = load();
    if (!stored && stored.error().kind != ErrorKind::not_found) return std::unexpected(stored.error());
    const std::uint64_t counter = stored ? stored->counter : 0;
    if (counter + 1 != state.counter)
      return fail(ErrorKind::conflict,
                  fmt::format("{} was changed by another process: its counter is {}, not {}",
                              files_.describe(path_), counter, state.counter - 1));
    return platform::replace_file(files_, path_, encode_signer_state(state), platform::FileMode::secret);
  }

 private:
  platform::FileSystem& files_;
  const std::string path_;
};

Result<Key> load_key(platform::FileSystem& files, const std::string& path) {
  VESTIGE_TRY(const auto bytes, platform::read_file(files, path, key_bytes_max));
  auto content = text(bytes);
  while (content.ends_with('\n')) content.remove_suffix(1);
  const auto key = array_from_base64<32>(content);
  if (!key)
    return corrupt(path, 0,
                   fmt::format("{} holds no signing key (base64 of 32 bytes)", files.describe(path)));
  return *key;
}

}  // namespace

std::unique_ptr<SignerStateStore> make_file_signer_state(platform::FileSystem& files,
                                                         const std::string& directory) {
  return std::make_unique<FileSignerState>(files, directory);
}

Signer::Signer(std::unique_ptr<SignerStateStore> store, platform::Clock& clock, crypto::SigningKey key,
               SignerState state)
    : store_(std::move(store)),
      clock_(clock),
      key_(std::move(key)),
      origin_(state.origin),
      state_(std::move(state)) {
  Lock lock(mutex_);
  if (state_.size > 0) note_ = make_note(state_);
}

Result<std::unique_ptr<Signer>> Signer::open(platform::FileSystem& files, platform::Entropy& entropy,
                                             platform::Clock& clock, const std::string& directory,
                                             const std::string& origin_prefix, const Block16& data_id,
                                             std::uint64_t log_size) {
  VESTIGE_CHECKED(files.make_directories(directory));
  auto store = make_file_signer_state(files, directory);
  const auto key_path = platform::join(directory, key_name);
  auto state = store->load();
  if (state) {
    VESTIGE_TRY(const auto seed, load_key(files, key_path));
    crypto::SigningKey key(seed);
    if (key.public_key() != state->public_key)
      return corrupt(key_path, 0,
                     fmt::format("{} is not the key that signed this log before", files.describe(key_path)));
    if (state->data_id != data_id)
      return fail(
          ErrorKind::conflict,
          fmt::format(
              "the signer state in {} belongs to another data directory. Point --signer-dir at the right "
              "one; starting with a new signer would begin a log that continues nothing",
              files.describe(directory)));
    return std::unique_ptr<Signer>(new Signer(std::move(store), clock, std::move(key), *std::move(state)));
  }
  if (state.error().kind != ErrorKind::not_found) return std::unexpected(state.error());

  if (log_size > 0)
    return fail(
        ErrorKind::not_found,
        fmt::format(
            "the signer state {} is missing, but the log has {} entries. Bring the signer's directory "
            "back (--signer-dir names another place); a new key would begin a second history under "
            "the same name",
            files.describe(directory), log_size));
  const Key seed = entropy.bytes<32>();
  crypto::SigningKey key(seed);
  SignerState fresh{.counter = 1,
                    .size = 0,
                    .root = empty_root(),
                    .public_key = key.public_key(),
                    .signed_at = clock.now(),
                    .data_id = data_id,
                    .origin = fmt::format("{}/{}", origin_prefix, directory)};
  if (!is_key_name(fresh.origin))
    return fail(
        ErrorKind::invalid,
        fmt::format("\"{}\" cannot be a log's origin: it must be without spaces and '+'", fresh.origin));
  // The key before the state: a state without its key could never sign again.
  VESTIGE_CHECKED(
      platform::replace_file(files, key_path, view(to_base64(seed) + "\n"), platform::FileMode::secret));
  VESTIGE_CHECKED(store->store(fresh));
  return std::unique_ptr<Signer>(new Signer(std::move(store), clock, std::move(key), std::move(fresh)));
}

std::string Signer::make_note(const SignerState& state) const {
  Note note{checkpoint_text({state.origin, state.size, state.root}), {}};
  sign_note(note, state.origin, key_);
  return format_note(note);
}

Status Signer::check(const Snapshot& snapshot) const {
  Lock lock(mutex_);
  if (snapshot.size() < state_.size)
    return corrupt(
        "", 0,
        fmt::format(
            "the log {} has {} entries, but {} were signed: {} entries are missing. Restore the newest "
            "data directory; nothing was changed",
            origin_, snapshot.size(), state_.size, state_.size - snapshot.size()));
  VESTIGE_TRY(const auto root, snapshot.root_at(state_.size));
  if (state_.size > 0 && root != state_.root)
    return corrupt(
        "", 0,
        fmt::format(
            "the log {} has another root at size {} than the one that was signed: entries were changed",
            origin_, state_.size));
  return {};
}

Result<std::string> Signer::sign(const Snapshot& snapshot) {
  Lock lock(mutex_);
  if (snapshot.size() < state_.size || (snapshot.size() == state_.size && state_.size > 0)) return note_;
  VESTIGE_TRY(const auto path, snapshot.consistency(state_.size, snapshot.size()));
  if (!verify_consistency(state_.size, state_.root, snapshot.size(), snapshot.root(), path))
    return corrupt("", 0,
                   fmt::format("the log {} does not extend what was signed at size {}; nothing was signed",
                               origin_, state_.size));
  SignerState next = state_;
  ++next.counter;
  next.size = snapshot.size();
  next.root = snapshot.root();
  next.signed_at = clock_.now();
  VESTIGE_CHECKED(store_->store(next));
  state_ = next;
  note_ = make_note(state_);
  return note_;
}

Result<std::string> Signer::sign_statement(std::string_view text) const {
  if (parse_checkpoint(text))
    return fail(ErrorKind::invalid, "a statement that reads as a checkpoint is not signed as anything else");
  Note note{std::string(text), {}};
  sign_note(note, origin_, key_);
  return format_note(note);
}

std::string Signer::last_note() const {
  Lock lock(mutex_);
  return note_;
}

std::uint64_t Signer::signed_size() const {
  Lock lock(mutex_);
  return state_.size;
}

VerifierKey Signer::verifier_key() const { return {origin_, SignatureType::ed25519, key_.public_key()}; }

}  // namespace vestige::trail
