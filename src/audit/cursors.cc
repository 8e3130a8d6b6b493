#include "audit/cursors.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"

namespace vestige::audit {
namespace {

constexpr std::string_view mark_prefix = "cursor/";

std::unexpected<Error> refuse(std::string path, std::string message, std::string limit = {}) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(message)};
  error.path = std::move(path);
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

// No name has a '/' in it, so no name of one owner is one of another.
std::string place_of(const CursorOwner& owner, std::string_view name) {
  return owner.empty() ? std::string(name) : fmt::format("{}/{}", owner, name);
}

}  // namespace

bool is_cursor_name(std::string_view name) {
  constexpr auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= cursor_name_bytes_max && std::ranges::all_of(name, is_part);
}

// Brings a mark and no record.
class Cursors::Saving final : public trail::Submission {
 public:
  Saving(Cursors& cursors, std::string place, std::uint64_t next, Done done)
      : cursors_(cursors), place_(std::move(place)), next_(next), done_(std::move(done)) {}

  std::uint8_t stream() const override { return cursors_.stream_.number(); }
  std::size_t bytes_max() const override { return trail::mark_name_bytes_max; }
  Status place(trail::Placement& placement) override {
    placement.set_mark(fmt::format("{}{}", mark_prefix, place_), next_);
    return {};
  }
  void settled(Status outcome) override {
    if (outcome) cursors_.saved(place_, next_);
    done_(std::move(outcome));
  }

 private:
  Cursors& cursors_;
  const std::string place_;
  const std::uint64_t next_;
  const Done done_;
};

Cursors::Cursors(trail::Log& log, trail::Stream& stream) : log_(log), stream_(stream) {
  Lock lock(mutex_);
  for (const auto& [name, value] : log.marks(stream.number(), mark_prefix))
    known_.emplace(name.substr(mark_prefix.size()), value);
}

std::optional<Cursor> Cursors::find(const CursorOwner& owner, std::string_view name) const {
  if (!is_cursor_name(name)) return std::nullopt;
  Lock lock(mutex_);
  const auto found = known_.find(place_of(owner, name));
  if (found == known_.end() || !found->second) return std::nullopt;
  return Cursor{std::string(name), *found->second};
}

std::vector<Cursor> Cursors::list(const CursorOwner& owner) const {
  const auto prefix = place_of(owner, "");
  Lock lock(mutex_);
  std::vector<Cursor> cursors;
  for (const auto& [place, next] : known_) {
    if (!next || !place.starts_with(prefix)) continue;
    const auto name = place.substr(prefix.size());
    if (is_cursor_name(name)) cursors.push_back({name, *next});
  }
  return cursors;
}

Status Cursors::reserve(const CursorOwner& owner, const Cursor& cursor) {
  if (!is_cursor_name(cursor.name))
    return refuse("", fmt::format("the name of a cursor has 1 to {} letters, digits, dots, underscores and "
                                  "hyphens",
                                  cursor_name_bytes_max));
  if (const auto size = stream_.size(); cursor.next > size)
    return refuse("/next",
                  fmt::format("the trail has {} entries, so no reader can go on at {}", size, cursor.next));
  const auto place = place_of(owner, cursor.name);
  Lock lock(mutex_);
  if (known_.contains(place)) return {};
  if (known_.size() >= cursors_max) {
    Error error{.kind = ErrorKind::exhausted,
                .message = "there are as many cursors as there can be; use one of them again"};
    error.limit = fmt::format("cursors_max = {}", cursors_max);
    return std::unexpected(std::move(error));
  }
  known_.emplace(place, std::nullopt);
  return {};
}

void Cursors::save(const CursorOwner& owner, Cursor cursor, Done done) {
  if (auto reserved = reserve(owner, cursor); !reserved) return done(std::move(reserved));
  // A submission that is refused at once is not settled, so it does not own the only `done`.
  const auto shared = std::make_shared<const Done>(std::move(done));
  auto taken =
      log_.submit(std::make_unique<Saving>(*this, place_of(owner, cursor.name), cursor.next,
                                           [shared](Status outcome) { (*shared)(std::move(outcome)); }));
  if (!taken) (*shared)(std::move(taken));
}

void Cursors::saved(const std::string& place, std::uint64_t next) {
  Lock lock(mutex_);
  known_[place] = next;
}

}  // namespace vestige::audit
