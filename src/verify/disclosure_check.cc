#include "verify/disclosure_check.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "json/json.h"
#include "seal/section.h"
#include "trail/format/note.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/json_member.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::string_view format_name = "vestige disclosure v1";
constexpr std::size_t path_hashes_max = 64;

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("The disclosure does not hold: {}.", what));
}

Result<std::vector<Hash>> read_path(const json::Value& list) {
  std::vector<Hash> path;
  for (std::size_t i = 0; list.is_array() && i < list.size() && i < path_hashes_max; ++i)
    if (const auto hash =
            list.at(i).is_string() ? array_from_base64<32>(list.at(i).string()) : std::optional<Hash>())
      path.push_back(*hash);
  if (!list.is_array() || path.size() != list.size())
    return wrong("the path of a value holds something else than hashes");
  return path;
}

struct Place {
  std::uint64_t section, index;
  auto operator<=>(const Place&) const = default;
};

Result<Place> check_value(const json::Value& given, const std::vector<seal::Reference>& references,
                          CheckedDisclosure& checked) {
  const auto section = number_in(given, "section");
  const auto index = number_in(given, "index");
  const auto size = number_in(given, "size");
  const auto path = given.find("path");
  const auto salt_text = given.find("salt");
  const auto salt =
      salt_text.is_string() ? array_from_base64<16>(salt_text.string()) : std::optional<Block16>();
  if (given.size() != 7 || !section || !index || !size || !path.is_string() || !salt ||
      !given.find("value").exists())
    return wrong("a value is not what the format says");
  if (*section >= references.size()) return wrong("a value is of a section that the entry does not name");
  VESTIGE_TRY(const auto steps, read_path(given.find("proof")));
  const seal::Pair pair{std::string(path.string()), json::canonical(given.find("value"))};
  if (!trail::verify_inclusion(seal::pair_leaf(*salt, pair), *index, *size, steps, references[*section].root))
    return wrong(fmt::format("the value at {} is not what was sealed: value, path, salt or proof was altered",
                             pair.path));
  checked.disclosed.push_back({*section, pair.path, pair.value});
  return Place{*section, *index};
}

}  // namespace

Result<CheckedDisclosure> check_disclosure(std::string_view disclosure, std::string_view verifier_key) {
  if (const auto key = trail::parse_verifier_key(verifier_key); !key)
    return fail(ErrorKind::invalid, fmt::format("The verifier key does not parse: {}.", key.error().message));
  constexpr json::Limits limits{.depth_max = limits::export_depth_max,
                                .bytes_max = limits::disclosure_bytes_max};
  json::Parser parser;
  json::Document document;
  if (const auto parsed = parser.parse(disclosure, document, limits); !parsed)
    return wrong(fmt::format("it is no JSON ({})", parsed.error().message));
  const auto root = document.root();
  const auto format = root.find("format");
  if (!format.is_string() || format.string() != format_name)
    return wrong(fmt::format("it is no disclosure of the format \"{}\"", format_name));
  const auto entry = root.find("entry");
  const auto disclosed = root.find("disclosed");
  const auto proof = root.find("proof");
  if (root.size() != 4 || !entry.is_object() || !disclosed.is_array() || !proof.is_string())
    return wrong("its members are not those of version 1");
  CheckedDisclosure checked;
  checked.entry = json::canonical(entry);
  auto placed = check_proof(proof.string(), checked.entry, verifier_key);
  if (!placed) return fail(ErrorKind::corrupt, placed.error().message);
  checked.proof = *std::move(placed);
  std::vector<seal::Reference> references;
  if (const auto sealed = entry.find("sealed"); sealed.exists()) {
    auto read = seal::parse_references(json::canonical(sealed));
    if (!read) return wrong("the sections that its entry names cannot be read");
    references = *std::move(read);
  }
  std::optional<Place> last;
  for (std::size_t i = 0; i < disclosed.size(); ++i) {
    VESTIGE_TRY(const auto place, check_value(disclosed.at(i), references, checked));
    if (last && place <= *last) return wrong("its values are not in order, or one is there twice");
    last = place;
  }
  return checked;
}

}  // namespace vestige::verify
