// From a completed login at an OpenID provider (oidc/login.h) to a session here.
#pragma once

#include "access/client.h"
#include "access/failures.h"
#include "access/oidc/identity.h"
#include "access/oidc/login.h"
#include "access/sessions.h"
#include "base/uuid.h"

namespace vestige::access {

// Of a person of the organisation, who is issuer and subject and nothing else (docs/decisions/0089): the same
// for ever, and no account's here.
Uuid account_of(const oidc::SignedIn& person);

// Signs in whom the provider vouched for, with the roles or as the customer that the configuration makes of
// them.
Result<Sessions::Opened> open_session_of(Sessions& sessions, const oidc::SignedIn& person,
                                         const Client& client);

// Puts on record that somebody came back from this provider and was not let in; without what the provider
// said.
Status tell_refused(Failures& failures, const oidc::Logins& logins, std::string_view provider,
                    const Client& client);

}  // namespace vestige::access
