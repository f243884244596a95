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
// All that is among the jobs of one client. Between clients, the next unit is
// of the client who had the least of the workers since they have something
// queued (start-time fair queuing, Goyal, Vin and Cheng, SIGCOMM 1996): a
// thousand requests of one leave another their share.
//
// A job past its expiry, or cancelled, is taken out of the queue at the next
// tile boundary of any worker, its units not yet begun dropped, and ended at
// once: that is when a caller who accepts a partial reply still gets it in
// time, and when one who has gone away stops holding a place.
//
// A job that finds nothing before it and is expected to take no longer than to
// hand it to a worker is done where it is submitted.
//
// Thread-safe. One lock is taken per unit, none within it.
#ifndef QLARANK_SERVER_WORK_TILE_SCHEDULER_H_
#define QLARANK_SERVER_WORK_TILE_SCHEDULER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/work/processor_share.h"
#include "server/work/work_clock.h"

namespace qlarank {

// All methods but cancelled() are called on workers, or in Submit; `worker` is
// below TileScheduler::num_scratch(), and nobody else's meanwhile.
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

  // Whether nobody waits for it any more: then its units count as expired. From
  // any thread, under the scheduler's lock: no more than an atomic load.
  virtual bool cancelled() const { return false; }
};

class TileScheduler {
 public:
  // Deadlines further away than this are all alike.
  static constexpr absl::Duration kHorizon = absl::Milliseconds(50);

  // Waking up a worker takes 10 to 50 us and leaves it with cold caches. What
  // costs no more than this may as well be done by whoever has it.
  static constexpr absl::Duration kHandOver = absl::Microseconds(100);

  // Starts `num_workers` (at least 1) threads.
  explicit TileScheduler(size_t num_workers, WorkClock clock = {});
  // Finishes what was submitted, then joins the threads. No job may be
  // submitted once this has begun.
  ~TileScheduler();
  TileScheduler(const TileScheduler&) = delete;
  TileScheduler& operator=(const TileScheduler&) = delete;

  size_t num_workers() const { return num_workers_; }
  // How many jobs may be at work at once: the workers' and one in Submit.
  size_t num_scratch() const { return num_workers_ + 1; }

  // Queues `job`: its preparation, then units 0 ... num_units - 1. It arrived
  // at `arrival`, is dropped at `expiry`, and is expected to spend `unit_cost`
  // on each unit and as much to prepare; nothing is known if that is zero.
  // Does not wait for it, but does it, or begins to, where the units take no
  // longer than kHandOver and no other is at work or waits.
  void Submit(std::shared_ptr<TileJob> job, size_t num_units,
              absl::Time arrival, absl::Time expiry, absl::Duration unit_cost,
              absl::string_view client = "") ABSL_LOCKS_EXCLUDED(mutex_);

  // Some job's cancelled() has become true. Does not block.
  void NoticeCancellation() {
    cancellation_.store(true, std::memory_order_release);
  }

  // What jobs measure themselves by.
  const WorkClock& clock() const { return clock_; }

  // How many processors the workers have of late, when they want them: as many
  // as there are workers, or less beside other threads and processes.
  double processors() const {
    return static_cast<double>(num_workers_) * share_.At(clock_.steady());
  }

  // Whether some job is at work or waits.
  bool busy() const ABSL_LOCKS_EXCLUDED(mutex_);

  // What everything that is queued and not begun is expected to cost.
  absl::Duration backlog() const ABSL_LOCKS_EXCLUDED(mutex_);

  struct Prediction {
    bool alone = false;    // nothing is at work or waits
    absl::Duration ahead;  // of what waits, done before the job ends
  };
  // What a job that costs `work` would find if `client` submitted it now.
  Prediction Predict(absl::string_view client, absl::Duration work) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry;
  struct Client;

  // What a worker's clocks showed when it began something.
  struct Reading {
    absl::Duration steady, processor;
  };

  void WorkerLoop(size_t worker) ABSL_LOCKS_EXCLUDED(mutex_);
  // On the calling thread. False if the job is still to be queued: another is
  // open, or its preparation has more to do.
  bool RunHere(TileJob& job, size_t num_units) ABSL_LOCKS_EXCLUDED(mutex_);
  Reading ReadClocks() const {
    return {clock_.steady(), clock_.processor()};
  }
  // The worker has been busy since `begin`, which becomes now.
  void ObserveShare(Reading& begin);
  // Each releases the lock while the job is at work.
  void Prepare(Entry& entry, size_t worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunUnit(Entry& entry, size_t worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(Entry* entry, size_t worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Client& ClientNamed(absl::string_view name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The one who had the least. REQUIRES: something is queued.
  Client& NextClient() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the entry off the end of its client's queue.
  void Dequeue(const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a job out of the queue that has expired or was cancelled, or returns
  // null.
  Entry* TakeExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // So many steps or units of the entry are begun, or never will be.
  void Charge(const Entry& entry, size_t units)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropUnits(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t num_workers_;
  const WorkClock clock_;
  ProcessorShare share_;
  mutable absl::Mutex mutex_;
  // Their addresses stay. Some have no job any more.
  absl::flat_hash_map<std::string, std::unique_ptr<Client>> clients_
      ABSL_GUARDED_BY(mutex_);
  // Those with something queued.
  std::vector<Client*> waiting_ ABSL_GUARDED_BY(mutex_);
  // What the client whose turn it was last had had by then.
  absl::Duration served_ ABSL_GUARDED_BY(mutex_);
  // No queued job expires before this.
  absl::Time next_expiry_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  // Whether a queued job may have been cancelled.
  std::atomic<bool> cancellation_ = false;
  absl::Duration backlog_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t open_jobs_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_TILE_SCHEDULER_H_
