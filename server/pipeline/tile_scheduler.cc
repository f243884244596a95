#include "server/pipeline/tile_scheduler.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace qlarank {

struct TileScheduler::Entry {
  std::shared_ptr<TileJob> job;
  size_t num_units = 0;
  size_t next_unit = 0;  // the first one not begun
  size_t running = 0;
  size_t dropped = 0;
  absl::Duration unit_cost;
  absl::Time turn;
  absl::Time expiry;
  uint64_t ticket = 0;

  Key TurnKey() { return {{turn, ticket}, this}; }
  Key ExpiryKey() { return {{expiry, ticket}, this}; }
  bool ended() const { return running == 0 && next_unit == num_units; }
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
  entry->turn = std::min(expiry, arrival + kHorizon);
  entry->expiry = expiry;

  absl::MutexLock lock(&mutex_);
  entry->ticket = next_ticket_++;
  queued_units_ += num_units;
  ++open_jobs_;
  by_turn_.insert(entry->TurnKey());
  by_expiry_.insert(entry->ExpiryKey());
  entry.release();  // owned by the queue, deleted by the worker that ends it
}

size_t TileScheduler::queued_units() const {
  absl::MutexLock lock(&mutex_);
  return queued_units_;
}

void TileScheduler::Retire(Entry* entry) {
  by_turn_.erase(entry->TurnKey());
  by_expiry_.erase(entry->ExpiryKey());
  entry->dropped += entry->num_units - entry->next_unit;
  queued_units_ -= entry->num_units - entry->next_unit;
  entry->next_unit = entry->num_units;
}

void TileScheduler::WorkerLoop(size_t worker) {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !by_turn_.empty() || (stopping_ && open_jobs_ == 0);
  };
  mutex_.Lock();
  while (true) {
    mutex_.Await(absl::Condition(&has_work));
    if (by_turn_.empty()) break;  // stopping

    Entry* entry = by_expiry_.begin()->second;
    if (entry->expiry <= absl::Now()) {
      Retire(entry);
    } else {
      entry = by_turn_.begin()->second;
      by_turn_.erase(by_turn_.begin());
      const size_t unit = entry->next_unit++;
      --queued_units_;
      ++entry->running;
      // Twice the cost: while it has company, a long job gets at most every
      // second tile.
      entry->turn += 2 * entry->unit_cost;
      if (entry->next_unit < entry->num_units) {
        by_turn_.insert(entry->TurnKey());
      } else {
        by_expiry_.erase(entry->ExpiryKey());
      }
      mutex_.Unlock();
      entry->job->RunUnit(unit, worker);
      mutex_.Lock();
      --entry->running;
    }
    if (entry->ended()) {
      mutex_.Unlock();
      entry->job->Finish(entry->dropped, worker);
      delete entry;
      mutex_.Lock();
      --open_jobs_;
    }
  }
  mutex_.Unlock();
}

}  // namespace qlarank
