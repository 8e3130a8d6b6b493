#include "access/identity.h"

namespace vestige::access {

Identity::Identity(const IdentityParts& parts)
    : hasher_(parts.entropy),
      failures_(parts.database, parts.outbox, parts.clock),
      approvals_(parts.database, parts.outbox, parts.fields, parts.clock, parts.entropy) {}

Identity::~Identity() = default;

Result<std::unique_ptr<Identity>> Identity::open(IdentityParts parts) {
  std::unique_ptr<Identity> identity(new Identity(parts));
  VESTIGE_CHECKED(identity->open_parts(std::move(parts)));
  return identity;
}

Status Identity::open_parts(IdentityParts parts) {
  VESTIGE_TRY(keys_, ApiKeys::open(parts.database, parts.outbox, parts.clock, parts.entropy, parts.data,
                                   {.terms_of = parts.terms_of}));
  VESTIGE_TRY(sessions_, Sessions::open(parts.database, parts.outbox, parts.fields, parts.clock,
                                        parts.entropy, parts.csrf_key));
  accounts_ = std::make_unique<Accounts>(AccountParts{.database = parts.database,
                                                      .outbox = parts.outbox,
                                                      .fields = parts.fields,
                                                      .sessions = *sessions_,
                                                      .hasher = hasher_,
                                                      .failures = failures_,
                                                      .clock = parts.clock,
                                                      .entropy = parts.entropy,
                                                      .terms_of = parts.terms_of});
  first_administrator_ = std::make_unique<FirstAdministrator>(*accounts_);
  customer_links_ =
      std::make_unique<CustomerLinks>(parts.database, parts.outbox, parts.fields, *sessions_, failures_,
                                      parts.clock, parts.entropy, parts.customer_link_key);
  VESTIGE_TRY(sign_on_, oidc::Logins::open(std::move(parts.providers), parts.clock, parts.entropy));
  return {};
}

Status Identity::sweep() {
  Status first;
  for (auto swept : {keys_->sweep(), sessions_->sweep(), accounts_->sweep(), customer_links_->sweep(),
                     failures_.sweep(), approvals_.sweep()})
    if (first && !swept) first = std::move(swept);
  return first;
}

}  // namespace vestige::access
