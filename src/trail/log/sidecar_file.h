// Sidecars on disk. Derived data: where one is missing or damaged the segment's pages are read instead, and
// it is built anew.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "trail/key_wrapper.h"
#include "trail/log/page_index.h"

namespace vestige::trail {

struct SidecarContext {
  platform::FileSystem& files;
  KeyWrapper& wrapper;
  platform::Entropy& entropy;
  const Block16& data_id;
};

// Replaces the sidecar of a closed segment whole. Durable when it returns.
Status write_sidecar(const SidecarContext& context, const std::string& directory, const SegmentRecord& record,
                     std::span<const std::shared_ptr<const PageFacts>> pages);

// not_found where there is none; corrupt where it is not that of this segment, or was changed. What is read
// later is checked when it is read: mark() then gives corrupt.
Result<std::shared_ptr<const PageIndex>> open_sidecar(platform::FileSystem& files, const KeyWrapper& wrapper,
                                                      const std::string& directory,
                                                      const SegmentRecord& record, std::size_t pages);

}  // namespace vestige::trail
