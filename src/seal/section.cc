#include "seal/section.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "trail/format/page.h"
#include "trail/merkle/merkle.h"

namespace vestige::seal {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t head_bytes = 26;
constexpr std::size_t wrapped_bytes = 60;  // nonce, ciphertext of 32 bytes, tag
constexpr std::string_view section_label = "vestige section v1";
constexpr std::string_view content_key_label = "vestige content key v1";
constexpr int compression_level = 1;

std::unexpected<Error> damaged(std::string what) { return corrupt("", 0, "sealed section: " + what); }

struct SectionKeys {
  Key key;
  Block16 seed;
};

SectionKeys derive(ByteView owner_material, const Key& retention_key, ByteView fresh) {
  Bytes material(owner_material.begin(), owner_material.end());
  material.insert(material.end(), retention_key.begin(), retention_key.end());
  std::array<std::uint8_t, 48> out;
  crypto::hkdf_sha256(material, fresh, view(section_label), out);
  SectionKeys keys;
  std::memcpy(keys.key.data(), out.data(), keys.key.size());
  std::memcpy(keys.seed.data(), out.data() + keys.key.size(), keys.seed.size());
  crypto::cleanse(material);
  crypto::cleanse(out);
  return keys;
}

std::vector<Hash> pair_leaves(std::span<const Pair> pairs, const Block16& seed) {
  std::vector<Block16> salts(pairs.size());
  trail::derive_salts(seed, 0, salts);
  std::vector<Hash> leaves;
  leaves.reserve(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) leaves.push_back(pair_leaf(salts[i], pairs[i]));
  return leaves;
}

Bytes associated(const Binding& binding, ByteView head, std::span<const Block16> refs, const Hash& root) {
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(section_label));
  to.sized(std::string_view(binding.stream));
  to.bytes(binding.entry.bytes);
  to.bytes(head);
  for (const auto& ref : refs) to.bytes(ref);
  to.bytes(root);
  return out;
}

Bytes content_key_associated(const Block16& ref) {
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(content_key_label));
  to.bytes(ref);
  return out;
}

std::string write_pairs(std::span<const Pair> pairs) {
  std::string out = "[";
  for (const auto& pair : pairs) {
    if (out.size() > 1) out.push_back(',');
    out.push_back('[');
    json::append_quoted(out, pair.path);
    out.push_back(',');
    out.append(pair.value);
    out.push_back(']');
  }
  out.push_back(']');
  return out;
}

Result<std::vector<Pair>> read_pairs(std::string_view text) {
  json::Parser parser;
  json::Document document;
  if (auto parsed = parser.parse(text, document, {.depth_max = 8, .bytes_max = plain_bytes_max}); !parsed)
    return damaged("its content is no JSON: " + parsed.error().message);
  const auto root = document.root();
  if (!root.is_array() || root.size() > pairs_max) return damaged("its content is no list of pairs");
  std::vector<Pair> pairs;
  pairs.reserve(root.size());
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto pair = root.at(i);
    if (!pair.is_array() || pair.size() != 2 || !pair.at(0).is_string())
      return damaged("its content is no list of pairs");
    pairs.push_back({std::string(pair.at(0).string()), json::canonical(pair.at(1))});
  }
  return pairs;
}

Bytes compress(std::string_view text) {
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                                  &ZSTD_freeCCtx);
  Bytes out(ZSTD_compressBound(text.size()));
  const auto size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), text.data(), text.size(), compression_level);
  CHECK(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

Result<std::string> decompress(ByteView frame, std::uint32_t raw) {
  if (raw > plain_bytes_max) return damaged("its stated length is beyond the limit");
  std::string out(raw, '\0');
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                                  &ZSTD_freeDCtx);
  const auto size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) || size != raw) return damaged("it does not decompress to its stated length");
  return out;
}

Bytes write_head(Form form, std::size_t refs, std::uint32_t raw, const Retention& retention,
                 const Block16& fresh) {
  Bytes head;
  ByteWriter to(head);
  to.u8(version);
  to.u8(retention.retention_class);
  to.u16(retention.month);
  to.u32(raw);
  to.bytes(fresh);
  to.u8(static_cast<std::uint8_t>(form));
  to.u8(form == Form::all ? static_cast<std::uint8_t>(refs) : 0);
  CHECK(head.size() == head_bytes);
  return head;
}

