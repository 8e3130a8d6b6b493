// Defends: a path leads to the value that a naive walk finds; a mapping takes exactly what it names, in the
// order that it names; every shipped mapping compiles and recognises a record of its kind, no other one does
// before it; what a mapping file has wrong is named; whatever the record, the event is JSON and keeps the
// limits of an event.
#include "cli/import/mapping.h"

#include <fmt/format.h>

#include <random>

#include "cli/import/internal/path.h"
#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

using testing::at;

class Parsed {
 public:
  explicit Parsed(const std::string& text) {
    json::Parser parser;
    EXPECT_TRUE(parser.parse(text, document_)) << text;
  }
  json::Value root() const { return document_.root(); }

 private:
  json::Document document_;
};

std::string found(std::string_view path, const std::string& json) {
  const Parsed parsed(json);
  const auto read = Path::read(path);
  if (!read) return read.error().message;
  const auto value = read->find(parsed.root());
  return value.exists() ? json::canonical(value) : "absent";
}

TEST(Paths, EachKindOfToken) {
  const std::string record =
      R"({"a":{"b":[10,{"c":"x"}]},"list":[{"name":"p","value":1},{"name":"q","value":2},{"other":3}],)"
      R"("Source IP":"192.0.2.1","a/b~":4,"none":null,"n":[{"k":5,"v":{"w":6}}]})";
  EXPECT_EQ(found("/a/b/0", record), "10");
  EXPECT_EQ(found("/a/b/1/c", record), "\"x\"");
  EXPECT_EQ(found("/a/b/2", record), "absent");
  EXPECT_EQ(found("/a/b/-1", record), "absent");
  EXPECT_EQ(found("/a/b/01x", record), "absent");
  EXPECT_EQ(found("/list/[name=q]/value", record), "2");
  EXPECT_EQ(found("/list/[name=r]/value", record), "absent");
  EXPECT_EQ(found("/n/[k=5]/v/w", record), "6");
  EXPECT_EQ(found("/list/*/other", record), "3");
  EXPECT_EQ(found("/~sourceip", record), "\"192.0.2.1\"");
  EXPECT_EQ(found("/~source", record), "absent");
  EXPECT_EQ(found("/a~1b~0", record), "4");
  EXPECT_EQ(found("/none", record), "absent");
  EXPECT_EQ(found("/a/*/c", record), "absent") << "* is for elements";
  for (const char* wrong : {"", "a", "/", "/[a]", "/[a=b", "/[a=b]c"})
    EXPECT_FALSE(Path::read(wrong)) << wrong;
}

std::string mapped(const std::string& mapping, const std::string& record) {
  const auto read = Mapping::read(mapping, "test");
  EXPECT_TRUE(read) << (read ? "" : read.error().message);
  const Parsed parsed(record);
  return read ? read->map(parsed.root()).json : "";
}

