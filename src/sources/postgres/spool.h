// One transaction's messages, in the order in which they came, until the transaction ends. A long one goes to
// a file. What is in it is the content of other people's tables, so it is encrypted with a key that is in
// memory alone: after a crash nobody can read it, and PostgreSQL sends the transaction again.
//
// Owner: Transactions, one for each transaction under way. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "platform/entropy.h"
#include "platform/files.h"

namespace vestige::sources::postgres {

class Spool {
 public:
  // `path` is made when it is needed, and removed with the spool.
  Spool(platform::FileSystem& files, platform::Entropy& entropy, std::string path);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  Status add(ByteView message);
  std::uint64_t size() const { return messages_; }
  // Every message, in order. May be called more than once; `see` must not add.
  using See = std::function<Status(ByteView message)>;
  Status read(const See& see);

 private:
  Status write_chunk();
  Result<Bytes> read_chunk(std::uint64_t number);

  platform::FileSystem& files_;
  platform::Entropy& entropy_;
  const std::string path_;
  std::uint64_t messages_ = 0;
  Bytes memory_;  // messages that are in no chunk yet, each behind its length
  std::unique_ptr<platform::File> file_;
  std::unique_ptr<crypto::Aead> aead_;
  struct Chunk {
    std::uint64_t offset;
    std::size_t bytes;  // with the tag
  };
  std::vector<Chunk> chunks_;
};

}  // namespace vestige::sources::postgres
