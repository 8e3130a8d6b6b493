// Defends: what Erlang wrote is read as what it was, compressed or not; whatever is cut off, put behind it or
// damaged gives a term or a reason; and what is only announced takes no memory.
#include "cli/import/internal/external_term.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "cli/import/testing/sources.h"
#include "cli/import/testing/terms.h"

namespace vestige::cli::importing {
namespace {

using testing::printed;
using testing::random_term;
using testing::TermWriter;

std::string reason_of(std::string_view bytes) {
  const auto term = decode_term(view(bytes));
  return term ? "read" : term.error().message;
}

std::string compressed(const std::string& written) {
  const auto plain = written.substr(1);
  std::string packed(::compressBound(plain.size()), '\0');
  uLongf size = packed.size();
  ::compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plain.data()),
             plain.size());
  std::string bytes = "\x83P";
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(plain.size() >> shift & 0xFF);
  return bytes + packed.substr(0, size);
}

TEST(ExternalTerms, WhatWasWrittenIsRead) {
  std::mt19937 random(11);
  for (int round = 0; round < 2'000 * testing::test_scale(); ++round) {
    const auto term = random_term(random, 4);
    const auto written = TermWriter::write(term);
    for (const auto& bytes : {written, compressed(written)}) {
      const auto read = decode_term(view(bytes));
      ASSERT_TRUE(read) << read.error().message << "\n" << printed(term);
      ASSERT_EQ(*read, term) << printed(*read) << "\n" << printed(term);
    }
  }
}

TEST(ExternalTerms, NothingLessAndNothingMore) {
  std::mt19937 random(12);
  for (int round = 0; round < 100 * testing::test_scale(); ++round) {
    const auto written = TermWriter::write(random_term(random, 3));
    for (const auto& bytes : {written, compressed(written)}) {
      for (std::size_t size = 0; size < std::min<std::size_t>(bytes.size(), 400); ++size)
        ASSERT_FALSE(decode_term(view(bytes).first(size))) << size << " of " << bytes.size();
      ASSERT_FALSE(decode_term(view(bytes + "x")));
      for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 400); ++i) {
        auto damaged = bytes;
        damaged[i] = static_cast<char>(random());
        if (const auto read = decode_term(view(damaged)); !read) ASSERT_NE(read.error().message, "");
      }
    }
  }
}

// Of the other witness: tests/vectors/exaudit_vectors.exs.
TEST(ExternalTerms, AsErlangWroteThem) {
  const auto vectors = testing::vectors();
  ASSERT_GE(vectors.root().find("terms").size(), 40U);
  for (const auto* list : {"terms", "patches"})
    for (std::size_t i = 0; i < vectors.root().find(list).size(); ++i) {
      const auto vector = vectors.root().find(list).at(i);
      const auto hex = vector.find(std::string_view(list) == "terms" ? "bytes" : "patch").string();
      const auto term = decode_term(from_hex(hex).value_or(Bytes()));
      ASSERT_TRUE(term) << hex << "\n" << term.error().message;
      EXPECT_EQ(printed(*term), vector.find("term").string());
    }
}

TEST(ExternalTerms, LimitsAreNamed) {
  const auto nested = [](std::uint32_t depth) {
    Term term = testing::list({});
    for (std::uint32_t i = 0; i < depth; ++i) term = testing::list({term});
    return TermWriter::write(term);
  };
  EXPECT_EQ(reason_of(nested(term_depth_max)), "read");
  EXPECT_EQ(reason_of(nested(term_depth_max + 1)), "the term has more levels than 256");

  const auto many = [](std::size_t count) {
    return TermWriter::write(testing::list(std::vector<Term>(count)));
  };
  EXPECT_EQ(reason_of(many(term_elements_max - 1)), "read");
  EXPECT_EQ(reason_of(many(term_elements_max)), "the term has more elements than 1000000");
  // A list that is only announced.
  EXPECT_EQ(reason_of("\x83l\xff\xff\xff\xff"), "it ends in the middle of the term (byte 5 of 5)");

  const auto big = [](std::size_t bytes) {
    return std::string("\x83o\0\0", 4) + static_cast<char>(bytes >> 8) + static_cast<char>(bytes & 0xFF) +
           '\0' + std::string(bytes, '\x01');
  };
  EXPECT_EQ(reason_of(big(term_integer_bytes_max)), "read");
  EXPECT_EQ(reason_of(big(term_integer_bytes_max + 1)), "the term has a longer integer than 1024");
  EXPECT_EQ(reason_of(std::string("\x83P\x01\0\0\1", 6)), "the term has more bytes than 16777216");
  EXPECT_EQ(reason_of(std::string(term_bytes_max + 1, '\x83')), "the term has more bytes than 16777216");
}

TEST(ExternalTerms, WhatIsNoDataIsRefused) {
  EXPECT_EQ(reason_of(""), "it does not begin with the byte 131, as a term of Erlang does");
  EXPECT_EQ(reason_of("{}"), "it does not begin with the byte 131, as a term of Erlang does");
  EXPECT_EQ(reason_of("\x83X"), "there is a term of type 88, which is no data (byte 0 of 1)") << "a process";
  EXPECT_EQ(reason_of(std::string("\x83l\0\0\0\1a\1a\2", 10)), "a list does not end as a list (byte 8 of 9)");
  EXPECT_EQ(reason_of(std::string("\x83n\1\2\1", 5)),
            "the sign of an integer is neither 0 nor 1 (byte 4 of 4)");
  EXPECT_EQ(reason_of("\x83w\1\xff"), "an atom is not UTF-8 (byte 3 of 3)");
  EXPECT_EQ(reason_of(std::string("\x83"
                                  "F\x7f\xf0\0\0\0\0\0\0",
                                  10)),
            "a float is no number (byte 9 of 9)");
  EXPECT_EQ(reason_of("\x83"
                      "c1.5 and something that is none "),
            "a float is no number (byte 32 of 32)");
  EXPECT_EQ(reason_of(std::string("\x83P\0\0\0\1xxxx", 10)), "what is compressed in it is damaged");
}

}  // namespace
}  // namespace vestige::cli::importing
