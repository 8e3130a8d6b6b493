#include "access/single_sign_on.h"

#include "access/customer_links.h"
#include "crypto/digest.h"

namespace vestige::access {

Uuid account_of(const oidc::SignedIn& person) {
  Bytes name;
  ByteWriter writer(name);
  writer.sized("vestige sso account 1");
  writer.sized(person.tenant);
  writer.sized(person.issuer);
  writer.sized(person.subject);
  const auto digest = crypto::sha256(name);
  Block16 first;
  std::copy_n(digest.begin(), first.size(), first.begin());
  return make_uuid_v8(first);
}

Result<Sessions::Opened> open_session_of(Sessions& sessions, const oidc::SignedIn& person,
                                         const Client& client) {
  Sessions::NewSession wanted{.tenant = person.tenant,
                              .subject = person.customer,
                              .name = person.display_name,
                              .roles = person.roles,
                              .method = Method::sso};
  if (person.customer) {
    wanted.kind = PrincipalKind::customer;
    wanted.roles = {std::string(customer_role)};
  } else {
    wanted.account = account_of(person);
  }
  return sessions.open_session(wanted, client);
}

Status tell_refused(Failures& failures, const oidc::Logins& logins, std::string_view provider,
                    const Client& client) {
  for (const auto* known : logins.providers())
    if (known->name == provider)
      return failures.tell({.tenant = known->tenant,
                            .why = "refused_sign_on",
                            .target_id = known->name,
                            .target_type = "PROVIDER",
                            .client = &client});
  return {};
}

}  // namespace vestige::access
