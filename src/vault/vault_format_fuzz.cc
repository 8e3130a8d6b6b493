// Property: whatever bytes stand in a vault file or its decrypted content, decoding neither crashes nor reads
// out of bounds; and where it succeeds, encoding the result gives the same bytes.
#include "base/check.h"
#include "crypto/digest.h"
#include "vault/format.h"

namespace {

using namespace vestige;
using namespace vestige::vault;

// Gets past the digest, which no fuzzer would guess.
Bytes with_digest(ByteView content) {
  Bytes file(content.begin(), content.end());
  const auto digest = crypto::sha256(content);
  file.insert(file.end(), digest.begin(), digest.end());
  return file;
}

void check_files(ByteView input) {
  const Key key{};
  for (const auto& file : {Bytes(input.begin(), input.end()), with_digest(input)}) {
    for (const auto* name : {"top", "erased", "pages/00000000-0000000000000001.page"})
      if (const auto status = check_container(name, file); !status) CHECK(!status.error().message.empty());
    CHECK(!decode_top(file, key));
    CHECK(!decode_page(file, {{0, 1}, {}, 1}, key));
  }
}

void check_journal(ByteView input) {
  auto file = encode_journal_header({});
  Hash previous = load_le<Hash>(file.data() + 32);
  const Key key{};
  std::uint64_t number = 0;
  for (; input.size() >= 84; input = input.subspan(84)) {
    const ErasureRecord record{load_le<Hash>(input.data()), load_le<Hash>(input.data() + 32),
                               load_le<std::uint32_t>(input.data() + 64),
                               load_le<std::uint64_t>(input.data() + 68),
                               UnixMs{load_le<std::int64_t>(input.data() + 76)}};
    const auto bytes = encode_erasure(record, number++, {}, previous, key);
    file.insert(file.end(), bytes.begin(), bytes.end());
    previous = load_le<Hash>(bytes.data() + 128);
  }
  file.insert(file.end(), input.begin(), input.end());
  const auto journal = decode_journal(file);
  CHECK(journal && journal->records.size() == number && journal->left_over_bytes == input.size());
  CHECK(check_journal_macs(*journal, key).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_files(input);
      break;
    case 1:
      if (const auto top = decode_top_payload(input, 1'000))
        CHECK(std::ranges::equal(encode_top_payload(*top), input));
      break;
    case 2:
      if (const auto slots = decode_slots(input, "page"))
        CHECK(std::ranges::equal(encode_slots(*slots), input));
      break;
    default:
      check_journal(input);
  }
  return 0;
}
