#include "trail/testing/test_submission.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "base/uuid.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail::testing {

std::uint64_t fingerprint_of(std::uint64_t id) { return Random(id / 2).next(); }

std::string id_member(std::uint64_t id) {
  Block16 bytes{};
  store_le(bytes.data(), id);
  return fmt::format("\"id\":\"{}\"", format_uuid(Uuid{bytes}));
}

std::string entry_of(const Draft& draft, const Block16& salt) {
  return fmt::format(
      R"({{"action":"did \"{}\"",{},"kind":"kind-{}","n":{},"padding":"{}","receivedAt":"{}","salt":"{}"}})",
      draft.id % 7, id_member(draft.id), draft.id % 5, draft.id,
      std::string(draft.padding, static_cast<char>('a' + draft.id % 26)),
      format_time(UnixMs{1'700'000'000'000 + static_cast<std::int64_t>(draft.id)}), to_base64(salt));
}

namespace {

constexpr std::size_t entry_bytes_about = 256;

class TestSubmission final : public Submission {
 public:
  explicit TestSubmission(std::shared_ptr<Ticket> ticket) : ticket_(std::move(ticket)) {}

  std::uint8_t stream() const override { return ticket_->stream; }

  std::size_t bytes_max() const override {
    std::size_t bytes = 0;
    for (const auto& draft : ticket_->drafts) {
      bytes += entry_bytes_about + draft.padding;
      for (const auto& blob : draft.blobs) bytes += blob.size() + 8;
    }
    return bytes;
  }

  Status place(Placement& placement) override {
    ticket_->placed_called = true;
    ticket_->first = placement.next_index().value;
    if (ticket_->refuse) {
      ticket_->place_status = fail(ErrorKind::conflict, "refused by the test");
      return ticket_->place_status;
    }
    // Decided first, because nothing may fail once something was added.
    std::vector<std::optional<std::uint64_t>> earlier;
    for (const auto& draft : ticket_->drafts) {
      auto found = find(placement, draft.id);
      if (!found) {
        ticket_->place_status = std::unexpected(found.error());
        return ticket_->place_status;
      }
      earlier.push_back(*found);
    }
    std::map<std::uint64_t, std::uint64_t> added;
    for (std::size_t i = 0; i < ticket_->drafts.size(); ++i) {
      const auto& draft = ticket_->drafts[i];
      const auto [own, fresh] = added.try_emplace(draft.id, placement.next_index().value);
      ticket_->found.push_back(earlier[i].value_or(own->second));
      if (earlier[i] || !fresh) continue;
      add(placement, draft);
    }
    for (const auto& [name, value] : ticket_->marks) placement.set_mark(name, value);
    return {};
  }

  void settled(Status outcome) override {
    ++ticket_->settled_times;
    ticket_->outcome = std::move(outcome);
  }

 private:
  void add(Placement& placement, const Draft& draft) {
    const auto entry = entry_of(draft, placement.next_salt());
    const std::vector<ByteView> blobs(draft.blobs.begin(), draft.blobs.end());
    placement.add(fingerprint_of(draft.id), view(entry), blobs, nullptr);
    ticket_->placed.push_back({draft.id, entry, draft.blobs});
  }

  static Result<std::optional<std::uint64_t>> find(Placement& placement, std::uint64_t id) {
    VESTIGE_TRY(const auto indexes, placement.seen(fingerprint_of(id)));
    for (const auto index : indexes) {
      VESTIGE_TRY(const auto record, placement.read(Index{index}));
      if (record.entry.find(id_member(id)) != std::string::npos) return std::optional(index);
    }
    return std::optional<std::uint64_t>{};
  }

  std::shared_ptr<Ticket> ticket_;
};

}  // namespace

std::unique_ptr<Submission> make_submission(std::shared_ptr<Ticket> ticket) {
  return std::make_unique<TestSubmission>(std::move(ticket));
}

}  // namespace vestige::trail::testing
