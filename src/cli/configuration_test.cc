// Defends: a setting comes from the last source that has it (defaults, file, environment, command line);
// nothing is silently ignored or cut; the documentation names every key with its default.
#include "cli/configuration.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <span>

#include "cli/internal/local_file.h"
#include "cli/testing/recorder.h"

namespace vestige::cli {
namespace {

bool is_number(const ConfigurationKey& key) {
  return !std::holds_alternative<std::string ServeArguments::*>(key.member);
}

std::string random_value(const ConfigurationKey& key, std::mt19937_64& random) {
  if (key.name == "log_format") return random() % 2 ? "text" : "json";
  if (key.name == "public_url") return "https://v" + std::to_string(random() % 1'000) + ".example";
  if (key.name == "trusted_proxies") return "10.0." + std::to_string(random() % 256) + ".0/24, ::1";
  if (!is_number(key)) return "v" + std::to_string(random() % 1'000);
  const auto steps = (key.most - key.least) / key.multiple_of;
  return std::to_string(key.least + random() % (steps + 1) * key.multiple_of);
}

TEST(Configuration, TheLastSourceWins) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(300); ++round) {
    std::map<std::string, std::string> environment;
    std::map<std::string_view, std::string> expected;
    ConfigurationSources sources;
    sources.file = ConfigurationFile{.name = "t.toml", .text = "# a comment\n"};
    for (const auto& key : configuration_keys()) {
      // These exclude or require each other, which another test is about.
      if (key.name.starts_with("tls_") || key.name == "root_key_command") continue;
      expected[key.name] = value_text(key, ServeArguments{});
      const auto take = [&] { return expected[key.name] = random_value(key, random); };
      if (random() % 2) {
        const auto value = take();
        sources.file->text +=
            std::string(key.name) + " = " + (is_number(key) ? value : "\"" + value + "\"") + "\n";
      }
      if (random() % 2) environment[environment_name(key)] = take();
      if (random() % 2) sources.command_line.emplace_back(key.name, take());
    }
    sources.environment = [&](const std::string& name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      if (found == environment.end()) return std::nullopt;
      return found->second;
    };
    const auto arguments = configure(sources);
    ASSERT_TRUE(arguments) << "seed " << seed << ": " << arguments.error().message << "\n"
                           << sources.file->text;
    for (const auto& key : configuration_keys())
      if (expected.contains(key.name))
        ASSERT_EQ(value_text(key, *arguments), expected[key.name]) << "seed " << seed;
  }
}

Result<ServeArguments> from_file(std::string text) {
  return configure({.file = ConfigurationFile{.name = "v.toml", .text = std::move(text)}});
}
Result<ServeArguments> from_line(std::string key, std::string value) {
  return configure({.command_line = {{std::move(key), std::move(value)}}});
}

TEST(Configuration, UnknownKeysAreErrorsThatNameTheKnownOnes) {
  const auto refused = from_file("data = \"x\"\nprot = 8080\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_NE(refused.error().message.find("prot in v.toml, line 2"), std::string::npos)
      << refused.error().message;
  for (const auto& key : configuration_keys())
    EXPECT_NE(refused.error().message.find(key.name), std::string::npos) << key.name;
  EXPECT_FALSE(from_file("[server]\nport = 1\n"));
  EXPECT_FALSE(from_file("port = \n"));
  EXPECT_FALSE(from_file("port = 1\nport = 2\n"));
}

TEST(Configuration, NumbersStayWithinTheirBounds) {
  for (const auto& key : configuration_keys()) {
    if (!is_number(key)) continue;
    const std::string name(key.name);
    EXPECT_TRUE(from_line(name, std::to_string(key.least))) << name;
    EXPECT_TRUE(from_line(name, std::to_string(key.most))) << name;
    EXPECT_FALSE(from_line(name, std::to_string(key.most + 1))) << name;
    if (key.least > 0) EXPECT_FALSE(from_line(name, std::to_string(key.least - 1))) << name;
    if (key.multiple_of > 1) EXPECT_FALSE(from_line(name, std::to_string(key.least + 1))) << name;
    for (const auto* const wrong : {"", "x", "1x", "-1", "1.5", " 1", "18446744073709551616"})
      EXPECT_FALSE(from_line(name, wrong)) << name << " took \"" << wrong << "\"";
  }
}

TEST(Configuration, SizesTakeUnits) {
  EXPECT_EQ(from_line("wal_bytes_max", "2GiB")->wal_bytes_max, std::uint64_t{2} << 30);
  EXPECT_EQ(from_line("wal_bytes_max", "256 MiB")->wal_bytes_max, std::uint64_t{256} << 20);
  EXPECT_EQ(from_file("wal_bytes_max = \"524288KiB\"\n")->wal_bytes_max, std::uint64_t{512} << 20);
  EXPECT_FALSE(from_line("wal_bytes_max", "18446744073709551615GiB"));
  EXPECT_FALSE(from_line("wal_bytes_max", "2GB"));
  EXPECT_FALSE(from_line("connections_max", "1KiB"));
}

TEST(Configuration, WhatBelongsTogetherIsChecked) {
  EXPECT_FALSE(from_file("tls_certificate = \"c.pem\"\n"));
  EXPECT_FALSE(from_file("tls_key = \"k.pem\"\n"));
  EXPECT_TRUE(from_file("tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"\n"));
  EXPECT_FALSE(from_file("root_key_command = \"a\"\nroot_key_environment = \"B\"\n"));
  EXPECT_FALSE(from_file("log_format = \"xml\"\n"));
  EXPECT_FALSE(from_file("port = \"8080\"\n"));
  EXPECT_FALSE(from_file("data = 5\n"));
  EXPECT_FALSE(from_file("data = true\n"));
  EXPECT_FALSE(from_line("data", ""));
  EXPECT_FALSE(from_line("node", "\xff"));
}

constexpr std::string_view provider_table = R"(public_url = "https://audit.example.com"
[[sso]]
name = "okta"
label = "Example Ltd"
issuer = "https://login.example.com"
client_id = "vestige"
client_secret_environment = "OKTA_SECRET"
scopes = ["openid", "profile"]
algorithms = ["ES256"]
roles = { "audit-compliance" = ["compliance_officer"], "helpdesk" = ["customer_service", "auditor"] }
[[sso]]
name = "shop"
audience = "customers"
tenant = "retail"
issuer = "https://shop.example.com"
client_id = "vestige"
subject_claim = "customer_number"
redirect_url = "https://other.example.com/back"
userinfo = true
)";

TEST(Configuration, ProvidersAreTablesOfTheFile) {
  const auto read = from_file(std::string(provider_table));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->sso.size(), 2U);
  const auto& staff = read->sso[0];
  EXPECT_EQ(staff.name, "okta");
  EXPECT_EQ(staff.label, "Example Ltd");
  EXPECT_EQ(staff.tenant, "default");
  EXPECT_EQ(staff.redirect_url, "https://audit.example.com/api/sign-in/okta/callback");
  EXPECT_EQ(staff.client_secret_environment, "OKTA_SECRET");
  EXPECT_EQ(staff.scopes, (std::vector<std::string>{"openid", "profile"}));
  EXPECT_EQ(staff.algorithms, std::vector{access::oidc::Algorithm::es256});
  EXPECT_EQ(staff.roles.at("helpdesk"), (std::vector<std::string>{"customer_service", "auditor"}));
  const auto& customers = read->sso[1];
  EXPECT_EQ(customers.audience, access::oidc::Audience::customers);
  EXPECT_EQ(customers.tenant, "retail");
  EXPECT_EQ(customers.subject_claim, "customer_number");
  EXPECT_EQ(customers.redirect_url, "https://other.example.com/back");
  EXPECT_TRUE(customers.userinfo);
}

TEST(Configuration, TheExampleOfTheDocumentIsTaken) {
  const auto document =
      read_local(std::string(VESTIGE_SOURCE_DIR) + "/docs/operating/configuration.md", 1 << 20);
  ASSERT_TRUE(document);
  const auto table = document->find("[[sso]]\nname");
  ASSERT_NE(table, std::string::npos);
  const auto begin = document->rfind("```\n", table) + 4;
  const auto read = from_file(document->substr(begin, document->find("```", begin) - begin));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->sso.size(), 2U);
}

struct Wrong {
  std::string_view old, by, message;
};
// Each by itself makes a file wrong that is right without it.
void expect_said(std::string_view right, std::span<const Wrong> all) {
  for (const auto& one : all) {
    std::string text(right);
    const auto at = text.find(one.old);
    ASSERT_NE(at, std::string::npos) << one.old;
    const auto refused = from_file(text.replace(at, one.old.size(), one.by));
    ASSERT_FALSE(refused) << one.by;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_NE(refused.error().message.find(one.message), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("host=db"), std::string::npos)
        << "what leads to a database is told";
  }
}

TEST(Configuration, WhatIsWrongAboutAProviderIsSaid) {
  constexpr Wrong all[] = {
      {"label =", "lable =", "lable in v.toml, line 4: a table [[sso]] has no such key"},
      {"\"Example Ltd\"", "5", "label in v.toml, line 4 takes a text in quotes"},
      {"\"customers\"", "\"clients\"", "takes \"staff\" or \"customers\""},
      {"userinfo = true", "userinfo = 1", "takes true or false"},
      {"[\"ES256\"]", "[\"HS256\"]", "takes any of"},
      {"[\"openid\", \"profile\"]", "\"openid\"", "takes a list of texts"},
      {"[\"compliance_officer\"]", "\"compliance_officer\"", "takes a list of texts"},
      {"public_url = \"https://audit.example.com\"", "", "set public_url"},
      {"https://login.example.com", "http://login.example.com", "issuer"},
      {"\"shop\"", "\"okta\"", "Two sign-in providers"},
      {"https://audit.example.com", "https://audit.example.com/", "public_url is"},
      {"https://audit.example.com", "audit.example.com", "public_url is"},
  };
  expect_said(provider_table, all);
  EXPECT_FALSE(from_file("sso = 1\n"));
  EXPECT_FALSE(from_file("sso = [1]\n"));
  EXPECT_FALSE(from_file("[sso]\nname = \"x\"\n"));
}

const std::string source_table = R"toml(
[[capture.postgres]]
name = "crm"
tenant = "acme"
tenant_column = "organization_id"
dsn = "host=db dbname=crm"
tables = ["public.contacts", "sales.orders"]
subject = { "public.contacts" = "id" }
exclude = { "public.contacts" = ["settings"] }
hash = { "sales.orders" = ["phone", "fax"] }
actor = { type = "SERVICE", id = "crm", name = "The CRM" }
snapshot = false
lag_bytes_max = 1000
)toml";

TEST(Configuration, SourcesAreTablesOfTheFile) {
  const auto read = from_file("port = 1\n" + source_table + "\n[[capture.postgres]]\nname = \"shop\"\n" +
                              "dsn = \"x\"\ntables = [\"public.a\"]\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->capture_postgres.size(), 2U);
  const auto& source = read->capture_postgres[0];
  EXPECT_EQ(source.name, "crm");
  EXPECT_EQ(source.tenant, "acme");
  EXPECT_EQ(source.tenant_column, "organization_id");
  EXPECT_EQ(source.dsn, "host=db dbname=crm");
  EXPECT_EQ(source.tables, (std::vector<std::string>{"public.contacts", "sales.orders"}));
  EXPECT_EQ(source.subject.at("public.contacts"), "id");
  EXPECT_TRUE(source.exclude.at("public.contacts").contains("settings"));
  EXPECT_EQ(source.hash.at("sales.orders").size(), 2U);
  ASSERT_TRUE(source.actor);
  EXPECT_EQ(source.actor->type + source.actor->id + source.actor->name, "SERVICEcrmThe CRM");
  EXPECT_FALSE(source.snapshot);
  EXPECT_EQ(source.lag_bytes_max, 1'000U);
  const auto& plain = read->capture_postgres[1];
  EXPECT_EQ(plain.tenant, "default");
  EXPECT_TRUE(plain.snapshot);
  EXPECT_FALSE(plain.actor || plain.tenant_column);
}

TEST(Configuration, WhatIsWrongAboutASourceIsSaid) {
  constexpr Wrong all[] = {
      {"snapshot =", "snap =", "snap in v.toml, line 12: a table [[capture.postgres]] has no such key"},
      {"snapshot = false", "snapshot = 0", "snapshot in v.toml, line 12 takes true or false"},
      {"lag_bytes_max = 1000", "lag_bytes_max = 0",
       "lag_bytes_max in v.toml, line 13 takes a number of bytes"},
      {"name = \"crm\"", "name = \"CRM 1\"", "no name of a source"},
      {"dsn = \"host=db dbname=crm\"", "dsn = \"\"", "dsn says how the database is reached"},
      {"\"sales.orders\"]", "\"orders\"]", "write orders with its schema: public.orders"},
      {"subject = { \"public.contacts\"", "subject = { \"public.people\"",
       "subject names the table public.people"},
      {"[\"settings\"]", "[\"id\"]", "which is excluded"},
      {"type = \"SERVICE\", ", "", "actor has a type and an id"},
      {"name = \"The CRM\"", "nick = \"x\"", "a table with type, id"},
  };
  expect_said(source_table, all);
  EXPECT_FALSE(from_file("capture = 1\n"));
  EXPECT_FALSE(from_file("[capture]\npostgres = 1\n"));
  EXPECT_FALSE(from_file("[[capture.oracle]]\nname = \"x\"\n"));
}

const std::string kafka_table = R"toml(
[[capture.kafka]]
name = "backoffice"
tenant = "acme"
brokers = "kafka-1:9093"
topics = '^bank\.command\.[^.]+$'
group = "audit"
headers = ["producer"]
[capture.kafka.options]
"sasl.password" = "hush"
)toml";

TEST(Configuration, SourcesOfCommandsAreTablesOfTheFile) {
  const auto mapping = ::testing::TempDir() + "command-v2.toml";
  ASSERT_TRUE(write_local(mapping, "action = \"/what\"\n"));
  const auto read =
      from_file(kafka_table + fmt::format("[capture.kafka.mappings]\nv2 = \"{}\"\n", mapping) +
                "[[capture.kafka]]\nname = \"shop\"\nbrokers = \"b:1\"\ntopics = [\"a\", \"b\"]\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->capture_kafka.size(), 2U);
  const auto& source = read->capture_kafka[0];
  EXPECT_EQ(source.name + source.tenant + source.brokers, "backofficeacmekafka-1:9093");
  EXPECT_EQ(source.topics, (std::vector<std::string>{R"(^bank\.command\.[^.]+$)"}));
  EXPECT_EQ(source.group_name(), "audit");
  EXPECT_EQ(source.headers, (std::vector<std::string>{"producer"}));
  EXPECT_EQ(source.options.at("sasl.password"), "hush");
  const auto* map = source.mapping_of("bank.command.v2");
  ASSERT_NE(map, nullptr);
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(R"({"what":"MOVED"})", document));
  EXPECT_NE((*map)(document.root()).find(R"("action":"MOVED")"), std::string::npos);
  const auto& plain = read->capture_kafka[1];
  EXPECT_EQ(plain.topics, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(plain.group_name(), "vestige.shop");
  EXPECT_EQ(plain.mapping_of("a"), nullptr);
}

TEST(Configuration, WhatIsWrongAboutASourceOfCommandsIsSaid) {
  constexpr Wrong all[] = {
      {"headers =", "header =", "header in v.toml, line 8: a table [[capture.kafka]] has no such key"},
      {"brokers = \"kafka-1:9093\"", "brokers = \"\"", "brokers says where Kafka is"},
      {"'^bank\\.command\\.[^.]+$'", "\"a.dlq\"", "takes what could not be recorded, and is not read"},
      {"'^bank\\.command\\.[^.]+$'", "[\"^a\", \"b\"]",
       "topics is one regular expression, or a list of names"},
      {"'^bank\\.command\\.[^.]+$'", "\"a b\"", "is no name of a topic"},
      {"\"sasl.password\" = \"hush\"", "\"enable.auto.commit\" = \"true\"",
       "the option enable.auto.commit is set by the server"},
      {"\"sasl.password\" = \"hush\"", "\"sasl.passwort\" = \"hush\"",
       "librdkafka has no option sasl.passwort"},
      {"[capture.kafka.options]\n\"sasl.password\"", "[capture.kafka.mappings]\nv1",
       "v.toml, line 9: hush: "},
  };
  expect_said(kafka_table, all);
  const auto secret = from_file(kafka_table + "\"socket.keepalive.enable\" = \"hush-hush\"\n");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().message.find("hush"), std::string::npos) << secret.error().message;
}

TEST(Configuration, MessagesNameTheSourceAndWhatItTakes) {
  const auto refused = configure({.environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "VESTIGE_PORT" ? std::optional<std::string>("eighty") : std::nullopt;
  }});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "VESTIGE_PORT is \"eighty\", but port takes a whole number from 0 to 65535.");
}

TEST(Configuration, TheDocumentNamesEveryKeyAndItsDefault) {
  const auto document =
      read_local(std::string(VESTIGE_SOURCE_DIR) + "/docs/operating/configuration.md", 1 << 20);
  ASSERT_TRUE(document) << document.error().message;
  std::size_t rows = 0;
  for (std::size_t at = document->find("\n| `"); at != std::string::npos;
       at = document->find("\n| `", at + 1))
    ++rows;
  EXPECT_EQ(rows, configuration_keys().size()) << "a row that is no key, or a key without a row";
  for (const auto& key : configuration_keys()) {
    const auto preset = value_text(key, ServeArguments{});
    const auto row = "\n| `" + std::string(key.name) + "` | " +
                     (preset.empty() ? std::string("") : "`" + preset + "` ") + "|";
    EXPECT_NE(document->find(row), std::string::npos) << "no row beginning with" << row;
  }
}

}  // namespace
}  // namespace vestige::cli
