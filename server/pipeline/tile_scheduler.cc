#include "server/pipeline/tile_scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/pipeline/give_way.h"

namespace qlarank {

struct TileScheduler::Entry {
  std::shared_ptr<TileJob> job;
  size_t num_units = 0;
  absl::Duration unit_cost;
  absl::Duration turn;  // in the clock's time
  absl::Time expiry;
  uint64_t ticket = 0;  // tells equal turns apart, by arrival

  bool prepared = false;
  size_t next_unit = 0;  // the first one not begun
  size_t running = 0;
  size_t dropped = 0;

  bool ended() const {
    return prepared && running == 0 && next_unit == num_units;
  }
  bool After(const Entry& other) const {
    return turn != other.turn ? turn > other.turn : ticket > other.ticket;
  }
};

TileScheduler::TileScheduler(size_t num_workers) : num_workers_(num_workers) {
  workers_.reserve(num_workers);
  for (size_t worker = 0; worker < num_workers; ++worker) {
    workers_.emplace_back([this, worker] { WorkerLoop(worker); });
  }
}

TileScheduler::~TileScheduler() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void TileScheduler::Submit(std::shared_ptr<TileJob> job, size_t num_units,
                           absl::Time arrival, absl::Time expiry,
                           absl::Duration unit_cost) {
  auto entry = std::make_unique<Entry>();
  entry->job = std::move(job);
  entry->num_units = num_units;
  entry->unit_cost = unit_cost;
  entry->expiry = expiry;
  const absl::Duration work = unit_cost * (num_units + 1);

  absl::MutexLock lock(&mutex_);
  entry->ticket = next_ticket_++;
  entry->turn = clock_.Arrive(work) + std::min(expiry - arrival, kHorizon);
  backlog_ += work;
  ++open_jobs_;
  Enqueue(entry.release());  // deleted by the worker that ends it
}

absl::Duration TileScheduler::backlog() const {
  absl::MutexLock lock(&mutex_);
  return backlog_;
}

void TileScheduler::Enqueue(Entry* entry) {
  const auto after = [](const Entry* a, const Entry* b) {
    return a->After(*b);
  };
  queue_.insert(std::upper_bound(queue_.begin(), queue_.end(), entry, after),
                entry);
  next_expiry_ = std::min(next_expiry_, entry->expiry);
}

TileScheduler::Entry* TileScheduler::TakeExpired() {
  if (next_expiry_ == absl::InfiniteFuture()) return nullptr;
  const absl::Time now = absl::Now();
  if (now < next_expiry_) return nullptr;
  next_expiry_ = absl::InfiniteFuture();
  auto expired = queue_.end();
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    next_expiry_ = std::min(next_expiry_, (*it)->expiry);
    if ((*it)->expiry <= now) expired = it;
  }
  if (expired == queue_.end()) return nullptr;
  Entry* const entry = *expired;
  queue_.erase(expired);
  DropUnits(*entry);
  return entry;
}

void TileScheduler::Charge(const Entry& entry, size_t units) {
  clock_.Advance(entry.unit_cost * units);
  backlog_ -= entry.unit_cost * units;
}

void TileScheduler::DropUnits(Entry& entry) {
  const size_t units = entry.num_units - entry.next_unit;
  Charge(entry, units + (entry.prepared ? 0 : 1));
  entry.prepared = true;
  entry.next_unit = entry.num_units;
  entry.dropped += units;
}

void TileScheduler::Prepare(Entry& entry, size_t worker) {
  queue_.pop_back();
  ++entry.running;
  mutex_.Unlock();
  const TileJob::Step step = entry.job->Prepare(worker);
  mutex_.Lock();
  --entry.running;
  switch (step) {
    case TileJob::Step::kAgain:
      // More than was expected of it.
      clock_.Advance(entry.unit_cost);
      entry.turn += entry.unit_cost;
      return Enqueue(&entry);
    case TileJob::Step::kReady:
      Charge(entry, 1);
      entry.prepared = true;
      if (entry.num_units > 0) Enqueue(&entry);
      return;
    case TileJob::Step::kEnd:
      return DropUnits(entry);
  }
}

void TileScheduler::RunUnit(Entry& entry, size_t worker) {
  const size_t unit = entry.next_unit++;
  if (entry.next_unit == entry.num_units) queue_.pop_back();
  Charge(entry, 1);
  ++entry.running;
  mutex_.Unlock();
  entry.job->RunUnit(unit, worker);
  mutex_.Lock();
  --entry.running;
}

void TileScheduler::End(Entry* entry, size_t worker) {
  mutex_.Unlock();
  entry->job->Finish(entry->dropped, worker);
  delete entry;
  mutex_.Lock();
  if (--open_jobs_ == 0) clock_.Idle();
}

void TileScheduler::WorkerLoop(size_t worker) {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || (stopping_ && open_jobs_ == 0);
  };
  GiveWay();
  mutex_.Lock();
  while (true) {
    mutex_.Await(absl::Condition(&has_work));
    if (queue_.empty()) break;  // stopping

    Entry* entry = TakeExpired();
    if (entry == nullptr) {
      entry = queue_.back();
      if (entry->prepared) {
        RunUnit(*entry, worker);
      } else {
        Prepare(*entry, worker);
      }
    }
    if (entry->ended()) End(entry, worker);
  }
  mutex_.Unlock();
}

}  // namespace qlarank