// The owner material from the blob and the keys that are there.
Result<Bytes> owner_material(Form form, ByteView wrapped, std::span<const Block16> refs,
                             std::span<const std::optional<Key>> keys) {
  Bytes material;
  if (form != Form::all) {
    for (const auto& key : keys) {
      if (!key) return fail(ErrorKind::not_found, "an owner's key is gone");
      material.insert(material.end(), key->begin(), key->end());
    }
    return material;
  }
  for (std::size_t i = 0; i < refs.size(); ++i) {
    if (!keys[i]) continue;
    const auto piece = wrapped.subspan(i * wrapped_bytes, wrapped_bytes);
    crypto::Nonce nonce;
    std::memcpy(nonce.data(), piece.data(), nonce.size());
    material.resize(sizeof(Key));
    crypto::Aead aead(*keys[i]);
    if (!aead.open(nonce, content_key_associated(refs[i]), piece.subspan(nonce.size()), material))
      return damaged("a wrapped content key does not open");
    return material;
  }
  return fail(ErrorKind::not_found, "the keys of all owners are gone");
}

}  // namespace

Block16 salt_of(const Block16& seed, std::size_t index) { return trail::derive_salt(seed, index); }

Hash pair_leaf(const Block16& salt, const Pair& pair) {
  const std::uint8_t prefix = 0x00;
  std::uint8_t length[4];
  store_le(length, static_cast<std::uint32_t>(pair.path.size()));
  return crypto::sha256({ByteView(&prefix, 1), salt, length, view(pair.path), view(pair.value)});
}

Hash pairs_root(std::span<const Pair> pairs, const Block16& seed) {
  return trail::root_of(pair_leaves(pairs, seed));
}

std::vector<Hash> pair_path(std::span<const Pair> pairs, const Block16& seed, std::size_t index) {
  const auto leaves = pair_leaves(pairs, seed);
  return trail::inclusion_path(index, leaves.size(), [&](unsigned level, std::uint64_t i) {
    return trail::combine(std::span(leaves).subspan(i << level, std::size_t{1} << level));
  });
}

SealedSection seal_section(std::span<const Pair> pairs, Form form, std::vector<Block16> refs,
                           std::span<const Key> keys, const Retention& retention, const Binding& binding,
                           platform::Entropy& entropy) {
  CHECK(!refs.empty() && refs.size() == keys.size() && refs.size() <= owners_max &&
        pairs.size() <= pairs_max);
  CHECK((form == Form::one) == (refs.size() == 1) && std::ranges::is_sorted(refs));
  const auto plain = write_pairs(pairs);
  const auto frame = compress(plain);
  const auto fresh = entropy.bytes<16>();
  Bytes blob = write_head(form, refs.size(), static_cast<std::uint32_t>(plain.size()), retention, fresh);
  const Bytes head = blob;

  Bytes material;
  if (form == Form::all) {
    material.resize(sizeof(Key));
    entropy.fill(material);
    for (std::size_t i = 0; i < refs.size(); ++i) {
      const auto nonce = entropy.bytes<crypto::nonce_bytes>();
      crypto::Aead aead(keys[i]);
      const auto wrapped = aead.seal(nonce, content_key_associated(refs[i]), material);
      blob.insert(blob.end(), nonce.begin(), nonce.end());
      blob.insert(blob.end(), wrapped.begin(), wrapped.end());
    }
  } else {
    for (const auto& key : keys) material.insert(material.end(), key.begin(), key.end());
  }
  const auto derived = derive(material, retention.key, fresh);
  crypto::cleanse(material);
  SealedSection section{{form, std::move(refs), pairs_root(pairs, derived.seed)}, {}};
  crypto::Aead aead(derived.key);
  const auto sealed = aead.seal(
      crypto::Nonce{}, associated(binding, head, section.reference.refs, section.reference.root), frame);
  blob.insert(blob.end(), sealed.begin(), sealed.end());
  section.blob = std::move(blob);
  return section;
}

Result<SectionHead> read_section_head(ByteView blob) {
  if (blob.size() < head_bytes) return damaged("it is cut short");
  if (blob[0] != version) return damaged(fmt::format("version {} is not known", blob[0]));
  if (blob[24] > static_cast<std::uint8_t>(Form::all)) return damaged("its form is not known");
  return SectionHead{blob[1], load_le<std::uint16_t>(blob.data() + 2), static_cast<Form>(blob[24])};
}

