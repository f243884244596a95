// Who may put events before the writers: unary appends and streams alike share
// the queues by client, as FairQuota says.
//
// A unary append that there is no room for is refused. A stream waits: what was
// read of it until there is room for that, and before that for some room to read
// into. Whoever waits is woken when room is given back; of one client in the
// order of their coming. One who has nothing before a writer may add more than
// is free, so that no batch is too large to be taken ever: by a batch at most.
//
// Thread-safe. Callbacks run on the thread that calls, or on one that gives room
// back; they may call this again.
#ifndef QLARANK_SERVER_INGEST_INGEST_ADMISSION_H_
#define QLARANK_SERVER_INGEST_INGEST_ADMISSION_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "server/work/fair_quota.h"

namespace qlarank {

class IngestAdmission {
 public:
  using Callback = absl::AnyInvocable<void()>;

  // `capacity` events before each of `num_owners` owners.
  IngestAdmission(size_t num_owners, size_t capacity);

  // Takes `amounts`, one for each owner, or nothing and returns false.
  bool TryTake(absl::string_view client, absl::Span<const size_t> amounts);

  // Takes `amounts` once there is room, then calls `taken`.
  void TakeWhenRoom(absl::string_view client, std::vector<size_t> amounts,
                    Callback taken) ABSL_LOCKS_EXCLUDED(mutex_);

  // Calls `ready` once the client may have some room before every owner.
  void WhenRoom(absl::string_view client, Callback ready)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives back what was taken, and wakes who waits for it.
  void Return(size_t owner, absl::string_view client, size_t amount)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether before some owner as much waits of the client as should.
  bool full(absl::string_view client) const;

 private:
  struct Waiter {
    std::vector<size_t> amounts;  // empty: for any room
    // Of `amounts`, taken so far. Owner by owner, in this order, so that nobody
    // holds room that another needs who holds room that this one needs.
    size_t next_owner = 0;
    Callback done;
  };

  // Goes on taking. True when all is there.
  bool Advance(absl::string_view client, Waiter& waiter);
  void Enter(absl::string_view client, Waiter waiter)
      ABSL_LOCKS_EXCLUDED(mutex_);

  std::vector<std::unique_ptr<FairQuota>> rooms_;  // by owner
  std::atomic<size_t> num_waiting_{0};

  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::deque<Waiter>> waiting_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_INGEST_INGEST_ADMISSION_H_
