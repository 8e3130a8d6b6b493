#include "trail/log/page_describer.h"

#include <algorithm>

#include "base/check.h"

namespace vestige::trail {

PageFacts PageDescriber::describe_clear(std::span<const ByteView> entries, bool has_sections) {
  for (const auto entry : entries) clear_.add(text(entry));
  return clear_.take(has_sections);
}

Status PageDescriber::visit(const PageRun& run, std::size_t number,
                            const std::function<Status(std::uint32_t, std::string_view)>& visit) {
  VESTIGE_TRY(auto page, run.read_page(number));
  VESTIGE_CHECKED(page.load_rest());
  for (std::uint32_t row = 0; row < page.rows(); ++row) {
    entry_.clear();
    page.append_entry(row, entry_);
    VESTIGE_CHECKED(visit(row, entry_));
  }
  return {};
}

Result<PageFacts> PageDescriber::describe_clear(const PageRun& run, std::size_t page) {
  VESTIGE_CHECKED(visit(run, page, [&](std::uint32_t, std::string_view entry) {
    clear_.add(entry);
    return Status{};
  }));
  return clear_.take(run.has_sections(page));
}

Result<TokenSet> PageDescriber::describe_sealed(const std::string& stream, const PageRun& run,
                                                std::size_t page) {
  CHECK(sections_ != nullptr);
  if (!run.has_sections(page)) return TokenSet{};
  VESTIGE_TRY(const auto blobs, run.read_sections(page));
  const auto described = visit(run, page, [&](std::uint32_t row, std::string_view entry) {
    if (blobs[row].empty()) return Status{};
    of_row_.clear();
    auto opened = sections_->describe(stream, entry, blobs[row], of_row_);
    if (!opened && opened.error().kind == ErrorKind::corrupt) {
      sealed_.overflow();
      return Status{};
    }
    sealed_.add(of_row_);
    return opened;
  });
  auto tokens = sealed_.take();
  if (!described) return std::unexpected(described.error());
  return tokens;
}

std::optional<TokenSet> PageDescriber::take_known(std::span<const std::shared_ptr<const KnownTokens>> rows) {
  if (sections_ == nullptr) return std::nullopt;
  const auto now = sections_->generation();
  const bool all = std::ranges::all_of(
      rows, [now](const auto& known) { return known != nullptr && known->generation == now; });
  if (!all) return std::nullopt;
  for (const auto& known : rows) sealed_.add(known->tokens);
  return sealed_.take();
}

}  // namespace vestige::trail
