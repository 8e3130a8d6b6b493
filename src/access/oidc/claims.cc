#include "access/oidc/claims.h"

#include <fmt/format.h>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::access::oidc {

namespace {

using internal::shown;

std::unexpected<Error> refused(std::string_view why) {
  return fail(ErrorKind::denied, fmt::format("The provider's ID token is refused: {}.", why));
}

bool is_text(const json::Value& value, std::string_view expected) {
  return value.is_string() && value.string() == expected;
}

Status check_issuer(const json::Value& claims, const Expected& expected) {
  const auto issuer = claims.find("iss");
  if (!issuer.is_string()) return refused("it names no issuer");
  if (issuer.string() != expected.issuer)
    return refused(
        fmt::format("it was issued by \"{}\" and not by \"{}\"", shown(issuer.string()), expected.issuer));
  return {};
}

Status check_audience(const json::Value& claims, const Expected& expected) {
  const auto audience = claims.find("aud");
  const auto party = claims.find("azp");
  bool several = false;
  bool ours = is_text(audience, expected.client_id);
  if (audience.is_array()) {
    if (audience.size() > limits::audiences_max) return refused("it is for too many clients");
    several = audience.size() > 1;
    for (std::size_t i = 0; i < audience.size(); ++i)
      ours = ours || is_text(audience.at(i), expected.client_id);
  }
  if (!ours) return refused(fmt::format("it is not for the client \"{}\"", expected.client_id));
  if (several && !party.exists())
    return refused("it is for several clients and does not say for which it was issued");
  if (party.exists() && !is_text(party, expected.client_id))
    return refused("it was issued for another client (\"azp\")");
  return {};
}

// NumericDate (RFC 7519 §2): seconds, possibly with a fraction.
Result<UnixMs> time_of(const json::Value& value, std::string_view name) {
  constexpr double seconds_max = 253'402'300'799;  // the end of the year 9999
  const double seconds = value.is_number() ? value.number_value() : -1;
  if (!(seconds >= 0 && seconds <= seconds_max))
    return refused(fmt::format("its time \"{}\" is missing or no time", name));
  return UnixMs{static_cast<std::int64_t>(seconds * 1000)};
}

Status check_times(const json::Value& claims, UnixMs now) {
  constexpr std::int64_t leeway = std::chrono::milliseconds(limits::clock_leeway).count();
  const auto see_clocks = [&](std::string_view what, UnixMs time) {
    return refused(
        fmt::format("it {} {}, and here it is {}. If that is wrong, set the clock of this machine or the "
                    "provider's",
                    what, format_time(time), format_time(now)));
  };
  VESTIGE_TRY(const auto expiry, time_of(claims.find("exp"), "exp"));
  if (now.value >= expiry.value + leeway) return see_clocks("expired at", expiry);
  VESTIGE_TRY(const auto issued, time_of(claims.find("iat"), "iat"));
  if (issued.value > now.value + leeway) return see_clocks("was issued at", issued);
  if (!claims.find("nbf").exists()) return {};
  VESTIGE_TRY(const auto begin, time_of(claims.find("nbf"), "nbf"));
  if (begin.value > now.value + leeway) return see_clocks("is not valid before", begin);
  return {};
}

// The left half of the hash that belongs to the token's algorithm (Core §3.1.3.6).
std::string half_hash(Algorithm algorithm, std::string_view token) {
  if (algorithm == Algorithm::eddsa) {
    const auto hash = crypto::sha512(view(token));
    return to_base64url(ByteView(hash).first(hash.size() / 2));
  }
  const auto hash = crypto::sha256(view(token));
  return to_base64url(ByteView(hash).first(hash.size() / 2));
}

}  // namespace

Status check_claims(const json::Value& claims, const Expected& expected) {
  VESTIGE_CHECKED(check_issuer(claims, expected));
  VESTIGE_CHECKED(check_audience(claims, expected));
  VESTIGE_CHECKED(check_times(claims, expected.now));
  const auto nonce = claims.find("nonce");
  if (!nonce.is_string() || !crypto::constant_time_equal(view(nonce.string()), view(expected.nonce)))
    return refused("it belongs to another login (\"nonce\")");
  const auto hash = claims.find("at_hash");
  if (hash.exists() && !is_text(hash, half_hash(expected.algorithm, expected.access_token)))
    return refused("it belongs to another access token (\"at_hash\")");
  const auto subject = claims.find("sub");
  if (!subject.is_string() || subject.string().empty() ||
      subject.string().size() > limits::subject_bytes_max || !internal::is_plain(subject.string()))
    return refused("it does not say who signed in: \"sub\" is missing or no short text");
  return {};
}

}  // namespace vestige::access::oidc
