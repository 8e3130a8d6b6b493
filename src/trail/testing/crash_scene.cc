#include "trail/testing/crash_scene.h"

#include <fmt/format.h>

#include <set>

#include "trail/format/manifest.h"
#include "trail/format/segment_format.h"
#include "trail/format/wal_format.h"

namespace vestige::trail::testing {
namespace {

using Files = std::map<std::string, Bytes>;

constexpr std::string_view wal_prefix = "data/wal/";

// Walks the valid frames of a file. Gives the offset of the first that is none and the sequence due there.
struct End {
  std::uint64_t offset;
  std::uint64_t sequence;
};
End walk(const WalHeader& header, ByteView file) {
  End end{wal_header_bytes, header.first_sequence};
  while (end.offset + frame_header_bytes <= file.size()) {
    const auto bytes = file.subspan(end.offset);
    const auto frame = decode_frame_header(bytes);
    if (!frame || frame->generation != header.generation || frame->sequence != end.sequence) break;
    const auto size = align_frame(frame_header_bytes + frame->payload_bytes);
    if (size > bytes.size() ||
        !frame_hash_matches(bytes, bytes.subspan(frame_header_bytes, frame->payload_bytes), *frame))
      break;
    end.offset += size;
    ++end.sequence;
  }
  return end;
}

// A frame whose header came through while its payload did not.
bool has_torn_frame(const WalHeader& header, ByteView file) {
  const auto end = walk(header, file);
  if (end.offset + frame_header_bytes > file.size()) return false;
  const auto frame = decode_frame_header(file.subspan(end.offset));
  return frame && frame->generation == header.generation && frame->sequence == end.sequence;
}

void inspect_wal(const Files& files, const Manifest& manifest, Probes& probes) {
  std::map<std::uint64_t, std::pair<WalHeader, const Bytes*>> chain;
  for (const auto& [path, content] : files) {
    if (!path.starts_with(wal_prefix)) continue;
    const auto name = path.substr(wal_prefix.size());
    if (name.starts_with("spare-")) probes.hit("spare WAL file");
    const auto generation = parse_wal_file_name(name);
    if (!generation) continue;
    if (*generation < manifest.wal_root) {
      probes.hit("manifest replaced, WAL file not yet recycled");
      continue;
    }
    const auto header =
        decode_wal_header(ByteView(content).first(std::min(content.size(), wal_header_bytes)));
    if (!header) continue;
    if (header->kind == WalFileKind::root && *generation > manifest.wal_root) {
      probes.hit("attempt of recovery to discard");
      break;
    }
    chain[*generation] = {*header, &content};
  }
  if (chain.size() > 1) probes.hit("WAL of several files");
  if (!chain.empty() && has_torn_frame(chain.rbegin()->second.first, *chain.rbegin()->second.second))
    probes.hit("torn frame");
}

void inspect_stream(const Files& files, const StreamRecord& stream, Probes& probes) {
  const auto directory = fmt::format("data/streams/{}/", stream.full_name());
  std::set<std::string> listed;
  for (const auto& segment : stream.segments)
    listed.insert(range_file_name(segment.first, segment.end, segment_ending));
  for (const auto& [path, content] : files) {
    if (!path.starts_with(directory)) continue;
    const auto name = path.substr(directory.size());
    if (name.ends_with(".open")) probes.hit("segment under construction");
    if (name.ends_with(".hashes.tmp")) probes.hit("hash file written, not renamed");
    if (name.ends_with(".ids.tmp")) probes.hit("id run written, not renamed");
    if (const auto range = parse_range_file_name(name, hashes_ending)) {
      const auto segment = range_file_name(range->first, range->end, segment_ending);
      if (!files.contains(directory + segment)) probes.hit("hash file renamed, segment not");
    }
    if (name.ends_with(segment_ending) && !listed.contains(name))
      probes.hit("segment renamed, manifest not replaced");
  }
  if (!stream.segments.empty()) probes.hit("sealed segment");
}

}  // namespace

std::uint64_t Probes::count(const std::string& name) const {
  const auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

void Probes::print() const {
  for (const auto& [name, count] : counts_) fmt::print("  {:>8}  {}\n", count, name);
}

void inspect_scene(const platform::sim::SimDisk& disk, Probes& probes) {
  const auto files = disk.snapshot();
  if (files.contains("data/manifest.tmp")) probes.hit("manifest written, not renamed");
  const auto found = files.find("data/manifest");
  if (found == files.end()) {
    probes.hit("no manifest yet");
    return;
  }
  const auto manifest = decode_manifest(found->second);
  if (!manifest) return;
  inspect_wal(files, *manifest, probes);
  for (const auto& stream : manifest->streams) inspect_stream(files, stream, probes);
}

}  // namespace vestige::trail::testing
