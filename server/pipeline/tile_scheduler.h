// Shares the scoring threads between all requests, one tile at a time.
//
// A job prepares itself, a step at a time, and is then a number of units
// (tiles) that may run side by side: alone, it has all the workers. Workers
// take the next step or unit of the job whose turn it is. Turns follow from
// when jobs would end if they shared the workers equally (FairClock), and from
// how near their deadlines are: among jobs of one size the earlier deadline
// comes first. So a request of 80 tiles does not stall one of a single tile,
// which plain earliest-deadline-first would allow whenever both have the same
// time-out; and nobody starves.
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
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/pipeline/fair_clock.h"

namespace qlarank {

// All methods are called on workers; `worker` is below
// TileScheduler::num_workers().
class TileJob {
 public:
  enum class Step {
    kAgain,  // Prepare has more to do
    kReady,  // the units may run
    kEnd,    // no unit is to run: they count as dropped
  };

  virtual ~TileJob() = default;

  // Does one step, of about a unit's cost, of what comes before the units.
  virtual Step Prepare(size_t worker) = 0;

  // Does unit `unit`. Called once for each unit that is not dropped, by any
  // worker, several at a time.
  virtual void RunUnit(size_t unit, size_t worker) = 0;

  // Called once, when nothing of the job runs any more and nothing will: all
  // units are done, or `dropped` of them were never begun.
  virtual void Finish(size_t dropped, size_t worker) = 0;
};

class TileScheduler {
 public:
  // Deadlines further away than this are all alike.
  static constexpr absl::Duration kHorizon = absl::Milliseconds(50);

  // Starts `num_workers` (at least 1) threads.
  explicit TileScheduler(size_t num_workers);
  // Finishes what was submitted, then joins the threads. No job may be
  // submitted once this has begun.
  ~TileScheduler();
  TileScheduler(const TileScheduler&) = delete;
  TileScheduler& operator=(const TileScheduler&) = delete;

  size_t num_workers() const { return num_workers_; }

  // Queues `job`: its preparation, then units 0 ... num_units - 1. It arrived
  // at `arrival`, is dropped at `expiry`, and is expected to spend `unit_cost`
  // on each unit and as much to prepare. Does not block.
  void Submit(std::shared_ptr<TileJob> job, size_t num_units,
              absl::Time arrival, absl::Time expiry, absl::Duration unit_cost)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // What everything that is queued and not begun is expected to cost.
  absl::Duration backlog() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry;

  void WorkerLoop(size_t worker) ABSL_LOCKS_EXCLUDED(mutex_);
  // Each releases the lock while the job is at work.
  void Prepare(Entry& entry, size_t worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunUnit(Entry& entry, size_t worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(Entry* entry, size_t worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Enqueue(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a job out of the queue that has expired, or returns null.
  Entry* TakeExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // So many steps or units of the entry are begun, or never will be.
  void Charge(const Entry& entry, size_t units)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropUnits(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t num_workers_;
  mutable absl::Mutex mutex_;
  // Jobs of which something could be begun, the next one last.
  std::vector<Entry*> queue_ ABSL_GUARDED_BY(mutex_);
  // No queued job expires before this.
  absl::Time next_expiry_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  FairClock clock_ ABSL_GUARDED_BY(mutex_);
  absl::Duration backlog_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t open_jobs_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_TILE_SCHEDULER_H_
