#include "trail/log/reindex.h"

#include <algorithm>

#include "base/check.h"
#include "trail/log/log_state.h"

namespace vestige::trail {
namespace {

class Reindexing {
 public:
  Reindexing(const LogParts& parts, const Manifest& manifest, const ReindexProgress& progress)
      : parts_(parts),
        manifest_(manifest),
        progress_(progress),
        context_{parts.files, parts.wrapper, parts.sidecar_keys, parts.entropy, manifest.data_id},
        describer_(*parts.tokeniser, parts.section_tokens),
        generation_(parts.section_tokens != nullptr ? parts.section_tokens->generation() : 0) {}

  Result<ReindexReport> run() {
    for (const auto& stream : manifest_.streams)
      for (const auto& record : stream.segments)
        pages_ += (record.end - record.first + page_rows - 1) / page_rows;
    for (const auto& stream : manifest_.streams)
      for (const auto& record : stream.segments) VESTIGE_CHECKED(build(stream, record));
    if (context_.keys != nullptr) VESTIGE_CHECKED(context_.keys->retain(ids_));
    return report_;
  }

 private:
  Status build(const StreamRecord& stream, const SegmentRecord& record) {
    const auto name = stream.tenant + "/" + stream.name;
    const auto directory = "streams/" + name;
    const auto path = platform::join(directory, range_file_name(record.first, record.end, segment_ending));
    VESTIGE_TRY(const auto run, open_segment(parts_.files, parts_.wrapper, directory, name, record));
    FactsOfPages facts;
    for (std::size_t page = 0; page < run->pages(); ++page) {
      VESTIGE_TRY(auto described, describer_.describe_clear(*run, page));
      if (describer_.knows_sections()) {
        VESTIGE_TRY(described.sealed, describer_.describe_sealed(name, *run, page));
      }
      report_.with_sections += described.has_sections ? 1 : 0;
      facts.push_back(std::make_shared<const PageFacts>(std::move(described)));
      progress_(++report_.pages, pages_, path);
    }
    VESTIGE_CHECKED(
        write_clear_sidecar(context_, directory, record, sidecar_content(SidecarKind::clear, facts)));
    VESTIGE_CHECKED(write_sealed(directory, record, facts));
    ++report_.segments;
    report_.entries += record.end - record.first;
    return {};
  }

  // Where no page has sections there is none: one that is there loses its key with the others.
  Status write_sealed(const std::string& directory, const SegmentRecord& record, const FactsOfPages& facts) {
    const bool any = std::ranges::any_of(facts, [](const auto& page) { return page->has_sections; });
    if (context_.keys == nullptr || !any) return {};
    const auto old = sidecar_id(parts_.files, directory, record, SidecarKind::sealed);
    VESTIGE_CHECKED(write_sealed_sidecar(context_, directory, record,
                                         sidecar_content(SidecarKind::sealed, facts), old, generation_));
    if (const auto id = sidecar_id(parts_.files, directory, record, SidecarKind::sealed)) ids_.push_back(*id);
    return {};
  }

  const LogParts& parts_;
  const Manifest& manifest_;
  const ReindexProgress& progress_;
  const SidecarContext context_;
  PageDescriber describer_;
  const std::uint64_t generation_;
  std::uint64_t pages_ = 0;
  std::vector<Block16> ids_;
  ReindexReport report_;
};

}  // namespace

Result<ReindexReport> reindex(const LogParts& parts, const ReindexProgress& progress) {
  CHECK(parts.tokeniser != nullptr);
  VESTIGE_TRY(const auto manifest, Catalogue(parts.files).read());
  return Reindexing(parts, manifest, progress).run();
}

}  // namespace vestige::trail
