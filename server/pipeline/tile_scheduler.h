// Shares the scoring threads between all requests, one tile at a time.
//
// A job is a number of units (tiles) that may run side by side. Workers take
// the unit of the job whose turn it is: jobs with an earlier deadline first,
// and every unit already given to a job moves its turn back by what the unit
// costs. So a request of 80 tiles cannot stall one of a single tile that comes
// after it, which plain earliest-deadline-first would allow whenever both have
// the same time-out; and nobody starves.
//
// A job past its expiry is taken out of the queue at the next tile boundary of
// any worker, its units not yet begun dropped, and ended at once: that is when
// a caller who accepts a partial reply still gets it in time.
//
// Thread-safe. One lock is taken per unit, none within it.
#ifndef QLARANK_SERVER_PIPELINE_TILE_SCHEDULER_H_
#define QLARANK_SERVER_PIPELINE_TILE_SCHEDULER_H_

#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace qlarank {

class TileJob {
 public:
  virtual ~TileJob() = default;

  // Does unit `unit`. Called once for each unit that is not dropped, by any
  // worker, several at a time. `worker` is below TileScheduler::num_workers().
  virtual void RunUnit(size_t unit, size_t worker) = 0;

  // Called once, on a worker, when no unit runs any more and none will: all
  // are done, or the job expired and `dropped` of them were never begun. May
  // submit another job.
  virtual void Finish(size_t dropped, size_t worker) = 0;
};

class TileScheduler {
 public:
  // How far the turn of a job without a deadline, or with a distant one, lies
  // behind its arrival. Jobs within it are told apart by their deadlines.
  static constexpr absl::Duration kHorizon = absl::Milliseconds(50);

  // Starts `num_workers` (at least 1) threads.
  explicit TileScheduler(size_t num_workers);
  // Finishes what was submitted, then joins the threads. No job may be
  // submitted from outside once this has begun.
  ~TileScheduler();
  TileScheduler(const TileScheduler&) = delete;
  TileScheduler& operator=(const TileScheduler&) = delete;

  size_t num_workers() const { return num_workers_; }

  // Queues units 0 ... num_units - 1 (at least one) of `job`, which arrived at
  // `arrival`, is dropped at `expiry`, and is expected to spend `unit_cost` on
  // each. Does not block.
  void Submit(std::shared_ptr<TileJob> job, size_t num_units,
              absl::Time arrival, absl::Time expiry, absl::Duration unit_cost)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Units queued and not begun.
  size_t queued_units() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry;
  // Ordered by time, then by arrival, so that equal times stay apart.
  using Key = std::pair<std::pair<absl::Time, uint64_t>, Entry*>;

  void WorkerLoop(size_t worker) ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes `entry` out of the queue, dropping its units not begun.
  void Retire(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t num_workers_;
  mutable absl::Mutex mutex_;
  // Jobs with units not begun, by turn and by expiry.
  absl::btree_set<Key> by_turn_ ABSL_GUARDED_BY(mutex_);
  absl::btree_set<Key> by_expiry_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queued_units_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t open_jobs_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_TILE_SCHEDULER_H_
