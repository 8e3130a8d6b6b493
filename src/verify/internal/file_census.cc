#include "verify/internal/file_census.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "trail/format/segment_format.h"
#include "trail/format/sidecar_format.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::string_view signer_prefix = "signer/";
constexpr std::string_view nobodys = "no file of this name belongs here";

bool is_temporary(std::string_view name) { return name.ends_with(".tmp"); }

// "spare-<n>.wal"
bool is_spare(std::string_view name) {
  if (!name.starts_with("spare-") || !name.ends_with(".wal")) return false;
  name.remove_prefix(6);
  name.remove_suffix(4);
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

// Files of the operator or of another part of the server, which no digest covers.
bool is_outside(std::string_view name) {
  return name == "LOCK" || name == "api-keys.imported" || name.ends_with(".key") || name.ends_with(".log") ||
         name.find(".db") != std::string_view::npos;
}

std::optional<trail::IndexRange> range_of(std::string_view name) {
  for (const auto ending :
       {trail::segment_ending, trail::hashes_ending, trail::ids_ending,
        trail::sidecar_ending(trail::SidecarKind::clear), trail::sidecar_ending(trail::SidecarKind::sealed)})
    if (auto range = trail::parse_range_file_name(name, ending)) return range;
  return std::nullopt;
}

// No file, and no directory with one.
bool is_empty_directory(platform::FileSystem& files, const std::string& path, unsigned depth_max) {
  const auto entries = files.list(path);
  return entries && std::ranges::all_of(*entries, [&](const auto& entry) {
           return entry.is_directory && depth_max > 0 &&
                  is_empty_directory(files, platform::join(path, entry.name), depth_max - 1);
         });
}

constexpr unsigned stream_directory_depth = 1;  // of a tenant's directory: one below it for each stream

// "<tenant>" and "<tenant>/<stream>" of what the manifest names by now.
std::set<std::string> streams_now(platform::FileSystem& data) {
  std::set<std::string> names;
  const auto bytes = platform::read_file(data, std::string(trail::manifest_name), trail::manifest_bytes_max);
  const auto manifest = bytes ? trail::decode_manifest(*bytes) : std::unexpected(bytes.error());
  if (!manifest) return names;
  for (const auto& stream : manifest->streams) {
    names.insert(stream.tenant);
    names.insert(stream.full_name());
  }
  return names;
}

}  // namespace

void Census::foreign(std::string path, std::string_view why) {
  problems.add(Part::foreign, std::move(path), 0, std::string(why));
}

std::vector<std::string> Census::names(platform::FileSystem& files, const std::string& directory,
                                       const std::vector<std::string>& directories, std::string_view prefix) {
  std::vector<std::string> out;
  const auto entries = files.list(directory);
  if (!entries) {
    if (entries.error().kind != ErrorKind::not_found)
      problems.add_error(Part::foreign, std::string(prefix) + directory, entries.error());
    return out;
  }
  std::vector<std::string> unknown;
  for (const auto& entry : *entries) {
    if (!entry.is_directory)
      out.push_back(entry.name);
    else if (std::ranges::find(directories, entry.name) == directories.end())
      unknown.push_back(platform::join(directory, entry.name));
  }
  if (!unknown.empty()) count_unknown(files, unknown, prefix);
  return out;
}

// Directories that the manifest gives no reason for.
void Census::count_unknown(platform::FileSystem& files, const std::vector<std::string>& paths,
                           std::string_view prefix) {
  constexpr std::string_view streams = "streams/";
  // Read after the names were: a stream has nothing in its directories before the manifest names it.
  const auto added = scope.while_running ? streams_now(scope.data) : std::set<std::string>();
  for (const auto& path : paths) {
    const bool of_streams = path.starts_with(streams);
    const bool may_be_added = of_streams || prefix == signer_prefix;
    if (may_be_added && added.contains(of_streams ? path.substr(streams.size()) : path)) continue;
    auto shown = std::string(prefix) + path;
    if (!of_streams || !is_empty_directory(files, path, stream_directory_depth))
      foreign(std::move(shown), "no directory of this name belongs here");
    else if (!scope.while_running)
      left_overs.push_back(std::move(shown));  // made for a stream that did not get into the manifest
  }
}

void Census::count_data() {
  for (const auto& name : names(scope.data, "", {"wal", "streams", "signer", "vault"}, "")) {
    if (name == trail::manifest_name || name == "api-keys" || is_outside(name)) continue;
    if (is_temporary(name))
      left_overs.push_back(name);
    else
      foreign(name, nobodys);
  }
  count_wal();
  count_streams();
}

void Census::count_wal() {
  for (const auto& name : names(scope.data, "wal", {}, "")) {
    const auto path = platform::join("wal", name);
    const auto generation = trail::parse_wal_file_name(name);
    const auto is_in = [&](const std::vector<std::uint64_t>& list) {
      return std::ranges::find(list, *generation) != list.end();
    };
    if (is_spare(name) || (generation && (is_in(wal.chain) || !wal.whole))) continue;
    if (is_temporary(name) || generation) {
      if (!scope.while_running) left_overs.push_back(path);
    } else {
      foreign(path, nobodys);
    }
  }
}

