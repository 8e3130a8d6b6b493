#include "vault/root_key.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "platform/process.h"
#include "vault/format.h"
#include "vault/limits.h"

namespace vestige::vault {

namespace {

constexpr const char* root_key_path = "root.key";

// Text that holds a key: overwritten when it goes, and never grown past what was reserved for it.
struct SecretText {
  std::string text;
  SecretText() { text.reserve(limits::root_key_text_max); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { crypto::cleanse({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }
};

// `described` begins a sentence: "the file DIR/root.key".
Result<RootKey> parse(std::string_view text, std::string described) {
  constexpr std::string_view blank = " \t\r\n";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos)
    return fail(ErrorKind::invalid,
                fmt::format("The root key is empty: {} holds nothing. It should hold base64 of "
                            "32 bytes on one line.",
                            described));
  text = text.substr(first, text.find_last_not_of(blank) - first + 1);
  auto bytes = from_base64(text);
  if (!bytes || bytes->size() != sizeof(Key)) {
    if (bytes) crypto::cleanse(*bytes);
    return fail(ErrorKind::invalid,
                fmt::format("The root key is malformed: {} should hold base64 of 32 bytes on one line (44 "
                            "characters, the last one '='), and holds something else.",
                            described));
  }
  RootKey root{.key = load_le<Key>(bytes->data()), .created = false, .described = std::move(described)};
  crypto::cleanse(*bytes);
  return root;
}

Result<RootKey> from_command(const std::string& command) {
  const auto described = fmt::format("the command \"{}\"", command);
  SecretText output;
  const auto status =
      platform::run_program({"/bin/sh", "-c", command}, [&](std::string_view piece) -> Status {
        if (output.text.size() + piece.size() > limits::root_key_text_max)
          return fail(ErrorKind::invalid,
                      fmt::format("The root key cannot be read: {} wrote more than {} bytes. It "
                                  "should write base64 of 32 bytes on one line.",
                                  described, limits::root_key_text_max));
        output.text += piece;
        return {};
      });
  if (!status) return std::unexpected(status.error());
  if (*status != 0)
    return fail(ErrorKind::unavailable,
                fmt::format("The root key cannot be read: {} ended with status {}. See what "
                            "it wrote to standard error, and start again.",
                            described, *status));
  return parse(output.text, described);
}

Result<RootKey> from_environment(const std::string& name) {
  const auto described = fmt::format("the environment variable {}", name);
  auto value = platform::environment(name);
  if (!value)
    return fail(ErrorKind::not_found,
                fmt::format("The root key is missing: {} is not set. Set it to base64 of 32 "
                            "bytes; without the root key the data cannot be read.",
                            described));
  SecretText held;
  held.text.swap(*value);
  return parse(held.text, described);
}

Result<RootKey> make_file(platform::FileSystem& files, platform::Entropy& entropy, std::string described) {
  RootKey root{.key = {}, .created = true, .described = std::move(described)};
  entropy.fill(root.key);
  SecretText text;
  append_base64(text.text, root.key);
  text.text += '\n';
  VESTIGE_CHECKED(platform::replace_file(files, root_key_path, view(text.text), platform::FileMode::secret));
  return root;
}

Result<RootKey> from_file(platform::FileSystem& files, platform::Entropy& entropy, bool create) {
  auto described = fmt::format("the file {}", files.describe(root_key_path));
  if (!files.exists(root_key_path)) {
    if (create && !files.exists(top_path)) return make_file(files, entropy, std::move(described));
    return fail(
        ErrorKind::not_found,
        fmt::format("The root key is missing: there is no {}. Put back the copy that was kept of it, or name "
                    "the variable or command that gives it; without the root key the data cannot be read.",
                    described));
  }
  SecretBytes content;
  VESTIGE_TRY(content.bytes, platform::read_file(files, root_key_path, limits::root_key_text_max));
  return parse(text(content.bytes), std::move(described));
}

}  // namespace

Result<RootKey> load_root_key(platform::FileSystem& vault_files, platform::Entropy& entropy,
                              const RootKeySource& source, bool create) {
  if (!source.command.empty()) return from_command(source.command);
  if (!source.environment.empty()) return from_environment(source.environment);
  return from_file(vault_files, entropy, create);
}

}  // namespace vestige::vault