TEST(Mappings, ARuleTakesTheFirstThatIsThere) {
  const std::string mapping = R"(
action = { from = ["/verb", "/act", "NONE"], values = { "get*" = "READ", "getall" = "EXPORT" } }
time = ["/when", "/stamp"]
kinds = { "READ" = "data.access" }
subject = "/people"
source = [{ id = "/robot", type = "ROBOT" }, { id = "/user", type = ["/role", "USER"] }]
target.type = "THING"
context.ip = ["/proxy", "/ip"]
context.location = "/place"
sourceEntityMeta.tags = "/tags"
detail.size = "/size"
changes = { each = "/mods", field = "/f", old = "/o", new = "/n" }
)";
  EXPECT_EQ(at(mapped(mapping, R"({"verb":"GET /x"})"), "action"), "\"READ\"");
  EXPECT_EQ(at(mapped(mapping, R"({"verb":"getAll"})"), "action"), "\"EXPORT\"") << "the longest pattern";
  EXPECT_EQ(at(mapped(mapping, R"({"verb":"","act":7})"), "action"), "\"7\"");
  EXPECT_EQ(at(mapped(mapping, R"({"verb":[1]})"), "action"), "\"NONE\"");
  EXPECT_EQ(at(mapped(mapping, R"({"verb":"get"})"), "kind"), "\"data.access\"");
  EXPECT_EQ(at(mapped(mapping, "{}"), "kind"), "\"data.change\"");
  EXPECT_EQ(at(mapped(mapping, R"({"when":"soon","stamp":1764081611213})"), "time"),
            "\"2025-11-25T14:40:11.213Z\"");
  EXPECT_EQ(at(mapped(mapping, R"({"user":"u","robot":""})"), "sourceId"), "\"u\"");
  EXPECT_EQ(at(mapped(mapping, R"({"user":"u","role":"ADMIN"})"), "sourceType"), "\"ADMIN\"");
  EXPECT_EQ(at(mapped(mapping, R"({"user":"u","robot":"r"})"), "sourceType"), "\"ROBOT\"");
  EXPECT_EQ(at(mapped(mapping, "{}"), "sourceType"), "absent");
  EXPECT_EQ(at(mapped(mapping, "{}"), "targetType"), "\"THING\"");
  EXPECT_EQ(at(mapped(mapping, R"({"people":["a",1,"a",null]})"), "subject"), R"(["a","1"])");
  EXPECT_EQ(at(mapped(mapping, R"({"people":"a"})"), "subject"), R"(["a"])");
  EXPECT_EQ(at(mapped(mapping, R"({"proxy":"AWS Internal","ip":"192.0.2.1:6915"})"), "context/ip"),
            "\"192.0.2.1\"");
  EXPECT_EQ(at(mapped(mapping, R"({"ip":"[2001:db8::1]:443"})"), "context/ip"), "\"2001:db8::1\"");
  EXPECT_EQ(at(mapped(mapping, R"({"ip":"300.1.1.1"})"), "context"), "absent");
  EXPECT_EQ(at(mapped(mapping, R"({"place":{"city":"Bonn"}})"), "context/location/city"), "\"Bonn\"");
  EXPECT_EQ(at(mapped(mapping, R"({"place":[1]})"), "context"), "absent");
  EXPECT_EQ(at(mapped(mapping, R"({"tags":["a",{"b":1}]})"), "sourceEntityMeta/tags"), R"(["a",{"b":1}])");
  EXPECT_EQ(at(mapped(mapping, R"({"size":1.5})"), "detail/size"), "1.5");
  EXPECT_EQ(
      at(mapped(mapping, R"({"mods":[{"f":"x","o":"","n":"1"},{"f":"y"},{"f":"z","o":true}]})"), "changes"),
      R"([{"field":"x","new":"1"},{"field":"z","old":true}])");
}

TEST(Mappings, TomlAndJsonSayTheSame) {
  const auto toml = mapped("action = \"/a\"\n[source]\nid = \"/u\"\n", R"({"a":"x","u":"y"})");
  EXPECT_EQ(toml, mapped(R"({"action":"/a","source":{"id":"/u"}})", R"({"a":"x","u":"y"})"));
  EXPECT_EQ(toml, R"({"kind":"data.change","action":"x","sourceId":"y"})");
}

TEST(Mappings, WhatIsWrongInAFileIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"actoin = \"/a\"", "actoin"},
      {"action = 1", "action"},
      {"action = \"/[x\"", "action"},
      {"action = { from = \"/a\", value = {} }", "value"},
      {"action = { values = {} }", "from"},
      {"context.ips = \"/a\"", "ips"},
      {"source.name = \"/a\"", "name"},
      {"detail.original = \"/a\"", "original"},
      {"changes.each = \"/a\"", "field"},
      {"timeFormat = \"%Q\"", "%Q"},
      {"timeOffset = \"2\"", "timeOffset"},
      {"extends = \"nothing\"", "cloudtrail"},
      {"action = ", "line 1"},
      {"{\"action\":", "JSON"},
      {"[1]", "test"},
  };
  for (const auto& [text, named] : cases) {
    const auto read = Mapping::read(text, "test");
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::invalid);
    EXPECT_NE(read.error().message.find(named), std::string::npos) << text << ": " << read.error().message;
  }
}

TEST(Mappings, AFileMayExtendAShippedOne) {
  const auto catalogue = Catalogue::load();
  ASSERT_TRUE(catalogue) << (catalogue ? "" : catalogue.error().message);
  const auto find = [](const void* from, std::string_view name) {
    return static_cast<const Catalogue*>(from)->find(name);
  };
  const auto read = Mapping::read("extends = \"gws\"\nsubject = \"/actor/email\"\ncontext.node = \"n\"\n",
                                  "own", &*catalogue, find);
  ASSERT_TRUE(read) << (read ? "" : read.error().message);
  const Parsed record(R"({"actor":{"email":"a@example.org"},"ipAddress":"192.0.2.1","name":"LOGIN"})");
  const auto event = read->map(record.root()).json;
  EXPECT_EQ(at(event, "subject"), R"(["a@example.org"])");
  EXPECT_EQ(at(event, "sourceId"), R"("a@example.org")");
  EXPECT_EQ(at(event, "context"), R"({"ip":"192.0.2.1","node":"n"})");
}

