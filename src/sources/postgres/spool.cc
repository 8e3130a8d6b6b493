#include "sources/postgres/spool.h"

#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

Status see_all(ByteView chunk, const Spool::See& see) {
  ByteReader in(chunk);
  while (!in.at_end()) VESTIGE_CHECKED(see(in.sized()));
  return {};
}

}  // namespace

Spool::Spool(platform::FileSystem& files, platform::Entropy& entropy, std::string path)
    : files_(files), entropy_(entropy), path_(std::move(path)) {}

Spool::~Spool() {
  if (!file_) return;
  file_.reset();
  // What cannot be removed is removed by the next start; without its key it says nothing meanwhile.
  const auto removed = files_.remove(path_);
  static_cast<void>(removed);
}

Status Spool::add(ByteView message) {
  ByteWriter out(memory_);
  out.sized(message);
  ++messages_;
  const auto most = file_ ? limits::spool_chunk_bytes : limits::spool_memory_bytes_max;
  return memory_.size() < most ? Status{} : write_chunk();
}

Status Spool::write_chunk() {
  if (!file_) {
    VESTIGE_TRY(file_, files_.create(path_, platform::FileMode::secret));
    aead_ = std::make_unique<crypto::Aead>(entropy_.bytes<32>());
  }
  const auto offset = chunks_.empty() ? 0 : chunks_.back().offset + chunks_.back().bytes;
  const auto sealed = aead_->seal(crypto::counter_nonce(1, chunks_.size()), {}, memory_);
  VESTIGE_CHECKED(file_->write(offset, sealed));
  chunks_.push_back({offset, sealed.size()});
  memory_.clear();
  return {};
}

Result<Bytes> Spool::read_chunk(std::uint64_t number) {
  const auto& chunk = chunks_[number];
  Bytes sealed(chunk.bytes);
  VESTIGE_CHECKED(file_->read(chunk.offset, sealed));
  Bytes plain(sealed.size() - crypto::tag_bytes);
  if (!aead_->open(crypto::counter_nonce(1, number), {}, sealed, plain))
    return corrupt(path_, chunk.offset,
                   "what was written of a transaction that is under way reads differently");
  return plain;
}

Status Spool::read(const See& see) {
  for (std::uint64_t number = 0; number < chunks_.size(); ++number) {
    VESTIGE_TRY(const auto plain, read_chunk(number));
    VESTIGE_CHECKED(see_all(plain, see));
  }
  return see_all(memory_, see);
}

}  // namespace vestige::sources::postgres
