// What the steps cost by themselves that no trail of this kind can do without, on this machine and the events
// of the benchmark: parse, hash, encrypt, compress, tokenise, write. Their sum beside what an event really
// costs says how much of the time is spent on the necessary. Run by bench/run.py.

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "audit/search/tokens.h"
#include "bench/support/report.h"
#include "bench/support/trail.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "trail/format/members.h"

namespace vestige::bench {
namespace {

constexpr std::uint64_t events_held = 50'000;
constexpr double seconds_min = 0.5;             // of a step: it is repeated until then
constexpr int compression_level = 1;            // as pages have it (trail/format/page.cc)
constexpr std::size_t frame_bytes = 512 << 10;  // of the write-ahead log: a batch or so

// The events as sent, as entries, and cut up as the trail stores them.
struct Material {
  std::vector<std::string> lines;
  std::vector<std::string> entries;  // canonical, as the leaf hashes them
  std::vector<std::string> frames;   // entries as the write-ahead log has them
  std::vector<std::string> pages;    // of 256 entries, what is not kept in columns
  std::vector<std::string> packed;   // the same, compressed
};

std::string rest_of(std::string_view entry) {
  static const auto columns = [] {
    std::vector<std::string> names;
    for (const auto& column : audit::entry_schema()) names.push_back(column.name);
    return names;
  }();
  std::string rest;
  trail::MemberScanner members(entry);
  while (const auto member = members.next())
    if (!std::ranges::binary_search(columns, std::string(member->key)))
      rest += entry.substr(member->start, member->end - member->start);
  return rest;
}

std::string compressed(std::string_view text) {
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                                  &ZSTD_freeCCtx);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const auto size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), text.data(), text.size(), compression_level);
  if (ZSTD_isError(size)) give_up("zstd failed");
  out.resize(size);
  return out;
}

Material make_material(const std::string& directory) {
  Material material;
  {
    Trail trail(directory);
    const audit::RequestContext context{"default", "bench", platform::system_clock().now()};
    for (std::uint64_t first = 0; first < events_held; first += batch_events) {
      const auto lines = make_lines({}, first, batch_events);
      auto batch = trail.service().ingest().prepare(lines, audit::BodyForm::ndjson, context);
      if (!batch) give_up(batch.error().message);
      for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1)
        material.lines.push_back(lines.substr(at, lines.find('\n', at) - at));
      for (auto& item : batch->items) material.entries.push_back(std::move(item.draft.bytes));
    }
  }
  std::filesystem::remove_all(directory);
  for (std::size_t i = 0; i < material.entries.size(); ++i) {
    if (material.frames.empty() || material.frames.back().size() > frame_bytes)
      material.frames.emplace_back();
    material.frames.back() += material.entries[i];
    if (i % trail::page_rows == 0) material.pages.emplace_back();
    material.pages.back() += rest_of(material.entries[i]);
  }
  for (const auto& page : material.pages) material.packed.push_back(compressed(page));
  return material;
}

// One step over all events, again and again; `bytes` are what it works on each time.
void measure(std::string_view step, std::uint64_t bytes, const std::function<void()>& once) {
  once();  // warms up
  int rounds = 0;
  const auto wall = wall_seconds();
  const auto cpu = cpu_seconds();
  do {
    once();
    ++rounds;
  } while (wall_seconds() - wall < seconds_min);
  const auto events = static_cast<double>(events_held) * rounds;
  Line("bare")
      .text("step", step)
      .number("microseconds", (cpu_seconds() - cpu) * 1e6 / events)
      .number("wallMicroseconds", (wall_seconds() - wall) * 1e6 / events)
      .number("bytesPerEvent", static_cast<double>(bytes) / static_cast<double>(events_held));
}

std::uint64_t total(const std::vector<std::string>& texts) {
  std::uint64_t bytes = 0;
  for (const auto& text : texts) bytes += text.size();
  return bytes;
}

void measure_hashes(const Material& material) {
  const crypto::HmacKey key(view("a key of a benchmark"));
  Hash last{};
  // The content, so that an id that comes again can be compared; the leaf of the tree; the frame of the log.
  measure("hash", 2 * total(material.entries) + total(material.frames), [&] {
    for (const auto& entry : material.entries) last = key.mac(view(entry));
    for (const auto& entry : material.entries) {
      constexpr std::uint8_t leaf = 0;
      last = crypto::sha256({ByteView(&leaf, 1), view(entry)});
    }
    for (const auto& frame : material.frames) last = crypto::sha256(view(frame));
  });
  if (last == Hash{}) give_up("a hash of zeros");  // and the compiler may not leave it out
}

void measure_writes(const Material& material, const std::string& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0) give_up("cannot write " + file);
  // Frame by frame, each synced, over a file that has its size already, as the log has; pages at the end.
  measure("write", total(material.frames) + total(material.packed), [&] {
    off_t at = 0;
    const auto write = [&](const std::string& bytes) {
      if (::pwrite(descriptor, bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size()))
        give_up("cannot write " + file);
      at += static_cast<off_t>(bytes.size());
    };
    for (const auto& frame : material.frames) {
      write(frame);
      if (::fdatasync(descriptor) != 0) give_up("cannot sync " + file);
    }
    for (const auto& page : material.packed) write(page);
    if (::fdatasync(descriptor) != 0) give_up("cannot sync " + file);
  });
  ::close(descriptor);
  std::filesystem::remove(file);
}

void run(const std::string& directory) {
  const auto material = make_material(directory);
  std::string made;
  measure("make", total(material.lines), [&] { made = make_lines({}, 0, events_held); });
  json::Parser parser;
  json::Document document;
  measure("parse", total(material.lines), [&] {
    for (const auto& line : material.lines)
      if (!parser.parse(line, document)) give_up("an event does not parse");
  });
  measure_hashes(material);
  crypto::Aead aead(Key{});
  Bytes sealed;
  std::uint64_t counter = 0;
  measure("encrypt", total(material.frames) + total(material.packed), [&] {
    for (const auto* texts : {&material.frames, &material.packed})
      for (const auto& text : *texts) {
        sealed.resize(text.size() + crypto::tag_bytes);
        aead.seal(crypto::counter_nonce(1, counter++), {}, view(text), sealed);
      }
  });
  measure("compress", total(material.pages), [&] {
    for (const auto& page : material.pages) compressed(page);
  });
  const audit::EntryTokeniser tokeniser;
  std::vector<trail::Token> tokens;
  measure("tokenise", total(material.entries), [&] {
    for (const auto& entry : material.entries) {
      tokens.clear();
      tokeniser.describe(entry, tokens);
    }
  });
  measure_writes(material, directory + ".written");
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  CLI::App app("What parsing, hashing, encrypting, compressing, tokenising and writing cost by themselves.");
  std::string directory;
  app.add_option("--directory", directory, "an empty folder; it is removed again")->required();
  CLI11_PARSE(app, argc, argv);
  vestige::bench::run(directory);
  return 0;
}
