// The messages of Rank calls, each pair on an arena whose memory is used again
// by later calls: in steady state decoding and encoding allocate nothing.
//
//   ServeUnary("Rank", &RankService::Rank, &messages_);
//
// An arena's block grows to what its largest call needed, within a bound.
// Thread-safe. Must outlive the server that uses it.
#ifndef QLARANK_SERVER_RPC_RANK_MESSAGES_H_
#define QLARANK_SERVER_RPC_RANK_MESSAGES_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/message_allocator.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

class RankMessages final
    : public grpc::MessageAllocator<v1::RankRequest, v1::RankResponse> {
 public:
  // Memory kept for later calls: so many blocks of so many bytes at most. 512
  // KiB are enough for 20,000 candidates and their scores.
  static constexpr size_t kMaxIdle = 32;
  static constexpr size_t kMaxBlockBytes = size_t{512} << 10;

  RankMessages();
  // REQUIRES: all messages are released.
  ~RankMessages() override;

  // Empty messages, until they are released.
  grpc::MessageHolder<v1::RankRequest, v1::RankResponse>* AllocateMessages()
      override ABSL_LOCKS_EXCLUDED(mutex_);

  // Pairs kept for later calls.
  size_t idle() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Pair;

  void Keep(std::unique_ptr<Pair> pair) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<Pair>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_RANK_MESSAGES_H_
