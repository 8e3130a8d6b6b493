#include "cli/configuration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "access/client.h"
#include "base/encoding.h"
#include "cli/internal/toml_members.h"
#include "http/url.h"

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
    ConfigurationKey{"public_url", "URL",
                     "the address that browsers reach the server by, such as https://audit.example.com",
                     &ServeArguments::public_url},
    ConfigurationKey{"trusted_proxies", "RANGES",
                     "addresses of proxies whose X-Forwarded-For is believed, such as 127.0.0.1, 10.0.0.0/8",
                     &ServeArguments::trusted_proxies},
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
  const auto place = place_of(name, node, file);
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

// ----------------------------------------------------------------------------- tables named [[sso]]

using Provider = access::oidc::Configuration;
constexpr std::pair<std::string_view, std::string Provider::*> provider_texts[] = {
    {"name", &Provider::name},
    {"label", &Provider::label},
    {"tenant", &Provider::tenant},
    {"issuer", &Provider::issuer},
    {"client_id", &Provider::client_id},
    {"client_secret_file", &Provider::client_secret_file},
    {"client_secret_environment", &Provider::client_secret_environment},
    {"redirect_url", &Provider::redirect_url},
    {"groups_claim", &Provider::groups_claim},
    {"subject_claim", &Provider::subject_claim},
    {"ca_file", &Provider::ca_file},
};

// { "group" = ["role", ...], ... }
Status read_roles(Provider& provider, const toml::node& node, const std::string& place) {
  const auto* groups = node.as_table();
  if (!groups) return wrong_member(place, "a table of groups, each with a list of roles");
  for (const auto& [group, roles] : *groups) {
    VESTIGE_TRY(provider.roles[std::string(group.str())], read_texts(roles, place));
  }
  return {};
}

Status read_algorithms(Provider& provider, const toml::node& node, const std::string& place) {
  VESTIGE_TRY(const auto names, read_texts(node, place));
  provider.algorithms.clear();
  for (const auto& name : names) {
    const auto algorithm = access::oidc::algorithm_named(name);
    if (!algorithm) return wrong_member(place, "any of \"RS256\", \"PS256\", \"ES256\", \"EdDSA\"");
    provider.algorithms.push_back(*algorithm);
  }
  return {};
}

Status apply_provider_member(Provider& provider, std::string_view name, const toml::node& node,
                             const std::string& file) {
  const auto place = place_of(name, node, file);
  for (const auto& [known, member] : provider_texts) {
    if (known != name) continue;
    VESTIGE_TRY(provider.*member, read_text(node, place));
    return {};
  }
  if (name == "audience") {
    const auto* text = node.as_string();
    if (!text || (text->get() != "staff" && text->get() != "customers"))
      return wrong_member(place, "\"staff\" or \"customers\"");
    provider.audience =
        text->get() == "staff" ? access::oidc::Audience::staff : access::oidc::Audience::customers;
    return {};
  }
  if (name == "userinfo") {
    VESTIGE_TRY(provider.userinfo, read_flag(node, place));
    return {};
  }
  if (name == "roles") return read_roles(provider, node, place);
  if (name == "algorithms") return read_algorithms(provider, node, place);
  if (name == "scopes") {
    VESTIGE_TRY(provider.scopes, read_texts(node, place));
    return {};
  }
  std::string known = "audience, userinfo, roles, algorithms, scopes";
  for (const auto& each : provider_texts) known += fmt::format(", {}", each.first);
  return fail(ErrorKind::invalid,
              fmt::format("{}: a table [[sso]] has no such key. It has {}.", place, known));
}

Status apply_providers(ServeArguments& arguments, const toml::node& node, const std::string& file) {
  const auto* list = node.as_array();
  if (!list || !list->is_array_of_tables())
    return fail(ErrorKind::invalid, fmt::format("sso in {}, line {}: each provider is a table of its own, "
                                                "which begins with [[sso]].",
                                                file, node.source().begin.line));
  for (const auto& each : *list) {
    Provider provider{.name = {}, .tenant = "default", .issuer = {}, .client_id = {}, .redirect_url = {}};
    for (const auto& [name, member] : *each.as_table())
      VESTIGE_CHECKED(apply_provider_member(provider, name.str(), member, file));
    arguments.sso.push_back(std::move(provider));
  }
  return {};
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
  for (const auto& [name, node] : table) {
    if (name.str() == "sso")
      VESTIGE_CHECKED(apply_providers(arguments, node, file.name));
    else if (name.str() == "capture")
      VESTIGE_CHECKED(apply_capture(arguments, node, file.name));
    else
      VESTIGE_CHECKED(apply_member(arguments, name.str(), node, file.name));
  }
  return {};
}

// An address without a path: what is behind it, the server adds.
Status check_public_url(const ServeArguments& arguments) {
  if (arguments.public_url.empty()) return {};
  const auto url = http::parse_url(arguments.public_url);
  if (!url || url->origin() != arguments.public_url)
    return fail(ErrorKind::invalid,
                fmt::format("public_url is \"{}\", but takes an address like https://audit.example.com, "
                            "without a path or a / at its end.",
                            arguments.public_url));
  return {};
}

Status check_trusted_proxies(const ServeArguments& arguments) {
  const auto ranges = access::parse_ranges(arguments.trusted_proxies);
  if (!ranges) return fail(ErrorKind::invalid, fmt::format("trusted_proxies: {}", ranges.error().message));
  return {};
}

// Where a provider sends browsers back to follows from the address, unless it was said.
Status complete_providers(ServeArguments& arguments) {
  for (auto& provider : arguments.sso) {
    if (!provider.redirect_url.empty()) continue;
    if (arguments.public_url.empty())
      return fail(ErrorKind::invalid,
                  fmt::format("Sign-in provider \"{}\": set public_url, so that the provider can send "
                              "browsers back, or redirect_url.",
                              provider.name));
    provider.redirect_url = fmt::format("{}/api/sign-in/{}/callback", arguments.public_url, provider.name);
  }
  return access::oidc::validate(arguments.sso);
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
  VESTIGE_CHECKED(check_public_url(arguments));
  VESTIGE_CHECKED(check_trusted_proxies(arguments));
  VESTIGE_CHECKED(complete_providers(arguments));
  return arguments;
}

}  // namespace vestige::cli
