// Hashes and keys that follow from the vault's secrets: docs/formats/vault.md, "Keys".
#include <chrono>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "vault/format.h"

namespace vestige::vault {

namespace {

constexpr std::string_view wrap_context = "vestige wrapped key v1";
static_assert(wrapped_key_bytes == crypto::nonce_bytes + sizeof(Key) + crypto::tag_bytes);

std::array<std::uint8_t, 4> length_prefix(std::string_view value) {
  std::array<std::uint8_t, 4> prefix;
  store_le(prefix.data(), static_cast<std::uint32_t>(value.size()));
  return prefix;
}

Bytes wrap_associated(std::string_view context) {
  Bytes associated;
  ByteWriter out(associated);
  out.bytes(view(wrap_context));
  out.bytes(view(context));
  return associated;
}

}  // namespace

Month month_of(UnixMs time) {
  using namespace std::chrono;
  constexpr int month_max = 65'535;
  // Clamped first: the calendar below holds only years up to 32,767.
  constexpr sys_days last = year{7431} / April / 1;
  const auto milliseconds_last = duration_cast<milliseconds>(last.time_since_epoch()).count();
  if (time.value <= 0) return Month{0};
  if (time.value >= milliseconds_last) return Month{month_max};
  const year_month_day date{floor<days>(sys_time<milliseconds>{milliseconds{time.value}})};
  const auto months =
      (static_cast<int>(date.year()) - 1970) * 12 + static_cast<int>(unsigned{date.month()}) - 1;
  return Month{static_cast<std::uint16_t>(months)};
}

Hash subject_hash(const crypto::HmacKey& subject_secret, std::string_view tenant, std::string_view subject) {
  const auto tenant_length = length_prefix(tenant);
  const auto subject_length = length_prefix(subject);
  return subject_secret.mac({ByteView(tenant_length), view(tenant), ByteView(subject_length), view(subject)});
}

Hash tenant_hash(const crypto::HmacKey& subject_secret, std::string_view tenant) {
  const auto tenant_length = length_prefix(tenant);
  return subject_secret.mac({ByteView(tenant_length), view(tenant)});
}

Key derive_purpose_key(const Key& purpose_secret, std::string_view purpose, std::string_view tenant) {
  Bytes info;
  ByteWriter out(info);
  out.bytes(view("vestige purpose v1"));
  out.bytes(length_prefix(purpose));
  out.bytes(view(purpose));
  out.bytes(view(tenant));
  return crypto::derive_key(purpose_secret, {}, text(info));
}

Key derive_journal_key(const Key& purpose_secret) {
  return crypto::derive_key(purpose_secret, {}, "vestige erasure journal v1");
}

Bytes wrap_key(const Key& wrapping, const Key& key, std::string_view context, const crypto::Nonce& nonce) {
  Bytes wrapped(nonce.begin(), nonce.end());
  wrapped.resize(wrapped_key_bytes);
  crypto::Aead(wrapping).seal(nonce, wrap_associated(context), key,
                              std::span(wrapped).subspan(crypto::nonce_bytes));
  return wrapped;
}

Result<Key> unwrap_key(const Key& wrapping, ByteView wrapped, std::string_view context) {
  if (wrapped.size() != wrapped_key_bytes)
    return fail(ErrorKind::corrupt, "A wrapped key has 60 bytes; the file that holds this one is damaged.");
  const auto nonce = load_le<crypto::Nonce>(wrapped.data());
  SecretKey key;
  if (!crypto::Aead(wrapping).open(nonce, wrap_associated(context), wrapped.subspan(crypto::nonce_bytes),
                                   key.bytes))
    return fail(
        ErrorKind::corrupt,
        "A wrapped key does not open: the file that holds it is damaged, was moved from another place, "
        "or belongs to another vault.");
  return key.bytes;
}

}  // namespace vestige::vault