Result<OpenedSection> open_section(ByteView blob, const Reference& reference,
                                   std::span<const std::optional<Key>> keys, const Key& retention_key,
                                   const Binding& binding) {
  VESTIGE_TRY(const auto head, read_section_head(blob));
  const std::size_t wrapped = std::size_t{blob[25]} * wrapped_bytes;
  const bool counts_fit = head.form == Form::all ? blob[25] == reference.refs.size() : blob[25] == 0;
  if (head.form != reference.form || !counts_fit || keys.size() != reference.refs.size() ||
      blob.size() < head_bytes + wrapped + crypto::tag_bytes)
    return damaged("its head does not fit the entry's reference");
  VESTIGE_TRY(auto material,
              owner_material(head.form, blob.subspan(head_bytes, wrapped), reference.refs, keys));
  const auto derived = derive(material, retention_key, blob.subspan(8, 16));
  crypto::cleanse(material);
  const auto sealed = blob.subspan(head_bytes + wrapped);
  Bytes frame(sealed.size() - crypto::tag_bytes);
  crypto::Aead aead(derived.key);
  if (!aead.open(crypto::Nonce{}, associated(binding, blob.first(head_bytes), reference.refs, reference.root),
                 sealed, frame))
    return damaged("it does not decrypt: it was changed or belongs elsewhere");
  VESTIGE_TRY(const auto plain, decompress(frame, load_le<std::uint32_t>(blob.data() + 4)));
  VESTIGE_TRY(auto pairs, read_pairs(plain));
  if (write_pairs(pairs) != plain) return damaged("its content is not canonical");
  if (pairs_root(pairs, derived.seed) != reference.root)
    return damaged("its content does not give the root in the entry");
  return OpenedSection{std::move(pairs), derived.seed};
}

void append_references(std::string& to, std::span<const Reference> references) {
  to.push_back('[');
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto& reference = references[i];
    if (i > 0) to.push_back(',');
    // Members in canonical order: "all" and "any" stand before "root", and "ref" as well.
    to.append(reference.form == Form::one   ? "{\"ref\":"
              : reference.form == Form::any ? "{\"any\":["
                                            : "{\"all\":[");
    for (std::size_t j = 0; j < reference.refs.size(); ++j) {
      if (j > 0) to.push_back(',');
      to.push_back('"');
      append_base64(to, reference.refs[j]);
      to.push_back('"');
    }
    if (reference.form != Form::one) to.push_back(']');
    to.append(",\"root\":\"");
    append_base64(to, reference.root);
    to.append("\"}");
  }
  to.push_back(']');
}

namespace {

Result<Reference> parse_reference(const json::Value& value) {
  const auto bad = [] { return damaged("the entry's reference does not parse"); };
  Reference reference;
  const auto root = value.find("root");
  if (value.size() != 2 || !root.is_string()) return bad();
  const auto hash = array_from_base64<32>(root.string());
  if (!hash) return bad();
  reference.root = *hash;
  const auto take = [&](const json::Value& ref) {
    if (!ref.is_string()) return false;
    const auto bytes = array_from_base64<16>(ref.string());
    if (bytes) reference.refs.push_back(*bytes);
    return bytes.has_value();
  };
  if (const auto one = value.find("ref"); one.exists()) {
    if (!take(one)) return bad();
    return reference;
  }
  const auto any = value.find("any");
  const auto list = any.exists() ? any : value.find("all");
  reference.form = any.exists() ? Form::any : Form::all;
  if (!list.is_array() || list.size() < 2 || list.size() > owners_max) return bad();
  for (std::size_t i = 0; i < list.size(); ++i)
    if (!take(list.at(i))) return bad();
  return reference;
}

}  // namespace

Result<std::vector<Reference>> parse_references(std::string_view text) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(text, document) || !document.root().is_array())
    return damaged("the entry's references do not parse");
  std::vector<Reference> references;
  for (std::size_t i = 0; i < document.root().size(); ++i) {
    VESTIGE_TRY(auto reference, parse_reference(document.root().at(i)));
    references.push_back(std::move(reference));
  }
  return references;
}

}  // namespace vestige::seal
