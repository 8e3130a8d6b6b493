#include "audit/testing/export_reader.h"

#include <algorithm>
#include <bit>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::audit::testing {
namespace {

using Nodes = std::map<std::pair<std::uint64_t, std::uint64_t>, Hash>;  // by first leaf and number of leaves

Hash hash_of(const Tree& base64) {
  const auto hash = array_from_base64<32>(base64.value());
  EXPECT_TRUE(hash);
  return hash.value_or(Hash{});
}

void take_nodes(const Tree& line, std::uint64_t from, std::uint64_t to, Nodes& nodes) {
  const auto* given = line.find("nodes");
  std::size_t used = 0;
  while (from < to) {
    std::uint64_t leaves = 1;
    while (from % (2 * leaves) == 0 && from + 2 * leaves <= to) leaves *= 2;
    ASSERT_TRUE(given != nullptr && used < given->elements.size());
    nodes[{from, leaves}] = hash_of(given->elements[used++]);
    from += leaves;
  }
  ASSERT_EQ(given == nullptr ? 0 : given->elements.size(), used);
}

Hash tree_hash(std::uint64_t first, std::uint64_t leaves, const Nodes& nodes) {
  if (const auto found = nodes.find({first, leaves}); found != nodes.end()) return found->second;
  EXPECT_GT(leaves, 1U) << "nothing stands for entry " << first;
  if (leaves <= 1) return {};
  const auto left = std::bit_floor(leaves - 1);
  const auto a = tree_hash(first, left, nodes);
  const auto b = tree_hash(first + left, leaves - left, nodes);
  const std::uint8_t prefix = 1;
  return crypto::sha256({ByteView(&prefix, 1), a, b});
}

std::vector<std::vector<std::string>> rows_of_csv(std::string_view text) {
  std::vector<std::vector<std::string>> rows{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto& cell = rows.back().back();
    if (quoted) {
      if (text[i] != '"') {
        cell.push_back(text[i]);
      } else if (text.substr(i + 1).starts_with('"')) {
        cell.push_back(text[i++]);
      } else {
        quoted = false;
      }
    } else if (text[i] == '"') {
      quoted = true;
    } else if (text[i] == ',') {
      rows.back().emplace_back();
    } else if (text.substr(i).starts_with("\r\n")) {
      ++i;
      rows.push_back({""});
    } else {
      cell.push_back(text[i]);
    }
  }
  EXPECT_EQ(rows.back(), std::vector<std::string>{""}) << "it does not end in a line end";
  rows.pop_back();
  return rows;
}

std::vector<std::string> lines_of(const std::string& file, ReadExport& to) {
  std::vector<std::string> lines;
  if (file.starts_with("\xEF\xBB\xBF")) {
    for (auto& row : rows_of_csv(std::string_view(file).substr(3))) {
      lines.push_back(std::move(row.back()));
      row.pop_back();
      to.cells.push_back(std::move(row));
    }
    return lines;
  }
  EXPECT_TRUE(file.ends_with('\n'));
  for (std::size_t at = 0; at < file.size();) {
    const auto end = file.find('\n', at);
    lines.push_back(file.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::vector<std::uint64_t> ReadExport::indexes() const {
  std::vector<std::uint64_t> out;
  for (const auto& line : lines) out.push_back(std::stoull(line.find("event")->find("index")->scalar));
  return out;
}

Hash ReadExport::root(std::uint64_t size) const {
  if (size == 0) return crypto::sha256(ByteView());
  Nodes nodes;
  std::uint64_t covered = 0;
  for (const auto& line : lines) {
    const auto index = std::stoull(line.find("event")->find("index")->scalar);
    take_nodes(line, covered, index, nodes);
    const std::uint8_t prefix = 0;
    nodes[{index, 1}] =
        crypto::sha256({ByteView(&prefix, 1), view(Tree::of_text(line.find("entry")->json()))});
    covered = index + 1;
  }
  take_nodes(closing, covered, size, nodes);
  return tree_hash(0, size, nodes);
}

ReadExport read_export(const std::string& file) {
  ReadExport out;
  const auto lines = lines_of(file, out);
  EXPECT_GE(lines.size(), 2U);
  if (lines.size() < 2) return out;
  auto digest = crypto::sha256(view("vestige export v1\n"));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto line = Tree::parse(lines[i]);
    if (i > 0) EXPECT_EQ(line.find("after")->value(), to_base64(digest)) << "line " << i + 1;
    digest = crypto::sha256({digest, view(lines[i])});
    (i == 0 ? out.header : i + 1 == lines.size() ? out.closing : out.lines.emplace_back()) = std::move(line);
  }
  return out;
}

}  // namespace vestige::audit::testing