TEST(ShippedMappings, EachRecognisesItsRecordsAndNoOther) {
  const auto catalogue = Catalogue::load();
  ASSERT_TRUE(catalogue) << (catalogue ? "" : catalogue.error().message);
  const std::map<std::string, std::string> records = {
      {"atlassian", R"({"attributes":{"action":"user_login","actor":{"id":"1"}}})"},
      {"auth0", R"({"log_id":"1","data":{"type":"s","client_id":"c"}})"},
      {"azure-activity", R"({"operationName":"x/write","resourceId":"/y","callerIpAddress":"192.0.2.1"})"},
      {"cloudtrail", R"({"eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{}})"},
      {"databricks", R"({"serviceName":"accounts","actionName":"login"})"},
      {"gcp-audit", R"({"protoPayload":{"methodName":"m"}})"},
      {"exaudit",
       R"({"id":"1","patch":"\\x8374","entity_id":"4","entity_schema":"contacts","recorded_at":"2025-11-01 08:00:09"})"},
      {"github", R"({"action":"repo.create","actor":"a","repo":"r"})"},
      {"gws", R"({"kind":"admin#reports#activity","id":{"applicationName":"admin","time":"t"},"actor":{}})"},
      {"k8s-audit", R"({"kind":"Event","verb":"get","auditID":"1"})"},
      {"m365-export", R"({"Immutable ID":"1","Item class":"IPM.Note","Compound path":"p"})"},
      {"o365", R"({"CreationTime":"t","Operation":"o","Workload":"Exchange"})"},
      {"okta", R"({"eventType":"user.session.start","actor":{"alternateId":"a"}})"},
      {"onelogin", R"({"event_type_id":"5","user_name":"u"})"},
      {"teleport", R"({"event":"user.login","code":"T1","uid":"1","time":"t"})"},
  };
  for (const auto& name : Catalogue::names()) {
    ASSERT_TRUE(records.contains(name)) << "no record of " << name << " here";
    const Parsed record(records.at(name));
    const auto* mapping = catalogue->recognise(record.root());
    ASSERT_NE(mapping, nullptr) << name;
    EXPECT_EQ(mapping->name(), name);
  }
  for (const char* unknown :
       {"{}", "[]", "1", R"({"action":"a","user":"u"})", R"({"kind":"data.change","action":"a"})"}) {
    const Parsed record(unknown);
    EXPECT_EQ(catalogue->recognise(record.root()), nullptr) << unknown;
  }
}

TEST(Guesses, GoByNamesWhateverTheirSpelling) {
  const auto catalogue = Catalogue::load();
  ASSERT_TRUE(catalogue);
  for (const char* text :
       {R"({"Event Name":"x","User ID":"u","Source IP":"192.0.2.1","Event DateTime":"2026-01-01 00:00:00",)"
        R"("Object":"o"})",
        R"({"eventName":"x","userId":"u","sourceIp":"192.0.2.1","eventTime":1767225600,"object_id":"o"})",
        R"({"event_name":"x","user":{"id":"u"},"SOURCE_IP":"192.0.2.1","@timestamp":"2026-01-01",)"
        R"("target":{"id":"o"}})"}) {
    const Parsed record(text);
    const auto event = catalogue->guesses().map(record.root()).json;
    EXPECT_EQ(at(event, "action"), "\"x\"") << text;
    EXPECT_EQ(at(event, "sourceId"), "\"u\"") << text;
    EXPECT_EQ(at(event, "targetId"), "\"o\"") << text;
    EXPECT_EQ(at(event, "context/ip"), "\"192.0.2.1\"") << text;
    EXPECT_EQ(at(event, "time"), "\"2026-01-01T00:00:00.000Z\"") << text;
  }
  const Parsed nothing("[1]");
  EXPECT_EQ(at(catalogue->guesses().map(nothing.root()).json, "action"), "\"UNRECOGNISED\"");
}

TEST(Mappings, LongIdsAndWordsAreCutBetweenCharacters) {
  std::string id;
  while (id.size() < 2'000) id += "é";
  const std::string mapping = "action = \"/a\"\nsource.id = \"/a\"\nsource.type = \"/a\"\n";
  const auto read = Mapping::read(mapping, "test");
  ASSERT_TRUE(read);
  for (const std::string prefix : {"", "x"}) {
    const Parsed record("{\"a\":\"" + prefix + id + "\"}");
    const auto event = read->map(record.root());
    EXPECT_TRUE(event.cut);
    EXPECT_EQ(at(event.json, "sourceId").size(), 1'024 - prefix.size() + 2);
    EXPECT_EQ(at(event.json, "action").size(), 256 - prefix.size() + 2);
    EXPECT_EQ(at(event.json, "sourceType").size(), 256 - prefix.size() + 2);
  }
}

}  // namespace
}  // namespace vestige::cli::importing
