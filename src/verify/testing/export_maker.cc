#include "verify/testing/export_maker.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "seal/section.h"

namespace vestige::verify::testing {
namespace {

const std::string origin = "log.example/default/audit";

Key key_of(std::uint64_t seed) {
  Key key{};
  std::memcpy(key.data(), &seed, sizeof seed);
  return key;
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

Hash hash_pieces(std::uint8_t prefix, ByteView a, ByteView b = {}) {
  return crypto::sha256({ByteView(&prefix, 1), a, b});
}

std::vector<seal::Pair> pairs_of(std::uint64_t number) {
  return {{"/detail/list", "[]"},
          {"/detail/list/0", fmt::format("{}", number)},
          {"/detail/secret", fmt::format("\"secret {}\"", number)},
          {"/sourceId", fmt::format("\"=person {}\"", number)},
          {"mac", "\"AAAAAAAAAAAAAAAAAAAAAA==\""}};
}

Block16 seed_of(std::uint64_t number) {
  Block16 seed{};
  std::memcpy(seed.data(), &number, sizeof number);
  seed[15] = 7;
  return seed;
}

std::string cell(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

ExportMaker::ExportMaker(std::uint64_t seed, std::size_t size) : random_(seed), key_(key_of(seed)) {
  for (std::uint64_t i = 0; i < size; ++i) {
    entries_.push_back(make_entry(i));
    leaves_.push_back(hash_pieces(0, view(entries_.back().entry)));
  }
}

std::string ExportMaker::leaf_of(std::string_view entry) const {
  return to_base64(hash_pieces(0, view(entry)));
}

trail::VerifierKey ExportMaker::key() const {
  return {origin, trail::SignatureType::ed25519, key_.public_key()};
}

std::string ExportMaker::sign(const std::string& text) const {
  trail::Note note{text, {}};
  trail::sign_note(note, origin, key_);
  return trail::format_note(note);
}

MadeEntry ExportMaker::make_entry(std::uint64_t index) {
  const auto id = fmt::format("00000000-0000-4000-8000-{:012}", index);
  const auto time = fmt::format("2026-11-25T14:{:02}:{:02}.000Z", index / 60 % 60, random_() % 60);
  const auto kind = random_() % 3;  // clear, sealed, erased
  const auto number = random_();
  const bool sealed = kind > 0;
  const auto ref = to_base64(seed_of(number + 1));
  const auto root = to_base64(seal::pairs_root(pairs_of(index), seed_of(number)));
  MadeEntry made;
  const auto tail = fmt::format(R"("kind":"data.change","receivedAt":"2026-11-25T15:00:00.000Z",)");
  made.entry = fmt::format(
      R"({{"action":"DID","detail":{{"n":{}}},"id":"{}",{}"salt":"{}","schema":1,{}"tenant":"default","time":"{}","v":1}})",
      index, id, tail, to_base64(seed_of(number + 2)),
      sealed ? fmt::format(R"("sealed":[{{"ref":"{}","root":"{}"}}],)", ref, root) : "", time);
  const auto leaf = leaf_of(made.entry);
  const bool open = kind == 1;
  const auto detail = open
                          ? fmt::format(R"({{"list":[{}],"n":{},"secret":"secret {}"}})", index, index, index)
                          : fmt::format(R"({{"n":{}}})", index);
  made.event = fmt::format(
      R"({{"action":"DID","detail":{},"id":"{}",{}{}"tenant":"default","time":"{}",{}"index":{},"leaf":"{}"}})",
      detail, id, tail, open ? fmt::format(R"("sourceId":"=person {}",)", index) : "", time,
      sealed ? fmt::format(R"("sealed":[{{"refs":["{}"],"state":"{}"{}}}],)", ref,
                           open ? "present" : "erased", open ? "" : ",\"erasedBy\":3")
             : "",
      index, leaf);
  if (sealed) made.open = "[null]";
  if (open) {
    std::string list;
    for (const auto& pair : pairs_of(index))
      list += fmt::format("{}[{},{}]", list.empty() ? "" : ",", quoted(pair.path), pair.value);
    made.open = fmt::format(R"([{{"pairs":[{}],"seed":"{}"}}])", list, to_base64(seed_of(number)));
  }
  made.present = open ? 1 : 0;
  made.erased = kind == 2 ? 1 : 0;
  made.cells = {std::to_string(index),
                time,
                "2026-11-25T15:00:00.000Z",
                "data.change",
                "DID",
                "",
                open ? fmt::format("'=person {}", index) : "",
                "",
                "",
                "",
                detail,
                "",
                "",
                "",
                "",
                id};
  return made;
}

Hash ExportMaker::tree_hash(std::uint64_t first, std::uint64_t leaves) const {
  if (leaves == 0) return crypto::sha256(ByteView());
  if (leaves == 1) return leaves_.at(first);
  std::uint64_t left = 1;
  while (left * 2 < leaves) left *= 2;
  return hash_pieces(1, tree_hash(first, left), tree_hash(first + left, leaves - left));
}

std::string ExportMaker::nodes(std::uint64_t from, std::uint64_t to) const {
  std::string list;
  while (from < to) {
    std::uint64_t leaves = 1;
    while (from % (2 * leaves) == 0 && from + 2 * leaves <= to) leaves *= 2;
    list += fmt::format("{}\"{}\"", list.empty() ? "" : ",", to_base64(tree_hash(from, leaves)));
    from += leaves;
  }
  return list.empty() ? "" : ",\"nodes\":[" + list + "]";
}

std::vector<std::string> ExportMaker::bodies(const std::vector<std::uint64_t>& indexes) const {
  const auto checkpoint = sign(trail::checkpoint_text({origin, size(), tree_hash(0, size())}));
  std::vector<std::string> out = {fmt::format(
      R"({{"asked":{{}},"checkpoint":{},"exportedAt":"2026-11-25T16:00:00.000Z","exporter":{{"id":"k","name":"n"}},)"
      R"("format":"vestige export v1","origin":"{}","search":{{"and":[]}},"stream":"audit","tenant":"default",)"
      R"("timeFrom":null,"timeTo":null}})",
      quoted(checkpoint), origin)};
  std::uint64_t covered = 0;
  for (const auto index : indexes) {
    const auto& made = entries_.at(index);
    out.push_back(fmt::format(R"("entry":{},"event":{}{}{}}})", made.entry, made.event, nodes(covered, index),
                              made.open.empty() ? "" : ",\"open\":" + made.open));
    covered = index + 1;
  }
  out.push_back(nodes(covered, size()));
  return out;
}

std::string ExportMaker::statement(const std::vector<std::string>& bodies, const std::string& after) const {
  std::uint64_t present = 0, erased = 0;
  std::string first, last;
  for (std::size_t i = 1; i + 1 < bodies.size(); ++i) {
    present += bodies[i].find("\"state\":\"present\"") != std::string::npos ? 1 : 0;
    erased += bodies[i].find("\"state\":\"erased\"") != std::string::npos ? 1 : 0;
    const auto time = bodies[i].substr(bodies[i].find("\"time\":\"") + 8, 24);
    if (first.empty() || time < first) first = time;
    last = std::max(last, time);
  }
  const auto shown = [](const std::string& time) { return time.empty() ? "null" : '"' + time + '"'; };
  return sign(fmt::format(
      "vestige export "
      "v1\n{{\"digest\":\"{}\",\"events\":{},\"sections\":{{\"closed\":0,\"erased\":{},\"present\":{},"
      "\"unknown\":0}},\"size\":{},\"timeFirst\":{},\"timeLast\":{}}}\n",
      after, bodies.size() - 2, erased, present, size(), shown(first), shown(last)));
}

std::vector<std::string> ExportMaker::chained(const std::vector<std::string>& bodies,
                                              const std::string& given) const {
  std::vector<std::string> lines;
  auto digest = crypto::sha256(view("vestige export v1\n"));
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const auto after = to_base64(digest);
    if (i == 0)
      lines.push_back(bodies[i]);
    else if (i + 1 < bodies.size())
      lines.push_back(fmt::format(R"({{"after":"{}",{})", after, bodies[i]));
    else
      lines.push_back(fmt::format(R"({{"after":"{}"{},"statement":{}}})", after, bodies[i],
                                  quoted(given.empty() ? statement(bodies, after) : given)));
    digest = crypto::sha256({digest, view(lines.back())});
  }
  return lines;
}

std::string ExportMaker::ndjson(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

std::string ExportMaker::csv(const std::vector<std::string>& lines,
                             const std::vector<std::uint64_t>& indexes) const {
  std::string out =
      "\xEF\xBB\xBFindex,time,receivedAt,kind,action,sourceType,sourceId,targetType,targetId,subject,detail,"
      "changes,context,sourceEntityMeta,targetEntityMeta,id," +
      cell(lines.front()) + "\r\n";
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    for (const auto& each : entries_.at(indexes[i]).cells) out += cell(each) + ",";
    out += cell(lines.at(i + 1)) + "\r\n";
  }
  return out + std::string(16, ',') + cell(lines.back()) + "\r\n";
}

std::string ExportMaker::disclosure(std::uint64_t index, const std::vector<std::size_t>& chosen) const {
  const auto& made = entries_.at(index);
  const auto seed = array_from_base64<16>(made.open.substr(made.open.find("\"seed\":\"") + 8, 24));
  const auto pairs = pairs_of(index);
  std::string values;
  for (const auto i : chosen) {
    std::string path;
    for (const auto& step : seal::pair_path(pairs, *seed, i))
      path += fmt::format("{}\"{}\"", path.empty() ? "" : ",", to_base64(step));
    values +=
        fmt::format(R"({}{{"index":{},"path":{},"proof":[{}],"salt":"{}","section":0,"size":{},"value":{}}})",
                    values.empty() ? "" : ",", i, quoted(pairs[i].path), path,
                    to_base64(seal::salt_of(*seed, i)), pairs.size(), pairs[i].value);
  }
  // The path by which RFC 6962 defines it, from the root down.
  std::vector<Hash> steps;
  for (std::uint64_t first = 0, leaves = size(); leaves > 1;) {
    std::uint64_t left = 1;
    while (left * 2 < leaves) left *= 2;
    const bool in_left = index - first < left;
    steps.insert(steps.begin(), in_left ? tree_hash(first + left, leaves - left) : tree_hash(first, left));
    first += in_left ? 0 : left;
    leaves = in_left ? left : leaves - left;
  }
  const auto proof = trail::format_proof(
      {index, steps, sign(trail::checkpoint_text({origin, size(), tree_hash(0, size())}))});
  return fmt::format(R"({{"disclosed":[{}],"entry":{},"format":"vestige disclosure v1","proof":{}}})", values,
                     made.entry, quoted(proof));
}

}  // namespace vestige::verify::testing
