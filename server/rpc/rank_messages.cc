#include "server/rpc/rank_messages.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/numeric/bits.h"

namespace qlarank {
namespace {

constexpr size_t kFirstBlockBytes = 64 << 10;

}  // namespace

class RankMessages::Pair final
    : public grpc::MessageHolder<v1::RankRequest, v1::RankResponse> {
 public:
  explicit Pair(RankMessages& owner) : owner_(owner) {
    NewArena(kFirstBlockBytes);
  }

  void Create() {
    using ::google::protobuf::Arena;
    set_request(Arena::CreateMessage<v1::RankRequest>(&*arena_));
    set_response(Arena::CreateMessage<v1::RankResponse>(&*arena_));
  }

  // gRPC has no use for the messages any more.
  void Release() override { owner_.Keep(std::unique_ptr<Pair>(this)); }

  // Forgets the messages; the next ones are likely to be as large.
  void Reset() {
    const size_t needed = std::min<size_t>(
        absl::bit_ceil<size_t>(arena_->SpaceAllocated()), kMaxBlockBytes);
    if (needed > block_bytes_) {
      NewArena(needed);
    } else {
      arena_->Reset();
    }
  }

 private:
  void NewArena(size_t bytes) {
    arena_.reset();
    // Not set to zeros, as make_unique would.
    block_.reset(new char[bytes]);
    block_bytes_ = bytes;
    google::protobuf::ArenaOptions options;
    options.initial_block = block_.get();
    options.initial_block_size = bytes;
    arena_.emplace(options);
  }

  RankMessages& owner_;
  size_t block_bytes_ = 0;
  std::unique_ptr<char[]> block_;
  std::optional<google::protobuf::Arena> arena_;  // in block_
};

RankMessages::RankMessages() { idle_.reserve(kMaxIdle); }

RankMessages::~RankMessages() = default;

grpc::MessageHolder<v1::RankRequest, v1::RankResponse>*
RankMessages::AllocateMessages() {
  std::unique_ptr<Pair> pair;
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      pair = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (pair == nullptr) pair = std::make_unique<Pair>(*this);
  pair->Create();
  return pair.release();  // comes back through Release
}

void RankMessages::Keep(std::unique_ptr<Pair> pair) {
  pair->Reset();
  absl::MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(pair));
}

size_t RankMessages::idle() const {
  absl::MutexLock lock(&mutex_);
  return idle_.size();
}

}  // namespace qlarank
