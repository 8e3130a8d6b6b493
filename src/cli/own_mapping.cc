#include "cli/internal/own_mapping.h"

#include "cli/internal/local_file.h"

namespace vestige::cli {

Result<importing::Mapping> read_own_mapping(const std::string& path, const importing::Catalogue& catalogue) {
  auto text = read_local(path, importing::mapping_bytes_max);
  if (!text) {
    text.error().kind = ErrorKind::invalid;
    return std::unexpected(std::move(text).error());
  }
  const auto find = [](const void* from, std::string_view name) {
    return static_cast<const importing::Catalogue*>(from)->find(name);
  };
  return importing::Mapping::read(*text, path, &catalogue, find);
}

Result<sources::kafka::Mapping> read_command_mapping(const std::string& path) {
  struct Own {
    importing::Catalogue catalogue;
    importing::Mapping mapping;
  };
  auto own = std::make_shared<Own>();
  VESTIGE_TRY(own->catalogue, importing::Catalogue::load());
  VESTIGE_TRY(own->mapping, read_own_mapping(path, own->catalogue));
  return [own = std::shared_ptr<const Own>(std::move(own))](const json::Value& command) {
    return importing::map_record(own->catalogue, own->mapping, command);
  };
}

}  // namespace vestige::cli
