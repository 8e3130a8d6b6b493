// Defends: whom a provider vouched for gets a session with what the configuration granted, under an id that
// is theirs alone.
#include "access/single_sign_on.h"

#include <gtest/gtest.h>

#include "access/testing/world.h"

namespace vestige::access {
namespace {

using testing::World;

oidc::SignedIn person() {
  return {.audience = oidc::Audience::staff,
          .provider = "corp",
          .tenant = "default",
          .issuer = "https://id.example.org",
          .subject = "248289761001",
          .display_name = "Ada Lovelace",
          .roles = {"legal"}};
}

TEST(SingleSignOn, StaffGetTheirRoles) {
  World world;
  const auto opened = open_session_of(*world.sessions, person(), World::here());
  ASSERT_TRUE(opened) << opened.error().message;
  const auto principal = world.sessions->authenticate(opened->token)->principal();
  EXPECT_EQ(principal.kind, PrincipalKind::account);
  EXPECT_EQ(principal.id, account_of(person()));
  EXPECT_EQ(principal.roles, std::vector<std::string>{"legal"});
  EXPECT_EQ(principal.method, Method::sso);
  const auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_NE(events[0].text.find(R"("login_method":"sso")"), std::string::npos);
  world.restart();
  EXPECT_TRUE(world.sessions->authenticate(opened->token));
}

TEST(SingleSignOn, ACustomerIsTheCustomerAndNothingElse) {
  World world;
  auto customer = person();
  customer.audience = oidc::Audience::customers;
  customer.customer = "c-1";
  const auto opened = open_session_of(*world.sessions, customer, World::here());
  ASSERT_TRUE(opened);
  const auto principal = world.sessions->authenticate(opened->token)->principal();
  EXPECT_EQ(principal.kind, PrincipalKind::customer);
  EXPECT_EQ(principal.subject, "c-1");
  EXPECT_EQ(principal.roles, std::vector<std::string>{"customer"});
}

TEST(SingleSignOn, AnIdIsOfTenantIssuerAndSubject) {
  const auto id = account_of(person());
  EXPECT_EQ(account_of(person()), id);
  auto other = person();
  other.display_name = "Renamed";
  EXPECT_EQ(account_of(other), id);
  other = person();
  other.subject = "1";
  EXPECT_NE(account_of(other), id);
  other = person();
  other.issuer += "x";
  EXPECT_NE(account_of(other), id);
  other = person();
  other.tenant = "other";
  EXPECT_NE(account_of(other), id);
}

TEST(SingleSignOn, WhoIsNotLetInIsOnRecordByTheProviderOnly) {
  World world;
  oidc::Configuration known{.name = "corp",
                            .tenant = "default",
                            .issuer = "https://id.example.org",
                            .client_id = "vestige",
                            .redirect_url = "https://audit.example.org/back",
                            .roles = {{"everybody", {"legal"}}}};
  const auto logins = oidc::Logins::open({known}, world.clock(), world.entropy);
  ASSERT_TRUE(logins) << logins.error().message;
  ASSERT_TRUE(tell_refused(*world.failures, **logins, "corp", World::here()));
  // What nobody configured is whatever somebody wrote into an address.
  ASSERT_TRUE(tell_refused(*world.failures, **logins, "<nobody>", World::here()));
  const auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].action, "FAILED");
  EXPECT_EQ(events[0].details, "refused_sign_on");
  EXPECT_EQ(events[0].target, "corp");
  EXPECT_TRUE(events[0].subject.empty());
}

}  // namespace
}  // namespace vestige::access
