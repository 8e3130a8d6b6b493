#include "verify/internal/head_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "trail/format/note.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::uint64_t state_root_at = 32;
constexpr std::uint64_t counter_after_first_signature = 2;

std::optional<Bytes> read(platform::FileSystem& files, const std::string& path, std::uint64_t bytes_max,
                          Part part, const std::string& shown, Problems& problems) {
  auto bytes = platform::read_file(files, path, bytes_max);
  if (bytes) return *std::move(bytes);
  if (bytes.error().kind != ErrorKind::not_found) problems.add_error(part, shown, bytes.error());
  return std::nullopt;
}

class HeadCheck {
 public:
  HeadCheck(const trail::StreamRecord& stream, const HeadContext& context, Problems& problems,
            std::vector<std::string>& notes)
      : stream_(stream), context_(context), problems_(problems), notes_(notes) {}

  void check_state(ByteView bytes, const Block16& data_id);
  void check_checkpoint(ByteView bytes);
  void check_absent_checkpoint();
  HeadOutcome out;

 private:
  Result<trail::Checkpoint> signed_checkpoint(std::string_view note) const;
  void check_older(const std::string& file, const trail::Checkpoint& checkpoint);
  void wrong(Part part, const std::string& file, std::uint64_t offset, std::string reason) {
    problems_.add(part, file, offset, std::move(reason));
  }
  bool is_origin(std::string_view origin) const { return origin.ends_with("/" + stream_.full_name()); }

  const trail::StreamRecord& stream_;
  const HeadContext& context_;
  Problems& problems_;
  std::vector<std::string>& notes_;
  std::optional<trail::SignerState> state_;
};

void HeadCheck::check_state(ByteView bytes, const Block16& data_id) {
  const auto file = state_path(stream_);
  const auto state = trail::decode_signer_state(bytes);
  if (!state) return problems_.add_error(Part::signer_state, file, state.error());
  if (state->data_id != data_id)
    return wrong(Part::signer_state, file, 104, "the signer's state belongs to another data directory");
  if (!is_origin(state->origin))
    return wrong(
        Part::signer_state, file, 124,
        fmt::format("the signer's state is of the log {}, not of {}", state->origin, stream_.full_name()));
  state_ = *state;
  out.signed_size = state->size;
  out.roots.push_back({Part::signer_state, file, state_root_at, state->size, state->root});
}

// Whoever can write the signer's state can write another key there, so a key that was brought outranks it.
Result<trail::Checkpoint> HeadCheck::signed_checkpoint(std::string_view note) const {
  VESTIGE_TRY(const auto parsed, trail::parse_note(note));
  VESTIGE_TRY(auto checkpoint, trail::parse_checkpoint(parsed.text));
  if (!context_.verifier_keys.empty()) {
    const auto key = std::ranges::find(context_.verifier_keys, checkpoint.origin, &trail::VerifierKey::name);
    if (key != context_.verifier_keys.end()) return trail::verify_checkpoint(note, *key);
    if (!state_)
      return corrupt("", 0,
                     fmt::format("the checkpoint is of the log {}, for which no verifier key was given",
                                 checkpoint.origin));
  }
  if (state_)
    return trail::verify_checkpoint(note,
                                    {state_->origin, trail::SignatureType::ed25519, state_->public_key});
  return checkpoint;
}

void HeadCheck::check_checkpoint(ByteView bytes) {
  const auto file = checkpoint_path(stream_);
  const auto parsed = signed_checkpoint(text(bytes));
  if (!parsed) return problems_.add_error(Part::checkpoint, file, parsed.error());
  if (!is_origin(parsed->origin))
    return wrong(
        Part::checkpoint, file, 0,
        fmt::format("the checkpoint is of the log {}, not of {}", parsed->origin, stream_.full_name()));
  if (state_ && parsed->size > state_->size)
    return wrong(
        Part::signer_state, state_path(stream_), 24,
        fmt::format("the signer's state says that {} entries were signed, and there is a checkpoint of {}: "
                    "an older state was put in its place",
                    state_->size, parsed->size));
  if (state_ && parsed->size < state_->size) check_older(file, *parsed);
  if (state_ && parsed->size == state_->size && parsed->root != state_->root)
    wrong(Part::checkpoint, file, parsed->origin.size() + 1,
          fmt::format("the checkpoint of {} entries has another root than the signer's state", parsed->size));
  if (!out.signed_size) out.signed_size = parsed->size;
  out.roots.push_back({Part::checkpoint, file, parsed->origin.size() + 1, parsed->size, parsed->root});
}

// A crash may come between a signature and its checkpoint.
void HeadCheck::check_older(const std::string& file, const trail::Checkpoint& checkpoint) {
  if (context_.stopped_in_order)
    return wrong(
        Part::checkpoint, file, checkpoint.origin.size() + 1,
        fmt::format("the checkpoint is of {} entries, and {} were signed before the server stopped: an "
                    "older one was put in its place, or the disk was full then; the server writes the "
                    "newest one when it starts",
                    checkpoint.size, state_->size));
  notes_.push_back(
      fmt::format("{} is of {} entries, and {} were signed since: the server writes the newest one "
                  "when it starts.",
                  file, checkpoint.size, state_->size));
}

// Absent is what a crash leaves between the first signature and its checkpoint, and not later.
void HeadCheck::check_absent_checkpoint() {
  if (!state_ || state_->counter < counter_after_first_signature) return;
  const auto file = checkpoint_path(stream_);
  if (state_->counter > counter_after_first_signature)
    wrong(Part::checkpoint, file, 0,
          fmt::format("the checkpoint is missing: {} entries were signed", state_->size));
  else
    notes_.push_back(fmt::format("{} is not there yet: the server writes it when it starts.", file));
}

}  // namespace

std::string checkpoint_path(const trail::StreamRecord& stream) {
  return platform::join(stream_directory(stream), "checkpoint");
}

std::string state_path(const trail::StreamRecord& stream) {
  return "signer/" + stream.full_name() + "/state";
}

StoredHead read_head(platform::FileSystem& data, platform::FileSystem* signer,
                     const trail::StreamRecord& stream, Problems& problems) {
  StoredHead head;
  if (!stream.proofs) return head;
  const auto path = checkpoint_path(stream);
  head.checkpoint = read(data, path, trail::note_bytes_max, Part::checkpoint, path, problems);
  if (signer != nullptr)
    head.state = read(*signer, stream.full_name() + "/state", limits::signer_state_bytes_max,
                      Part::signer_state, state_path(stream), problems);
  return head;
}

HeadOutcome check_head(const StoredHead& head, const HeadContext& context, const trail::StreamRecord& stream,
                       const Block16& data_id, Problems& problems, std::vector<std::string>& notes) {
  HeadCheck check(stream, context, problems, notes);
  if (head.state) check.check_state(*head.state, data_id);
  if (!head.state && context.signer_is_there && head.checkpoint && context.verifier_keys.empty())
    problems.add(Part::signer_state, state_path(stream), 0,
                 "the signer's state is missing, and there is a checkpoint that it signed");
  if (head.checkpoint)
    check.check_checkpoint(*head.checkpoint);
  else
    check.check_absent_checkpoint();
  return std::move(check.out);
}

}  // namespace vestige::verify