void Census::count_streams() {
  std::map<std::string, std::vector<std::string>> streams;
  for (const auto& stream : scope.manifest.streams) streams[stream.tenant].push_back(stream.name);
  std::vector<std::string> tenants;
  for (const auto& [tenant, of_tenant] : streams) tenants.push_back(tenant);
  for (const auto& name : names(scope.data, "streams", tenants, ""))
    foreign(platform::join("streams", name), nobodys);
  for (const auto& [tenant, of_tenant] : streams)
    for (const auto& name : names(scope.data, "streams/" + tenant, of_tenant, ""))
      foreign(platform::join("streams/" + tenant, name), nobodys);
  for (const auto& stream : scope.manifest.streams) count_stream(stream);
}

void Census::count_stream(const trail::StreamRecord& stream) {
  const auto directory = stream_directory(stream);
  std::set<std::string> listed;
  for (const auto& record : stream.segments)
    for (const auto ending : {trail::segment_ending, trail::hashes_ending, trail::ids_ending,
                              trail::sidecar_ending(trail::SidecarKind::clear),
                              trail::sidecar_ending(trail::SidecarKind::sealed)})
      listed.insert(trail::range_file_name(record.first, record.end, ending));
  for (const auto& name : names(scope.data, directory, {}, ""))
    if (!listed.contains(name)) count_stream_file(stream, directory, name);
}

void Census::count_stream_file(const trail::StreamRecord& stream, const std::string& directory,
                               const std::string& name) {
  auto path = platform::join(directory, name);
  if (name == "checkpoint" && stream.proofs) return;
  const bool unfinished = is_temporary(name) || name.ends_with(".open");
  const auto range = range_of(name);
  const auto size = sizes.find(stream.number);
  const bool sealed_late =
      range && range->first >= stream.sealed_size && (size == sizes.end() || range->end <= size->second);
  if (unfinished || sealed_late) {
    if (!scope.while_running) left_overs.push_back(std::move(path));
    return;
  }
  if (range && range->first >= stream.sealed_size && scope.while_running) return;
  foreign(std::move(path), range ? "the manifest does not list this file" : nobodys);
}

void Census::count_signer(platform::FileSystem& signer) {
  constexpr std::string_view prefix = signer_prefix;
  std::map<std::string, std::vector<std::string>> streams;
  for (const auto& stream : scope.manifest.streams)
    if (stream.proofs) streams[stream.tenant].push_back(stream.name);
  std::vector<std::string> tenants;
  for (const auto& [tenant, of_tenant] : streams) tenants.push_back(tenant);
  for (const auto& name : names(signer, "", tenants, prefix)) foreign("signer/" + name, nobodys);
  for (const auto& [tenant, of_tenant] : streams) {
    for (const auto& name : names(signer, tenant, of_tenant, prefix))
      foreign("signer/" + platform::join(tenant, name), nobodys);
    for (const auto& stream : of_tenant)
      for (const auto& name : names(signer, platform::join(tenant, stream), {}, prefix)) {
        auto path = "signer/" + platform::join(platform::join(tenant, stream), name);
        if (name == "state" || name == "log.key") continue;
        if (is_temporary(name))
          left_overs.push_back(std::move(path));
        else
          foreign(std::move(path), nobodys);
      }
  }
}

namespace {

void check_vault_file(platform::FileSystem& vault, const std::string& path, bool while_running,
                      Problems& problems) {
  const auto bytes = platform::read_file(vault, path, limits::vault_file_bytes_max);
  // Pages come and go with every commit of a running server.
  if (!bytes && bytes.error().kind == ErrorKind::not_found && while_running) return;
  auto status = bytes ? vault::check_container(path, *bytes) : std::unexpected(bytes.error());
  if (!status) problems.add_error(Part::vault, "vault/" + path, status.error());
}

}  // namespace

void check_vault_containers(platform::FileSystem& vault, bool while_running, Problems& problems,
                            std::vector<std::string>& left_overs) {
  const auto add_list_error = [&](const std::string& path, const Error& error) {
    problems.add_error(Part::vault, "vault/" + path, error);
  };
  const auto top_level = vault.list("");
  if (!top_level) return add_list_error("", top_level.error());
  bool has_top = false;
  for (const auto& [name, is_directory] : *top_level) {
    if (is_directory ? name == vault::pages_directory : name == "root.key") continue;
    has_top = has_top || name == vault::top_path;
    if (!is_directory && (name == vault::top_path || name == vault::journal_path))
      check_vault_file(vault, name, while_running, problems);
    else if (!is_directory && is_temporary(name))
      left_overs.push_back("vault/" + name);
    else
      problems.add(Part::foreign, "vault/" + name, 0, std::string(nobodys));
  }
  if (!has_top) problems.add(Part::vault, "vault/top", 0, "the vault's top table is missing");
  const auto pages = vault.list(vault::pages_directory);
  if (!pages) return add_list_error(vault::pages_directory, pages.error());
  for (const auto& entry : *pages) {
    const auto path = platform::join(vault::pages_directory, entry.name);
    if (!entry.is_directory && vault::parse_page_path(path))
      check_vault_file(vault, path, while_running, problems);
    else
      problems.add(Part::foreign, "vault/" + path, 0, std::string(nobodys));
  }
}

}  // namespace vestige::verify
