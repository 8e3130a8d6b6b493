#include "cli/configuration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"

namespace vestige::cli {
namespace {

constexpr std::uint64_t kibi = 1'024;
constexpr std::uint64_t mebi = kibi * kibi;
constexpr std::uint64_t gibi = mebi * kibi;
constexpr std::uint64_t tebi = gibi * kibi;
constexpr std::uint64_t block_rows = 4'096;  // segments are made of whole blocks

constexpr std::array keys{
    ConfigurationKey{"data", "DIR", "where everything is kept; made if absent", &ServeArguments::data},
    ConfigurationKey{"port", "PORT", "the port to listen on; 0 takes a free one", &ServeArguments::port, 0,
                     65'535},
    ConfigurationKey{"listen", "ADDRESS", "the address to listen on; 0.0.0.0 or :: for all",
                     &ServeArguments::listen},
    ConfigurationKey{
        "origin", "NAME",
        "what the names of the logs begin with, fixed at the first start; the host name if empty",
        &ServeArguments::origin},
    ConfigurationKey{"vault_dir", "DIR",
                     "where the keys of persons are kept; vault in the data directory if empty",
                     &ServeArguments::vault_dir},
    ConfigurationKey{"signer_dir", "DIR",
                     "where the log's signing key is kept; signer in the data directory if empty",
                     &ServeArguments::signer_dir},
    ConfigurationKey{"tls_certificate", "FILE", "certificate chain (PEM); together with tls_key: HTTPS",
                     &ServeArguments::tls_certificate},
    ConfigurationKey{"tls_key", "FILE", "private key of the certificate (PEM)", &ServeArguments::tls_key},
    ConfigurationKey{"root_key_command", "COMMAND", "a command that prints the root key in base64",
                     &ServeArguments::root_key_command},
    ConfigurationKey{"root_key_environment", "NAME",
                     "the environment variable that holds the root key in base64",
                     &ServeArguments::root_key_environment},
    ConfigurationKey{"node", "NAME", "this server's name in entries; the host name if empty",
                     &ServeArguments::node},
    ConfigurationKey{"server_location", "TEXT", "where this server stands, for entries; left out if empty",
                     &ServeArguments::server_location},
    ConfigurationKey{
        "location_database", "FILE",
        "MaxMind DB file that tells where an event's context.ip is; without one nothing is added",
        &ServeArguments::location_database},
    ConfigurationKey{"log_format", "text|json", "form of the server's own log", &ServeArguments::log_format},
    ConfigurationKey{"connections_max", "N", "open connections; past it a client is told to come back",
                     &ServeArguments::connections_max, 1, 65'536},
    ConfigurationKey{"body_bytes_max", "SIZE", "of one request's body", &ServeArguments::body_bytes_max, mebi,
                     256 * mebi},
    ConfigurationKey{"wal_bytes_max", "SIZE", "of all write-ahead files; writes are refused past it",
                     &ServeArguments::wal_bytes_max, 128 * mebi, tebi},
    ConfigurationKey{"head_bytes_max", "SIZE", "memory for entries that are in no segment yet",
                     &ServeArguments::head_bytes_max, 16 * mebi, tebi},
    ConfigurationKey{"disk_reserve_bytes", "SIZE", "free disk that new write-ahead files never take",
                     &ServeArguments::disk_reserve_bytes, 0, tebi},
    ConfigurationKey{"segment_rows_max", "N", "entries in one segment, a multiple of 4096",
                     &ServeArguments::segment_rows_max, block_rows, 524'288, block_rows},
    ConfigurationKey{"segment_bytes_max", "SIZE", "of one segment file", &ServeArguments::segment_bytes_max,
                     mebi, gibi},
    ConfigurationKey{"page_cache_bytes_max", "SIZE", "memory for decrypted pages",
                     &ServeArguments::page_cache_bytes_max, 0, tebi},
    ConfigurationKey{"vault_backup_days", "N",
                     "how many days you keep a copy of the vault; certificates of erasure say it",
                     &ServeArguments::vault_backup_days, 0, 36'500},
};

bool counts_bytes(const ConfigurationKey& key) { return key.name.find("bytes") != std::string_view::npos; }

std::optional<std::uint64_t> parse_number(const ConfigurationKey& key, std::string_view text) {
  std::uint64_t unit = 1;
  if (counts_bytes(key)) {
    constexpr std::pair<std::string_view, std::uint64_t> units[] = {
        {"KiB", kibi}, {"MiB", mebi}, {"GiB", gibi}};
    for (const auto& [suffix, size] : units) {
      if (!text.ends_with(suffix)) continue;
      text.remove_suffix(suffix.size());
      while (text.ends_with(' ')) text.remove_suffix(1);
      unit = size;
    }
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value > ~std::uint64_t{0} / unit) return std::nullopt;
  return value * unit;
}

std::string takes(const ConfigurationKey& key) {
  const auto size = [&](std::uint64_t value) {
    if (counts_bytes(key) && value != 0) {
      if (value % gibi == 0) return fmt::format("{}GiB", value / gibi);
      if (value % mebi == 0) return fmt::format("{}MiB", value / mebi);
    }
    return fmt::format("{}", value);
  };
  auto text = fmt::format("a whole number from {} to {}", size(key.least), size(key.most));
  if (key.multiple_of != 1) text += fmt::format(" that is a multiple of {}", key.multiple_of);
  if (counts_bytes(key)) text += ", in bytes or with KiB, MiB or GiB behind it";
  return text;
}

std::unexpected<Error> wrong_value(const ConfigurationKey& key, std::string_view value,
                                   std::string_view source, std::string_view expected) {
  return fail(ErrorKind::invalid,
              fmt::format("{} is \"{}\", but {} takes {}.", source, value, key.name, expected));
}

// `source` names the place in a message: "VESTIGE_PORT", "--port", "port in vestige.toml, line 3".
Status set_value(ServeArguments& arguments, const ConfigurationKey& key, std::string_view value,
                 std::string_view source) {
  if (const auto* text_member = std::get_if<std::string ServeArguments::*>(&key.member)) {
    if (!is_utf8(value) || value.find('\0') != std::string_view::npos)
      return fail(ErrorKind::invalid, fmt::format("{} is not valid UTF-8 text.", source));
    if (key.name == "log_format" && value != "text" && value != "json")
      return wrong_value(key, value, source, "text or json");
    if ((key.name == "data" || key.name == "listen") && value.empty())
      return wrong_value(key, value, source, "a name that is not empty");
    arguments.*(*text_member) = value;
    return {};
  }
  const auto number = parse_number(key, value);
  if (!number || *number < key.least || *number > key.most || *number % key.multiple_of != 0)
    return wrong_value(key, value, source, takes(key));
  if (const auto* port = std::get_if<std::uint16_t ServeArguments::*>(&key.member))
    arguments.*(*port) = static_cast<std::uint16_t>(*number);
  else
    arguments.*std::get<std::uint64_t ServeArguments::*>(key.member) = *number;
  return {};
}

const ConfigurationKey* find_key(std::string_view name) {
  const auto found = std::ranges::find(keys, name, &ConfigurationKey::name);
  return found == keys.end() ? nullptr : &*found;
}

Status apply_member(ServeArguments& arguments, std::string_view name, const toml::node& node,
                    const std::string& file) {
  const auto place = fmt::format("{} in {}, line {}", name, file, node.source().begin.line);
  const auto* key = find_key(name);
  if (!key) {
    std::vector<std::string_view> known;
    for (const auto& each : keys) known.push_back(each.name);
    return fail(ErrorKind::invalid,
                fmt::format("{}: there is no such key. The keys are {}.", place, fmt::join(known, ", ")));
  }
  if (const auto* number = node.as_integer()) {
    if (std::holds_alternative<std::string ServeArguments::*>(key->member))
      return fail(ErrorKind::invalid, fmt::format("{} is a number, but takes text in quotes.", place));
    return set_value(arguments, *key, fmt::format("{}", number->get()), place);
  }
  if (const auto* text_node = node.as_string()) {
    const bool is_text = std::holds_alternative<std::string ServeArguments::*>(key->member);
    if (!is_text && !counts_bytes(*key))
      return fail(ErrorKind::invalid,
                  fmt::format("{} is text, but takes {}, without quotes.", place, takes(*key)));
    return set_value(arguments, *key, text_node->get(), place);
  }
  return fail(ErrorKind::invalid, fmt::format("{} is neither text nor a whole number.", place));
}

Status apply_file(ServeArguments& arguments, const ConfigurationFile& file) {
  toml::table table;
  try {
    table = toml::parse(std::string_view(file.text), std::string_view(file.name));
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::invalid,
                fmt::format("{}, line {}, column {}, is not TOML: {}.", file.name, error.source().begin.line,
                            error.source().begin.column, error.description()));
  }
  for (const auto& [name, node] : table)
    VESTIGE_CHECKED(apply_member(arguments, name.str(), node, file.name));
  return {};
}

Status check_together(const ServeArguments& arguments) {
  if (arguments.tls_certificate.empty() != arguments.tls_key.empty())
    return fail(ErrorKind::invalid,
                fmt::format("tls_certificate and tls_key belong together, but only {} is set.",
                            arguments.tls_key.empty() ? "tls_certificate" : "tls_key"));
  if (!arguments.root_key_command.empty() && !arguments.root_key_environment.empty())
    return fail(
        ErrorKind::invalid,
        "root_key_command and root_key_environment are both set, but the root key comes from one place: "
        "leave one of them out.");
  return {};
}

}  // namespace

std::span<const ConfigurationKey> configuration_keys() { return keys; }

std::string environment_name(const ConfigurationKey& key) {
  std::string name = "VESTIGE_";
  for (const char c : key.name) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string option_name(const ConfigurationKey& key) {
  std::string name = "--";
  for (const char c : key.name) name += c == '_' ? '-' : c;
  return name;
}

std::string value_text(const ConfigurationKey& key, const ServeArguments& arguments) {
  return std::visit([&](auto member) { return fmt::format("{}", arguments.*member); }, key.member);
}

Result<ServeArguments> configure(const ConfigurationSources& sources) {
  ServeArguments arguments;
  if (sources.file) VESTIGE_CHECKED(apply_file(arguments, *sources.file));
  for (const auto& key : keys) {
    const auto name = environment_name(key);
    const auto value = sources.environment ? sources.environment(name) : std::nullopt;
    if (value) VESTIGE_CHECKED(set_value(arguments, key, *value, name));
  }
  for (const auto& [name, value] : sources.command_line) {
    const auto* key = find_key(name);
    if (!key) return fail(ErrorKind::invalid, fmt::format("There is no setting {}.", name));
    VESTIGE_CHECKED(set_value(arguments, *key, value, option_name(*key)));
  }
  VESTIGE_CHECKED(check_together(arguments));
  return arguments;
}

}  // namespace vestige::cli
