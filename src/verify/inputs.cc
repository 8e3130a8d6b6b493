#include "verify/inputs.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "platform/entropy.h"
#include "trail/format/manifest.h"
#include "vault/root_key.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

// Everything that is wrong here is wrong with the command line, whatever the machine calls it.
std::unexpected<Error> unusable(std::string message) { return fail(ErrorKind::invalid, std::move(message)); }

Result<std::unique_ptr<platform::FileSystem>> open_place(const std::string& path, std::string_view what) {
  auto files = platform::open_directory(path, false);
  if (!files)
    return unusable(
        fmt::format("The {} cannot be read: {}. Name the right one.", what, files.error().message));
  return files;
}

// A named place, or its directory beside the data where that is there.
Result<std::unique_ptr<platform::FileSystem>> open_beside(platform::FileSystem& data, const Places& places,
                                                          const std::string& named, const std::string& beside,
                                                          std::string_view what) {
  if (!named.empty()) return open_place(named, what);
  if (!data.exists(beside)) return std::unique_ptr<platform::FileSystem>();
  return open_place(platform::join(places.data, beside), what);
}

Result<Key> read_key_file(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  VESTIGE_TRY(const auto files, open_place(directory, "directory of the root key"));
  auto bytes = platform::read_file(*files, path.substr(slash + 1), limits::root_key_text_max);
  if (!bytes) return unusable(fmt::format("The root key cannot be read: {}.", bytes.error().message));
  auto content = text(*bytes);
  while (content.ends_with('\n') || content.ends_with('\r')) content.remove_suffix(1);
  const auto key = array_from_base64<32>(content);
  crypto::cleanse(*bytes);
  if (key) return *key;
  return unusable(fmt::format("{} holds no root key: that is base64 of 32 bytes on one line.", path));
}

Result<Key> read_root_key(platform::FileSystem& vault, const Places& places) {
  if (!places.root_key_file.empty()) return read_key_file(places.root_key_file);
  auto root = vault::load_root_key(vault, platform::system_entropy(),
                                   {places.root_key_command, places.root_key_environment}, false);
  if (root) return root->key;
  return unusable(
      fmt::format("{} To check what can be checked without it, say --no-keys.", root.error().message));
}

}  // namespace

Result<std::unique_ptr<OpenedInputs>> OpenedInputs::open(const Places& places) {
  std::unique_ptr<OpenedInputs> opened(new OpenedInputs());
  VESTIGE_TRY(opened->data_, open_place(places.data, "data directory"));
  auto& data = *opened->data_;
  VESTIGE_TRY(opened->vault_, open_beside(data, places, places.vault_dir, "vault", "vault's directory"));
  VESTIGE_TRY(opened->signer_, open_beside(data, places, places.signer_dir, "signer", "signer's directory"));
  if (places.use_keys && opened->vault_ != nullptr) {
    VESTIGE_TRY(opened->root_key_, read_root_key(*opened->vault_, places));
    opened->has_key_ = true;
  }
  // Where there is no manifest either, this is no data directory, and verify_data() says so.
  if (places.use_keys && opened->vault_ == nullptr && data.exists(std::string(trail::manifest_name)))
    return unusable(fmt::format(
        "There is no vault in {}. Name its directory with --vault-dir, or say --no-keys to check what can be "
        "checked without it.",
        places.data));
  // A lock that cannot be asked for is taken for held: that only makes the verdict on the newest files
  // milder.
  opened->is_running_ = data.is_locked("LOCK").value_or(true);
  return opened;
}

OpenedInputs::~OpenedInputs() { crypto::cleanse(root_key_); }

}  // namespace vestige::verify
