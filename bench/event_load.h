// A client that sends random events through one StreamEvents call, as fast as
// they are acknowledged or at a rate.
//
// Batches of kBatchEvents, up to `window` of them not yet acknowledged. Not
// thread-safe; a thread of its own reads the acknowledgements.
#ifndef QLARANK_BENCH_EVENT_LOAD_H_
#define QLARANK_BENCH_EVENT_LOAD_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cli/client.h"

namespace qlarank::bench {

class EventLoad {
 public:
  static constexpr size_t kBatchEvents = 1'000;

  struct Shape {
    uint64_t users = 2'500;
    uint64_t items = 25'000;
  };

  // `client` must outlive the load.
  EventLoad(const Client& client, const Shape& shape, size_t window);
  ~EventLoad();

  // Sends num_events (rounded up to batches); returns once all are sent.
  absl::Status SendAll(uint64_t num_events);
  // Sends `events_per_second`, evenly, for `duration`. Falls behind, rather
  // than send less, when the server does.
  absl::Status SendAtRate(double events_per_second, absl::Duration duration);
  // Waits until all that was sent is acknowledged.
  absl::Status WaitAcknowledged();

  static std::string UserId(uint64_t user);

 private:
  absl::Status SendBatch() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReadLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until at most `batches` are not acknowledged, or the stream broke.
  absl::Status AwaitAtMost(size_t batches) ABSL_LOCKS_EXCLUDED(mutex_);

  const Shape shape_;
  const size_t window_;
  std::mt19937_64 random_{1};
  uint64_t sequence_ = 0;
  v1::StreamEventsRequest batch_;

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamEventsRequest,
                                           v1::StreamEventsResponse>>
      call_;
  absl::Mutex mutex_;
  size_t unacknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_EVENT_LOAD_H_
