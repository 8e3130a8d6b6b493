#include "access/customer_links.h"

#include <fmt/format.h>

#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/internal/sessions_store.h"
#include "access/internal/token.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/aead.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::string_view link_prefix = "vsl_";
constexpr std::uint8_t version = 1;
constexpr std::string_view bound_to = "vestige customer link 1";
constexpr std::size_t padded_to = 64;  // so that its length tells little about the subject's
constexpr std::uint8_t reusable_flag = 1;

}  // namespace

CustomerLinks::~CustomerLinks() { crypto::cleanse(key_); }

std::string CustomerLinks::seal(const Content& content) {
  Bytes plain;
  ByteWriter writer(plain);
  writer.u8(content.reusable ? reusable_flag : 0);
  writer.u64(static_cast<std::uint64_t>(content.expires.value));
  writer.bytes(content.id);
  writer.sized(content.tenant);
  writer.sized(content.subject);
  writer.zeros((padded_to - plain.size() % padded_to) % padded_to);
  const auto nonce = entropy_.bytes<crypto::nonce_bytes>();
  Bytes sealed{version};
  sealed.insert(sealed.end(), nonce.begin(), nonce.end());
  const auto body = crypto::Aead(key_).seal(nonce, view(bound_to), plain);
  sealed.insert(sealed.end(), body.begin(), body.end());
  crypto::cleanse(plain);
  return std::string(link_prefix) + to_base64url(sealed);
}

std::optional<CustomerLinks::Content> CustomerLinks::open(std::string_view token) const {
  if (!token.starts_with(link_prefix) || token.size() > limits::token_bytes_max) return std::nullopt;
  const auto sealed = from_base64url(token.substr(link_prefix.size()));
  constexpr std::size_t frame = 1 + crypto::nonce_bytes + crypto::tag_bytes;
  if (!sealed || sealed->size() < frame || sealed->front() != version) return std::nullopt;
  crypto::Nonce nonce;
  std::copy_n(sealed->begin() + 1, nonce.size(), nonce.begin());
  Bytes plain(sealed->size() - frame);
  if (!crypto::Aead(key_).open(nonce, view(bound_to), ByteView(*sealed).subspan(1 + nonce.size()), plain))
    return std::nullopt;
  // From here on it is what this server made.
  ByteReader reader(plain);
  Content content;
  content.reusable = reader.u8() == reusable_flag;
  content.expires = UnixMs{static_cast<std::int64_t>(reader.u64())};
  content.id = reader.array<16>();
  content.tenant = reader.sized_text();
  content.subject = reader.sized_text();
  if (!reader.zeros(reader.left())) return std::nullopt;
  return content;
}

Result<CustomerLinks::Made> CustomerLinks::make(const Principal& by, const Client& client,
                                                const Wanted& wanted) {
  if (wanted.subject.empty() || wanted.subject.size() > limits::link_subject_bytes_max ||
      !is_utf8(wanted.subject))
    return invalid_at("/subject",
                      fmt::format("the customer's id has 1 to {} bytes", limits::link_subject_bytes_max));
  const auto valid_max =
      wanted.reusable ? limits::reusable_link_valid_max : limits::single_use_link_valid_max;
  if (wanted.valid <= std::chrono::milliseconds(0) || wanted.valid > valid_max)
    return invalid_at(
        "/validSeconds",
        fmt::format("a link that is good {} is valid for 1 to {} seconds",
                    wanted.reusable ? "again and again" : "once",
                    std::chrono::duration_cast<std::chrono::seconds>(valid_max).count()),
        wanted.reusable ? "reusable_link_valid_max = 12 h" : "single_use_link_valid_max = 30 d");
  const Content content{.reusable = wanted.reusable,
                        .expires = clock_.now() + wanted.valid.count(),
                        .id = entropy_.bytes<16>(),
                        .tenant = by.tenant,
                        .subject = wanted.subject};
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    const auto added = outbox_.add(
        transaction, by.tenant, access_stream,
        to_json({.kind = "access.security",
                 .action = "CREATED",
                 .time = clock_.now(),
                 .source = Doer::of(by),
                 .target_id = wanted.subject,
                 .target_type = "CUSTOMER",
                 .subject = wanted.subject,
                 .client = &client,
                 .detail = {
                     {.name = "event_type", .value = "customer_link_made"},
                     {.name = "severity", .value = "low"},
                     {.name = "details",
                      .value = fmt::format("Good {} until {}.", wanted.reusable ? "again and again" : "once",
                                           format_time(content.expires))}}}));
    if (!added) return std::unexpected(added.error());
    return {};
  }));
  return Made{seal(content), content.expires};
}

Result<Sessions::Opened> CustomerLinks::redeem(std::string_view tenant, std::string_view token,
                                               const Client& client) {
  const auto content = open(token);
  std::string why;
  if (!content || content->tenant != tenant)
    why = "wrong_link";
  else if (content->expires <= clock_.now())
    why = "expired_link";
  if (why.empty()) {
    auto opened = sessions_.write(
        [&](state::Transaction& transaction, Sessions::Changes& changes) -> Result<Sessions::Opened> {
          if (!content->reusable) {
            if (store::count_used_links(transaction, content->tenant) >= limits::used_links_max)
              return exhausted("too many links were used lately; try again later",
                               fmt::format("used_links_max = {}", limits::used_links_max));
            const auto digest = fields_.blind_index("customer-link.used", to_hex(content->id));
            if (!store::use_link(transaction, content->tenant, digest, content->expires)) {
              why = "used_link";
              return wrong_link();
            }
          }
          return sessions_.start(transaction, changes,
                                 {.tenant = content->tenant,
                                  .kind = PrincipalKind::customer,
                                  .subject = content->subject,
                                  .name = content->subject,
                                  .roles = {std::string(customer_role)},
                                  .method = Method::link},
                                 client);
        });
    if (why.empty()) return opened;
  }
  const bool known = content && content->tenant == tenant;
  VESTIGE_CHECKED(failures_.tell({.tenant = std::string(tenant),
                                  .why = why,
                                  .target_id = known ? content->subject : std::string(tenant),
                                  .target_type = known ? "CUSTOMER" : "TENANT",
                                  .subject = known ? content->subject : std::string(),
                                  .client = &client}));
  return wrong_link();
}

Status CustomerLinks::sweep() {
  return database_.write([&](state::Transaction& transaction) -> Status {
    store::drop_expired_links(transaction, clock_.now() + -limits::used_link_kept.count());
    return {};
  });
}

}  // namespace vestige::access
