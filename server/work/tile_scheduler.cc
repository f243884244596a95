#include "server/work/tile_scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/work/fair_clock.h"

namespace qlarank {
namespace {

// Clients remembered, whether or not they have a job.
constexpr size_t kMaxClients = 1024;

// A worker that stays busy says after so long which part of it it had a
// processor for: asking takes a system call, so not after every unit.
constexpr absl::Duration kReportEvery = absl::Milliseconds(1);

}  // namespace

struct TileScheduler::Entry {
  std::shared_ptr<TileJob> job;
  Client* client = nullptr;
  size_t num_units = 0;
  absl::Duration unit_cost;
  absl::Duration turn;  // in the client's clock's time
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
  bool GivenUp(absl::Time now) const {
    return expiry <= now || job->cancelled();
  }
};

struct TileScheduler::Client {
  // Jobs of which something could be begun, the next one last.
  std::vector<Entry*> queue;
  FairClock clock;         // among their jobs
  absl::Duration served;   // of the workers, in the time that clients share
  absl::Duration backlog;  // queued and not begun
  size_t open_jobs = 0;
};

TileScheduler::TileScheduler(size_t num_workers, WorkClock clock)
    : num_workers_(num_workers),
      clock_(std::move(clock)),
      share_(num_workers) {
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
                           absl::Duration unit_cost, absl::string_view client) {
  if (absl::ZeroDuration() < unit_cost && unit_cost * num_units <= kHandOver &&
      absl::Now() < expiry && RunHere(*job, num_units)) {
    return;
  }

  auto entry = std::make_unique<Entry>();
  entry->job = std::move(job);
  entry->num_units = num_units;
  entry->unit_cost = unit_cost;
  entry->expiry = expiry;
  const absl::Duration work = unit_cost * (num_units + 1);

  absl::MutexLock lock(&mutex_);
  entry->client = &ClientNamed(client);
  entry->ticket = next_ticket_++;
  entry->turn =
      entry->client->clock.Arrive(work) + std::min(expiry - arrival, kHorizon);
  entry->client->backlog += work;
  ++entry->client->open_jobs;
  backlog_ += work;
  ++open_jobs_;
  Enqueue(entry.release());  // deleted by the worker that ends it
}

bool TileScheduler::RunHere(TileJob& job, size_t num_units) {
  {
    absl::MutexLock lock(&mutex_);
    if (open_jobs_ > 0) return false;
    ++open_jobs_;
  }
  const size_t worker = num_workers_;
  const TileJob::Step step = job.Prepare(worker);
  const bool ends = step != TileJob::Step::kAgain;
  if (ends) {
    const size_t units = step == TileJob::Step::kReady ? num_units : 0;
    for (size_t unit = 0; unit < units; ++unit) job.RunUnit(unit, worker);
    job.Finish(num_units - units, worker);
  }
  absl::MutexLock lock(&mutex_);
  --open_jobs_;
  return ends;
}

TileScheduler::Client& TileScheduler::ClientNamed(absl::string_view name) {
  if (const auto found = clients_.find(name); found != clients_.end()) {
    return *found->second;
  }
  if (clients_.size() >= kMaxClients) {
    absl::erase_if(clients_, [](const auto& client) {
      return client.second->open_jobs == 0;
    });
  }
  return *(clients_[name] = std::make_unique<Client>());
}

bool TileScheduler::busy() const {
  absl::MutexLock lock(&mutex_);
  return open_jobs_ > 0;
}

absl::Duration TileScheduler::backlog() const {
  absl::MutexLock lock(&mutex_);
  return backlog_;
}

TileScheduler::Prediction TileScheduler::Predict(absl::string_view client,
                                                 absl::Duration work) const {
  absl::MutexLock lock(&mutex_);
  if (open_jobs_ == 0) return {true, absl::ZeroDuration()};
  // Of their own jobs, others get no more done than as much each as this one;
  // of other clients', no more than they do.
  absl::Duration own;
  const auto found = clients_.find(client);
  const Client* self = found == clients_.end() ? nullptr : found->second.get();
  if (self != nullptr) {
    own = std::min(self->backlog, work * static_cast<int64_t>(self->open_jobs));
  }
  absl::Duration ahead = own;
  for (const Client* other : waiting_) {
    if (other != self) ahead += std::min(other->backlog, own + work);
  }
  return {false, ahead};
}

void TileScheduler::Enqueue(Entry* entry) {
  const auto after = [](const Entry* a, const Entry* b) {
    return a->After(*b);
  };
  Client& client = *entry->client;
  if (client.queue.empty()) {
    // What they did not ask for is not owed to them.
    client.served = std::max(client.served, served_);
    waiting_.push_back(&client);
  }
  client.queue.insert(
      std::upper_bound(client.queue.begin(), client.queue.end(), entry, after),
      entry);
  next_expiry_ = std::min(next_expiry_, entry->expiry);
  // It may have been cancelled while it was in no queue to be looked through.
  if (entry->job->cancelled()) NoticeCancellation();
}

void TileScheduler::Dequeue(const Entry& entry) {
  Client& client = *entry.client;
  client.queue.erase(
      std::find(client.queue.rbegin(), client.queue.rend(), &entry).base() - 1);
  if (client.queue.empty()) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &client));
  }
}

TileScheduler::Client& TileScheduler::NextClient() {
  return **std::min_element(
      waiting_.begin(), waiting_.end(),
      [](const Client* a, const Client* b) { return a->served < b->served; });
}

TileScheduler::Entry* TileScheduler::TakeExpired() {
  // Asked for before the queues are looked through: what is cancelled after
  // that asks again.
  const bool cancellation = cancellation_.load(std::memory_order_relaxed) &&
                            cancellation_.exchange(false);
  if (!cancellation && next_expiry_ == absl::InfiniteFuture()) return nullptr;
  const absl::Time now = absl::Now();
  if (!cancellation && now < next_expiry_) return nullptr;
  next_expiry_ = absl::InfiniteFuture();
  Entry* expired = nullptr;
  for (const Client* client : waiting_) {
    for (Entry* entry : client->queue) {
      next_expiry_ = std::min(next_expiry_, entry->expiry);
      if (!entry->GivenUp(now)) continue;
      // There may be more of them.
      if (expired != nullptr) NoticeCancellation();
      expired = entry;
    }
  }
  if (expired == nullptr) return nullptr;
  Dequeue(*expired);
  DropUnits(*expired);
  return expired;
}

void TileScheduler::Charge(const Entry& entry, size_t units) {
  entry.client->clock.Advance(entry.unit_cost * units);
  entry.client->backlog -= entry.unit_cost * units;
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
  Dequeue(entry);
  ++entry.running;
  mutex_.Unlock();
  const TileJob::Step step = entry.job->Prepare(worker);
  mutex_.Lock();
  --entry.running;
  switch (step) {
    case TileJob::Step::kAgain:
      // More than was expected of it.
      entry.client->clock.Advance(entry.unit_cost);
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
  if (entry.next_unit == entry.num_units) Dequeue(entry);
  Charge(entry, 1);
  ++entry.running;
  mutex_.Unlock();
  entry.job->RunUnit(unit, worker);
  mutex_.Lock();
  --entry.running;
}

void TileScheduler::End(Entry* entry, size_t worker) {
  Client& client = *entry->client;
  mutex_.Unlock();
  entry->job->Finish(entry->dropped, worker);
  delete entry;
  mutex_.Lock();
  --open_jobs_;
  if (--client.open_jobs == 0) client.clock.Idle();
}

void TileScheduler::ObserveShare(Reading& begin) {
  const Reading now = ReadClocks();
  share_.Observe(now.steady, now.steady - begin.steady,
                 now.processor - begin.processor);
  begin = now;
}

void TileScheduler::WorkerLoop(size_t worker) {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !waiting_.empty() || (stopping_ && open_jobs_ == 0);
  };
  Reading begin = ReadClocks();
  mutex_.Lock();
  while (true) {
    if (waiting_.empty()) {
      ObserveShare(begin);
      mutex_.Await(absl::Condition(&has_work));
      if (waiting_.empty()) break;  // stopping
      begin = ReadClocks();
    }

    Entry* entry = TakeExpired();
    if (entry == nullptr) {
      Client& client = NextClient();
      entry = client.queue.back();
      served_ = std::max(served_, client.served);
      client.served += entry->unit_cost;
      if (entry->prepared) {
        RunUnit(*entry, worker);
      } else {
        Prepare(*entry, worker);
      }
    }
    if (entry->ended()) End(entry, worker);
    if (clock_.steady() - begin.steady >= kReportEvery) ObserveShare(begin);
  }
  mutex_.Unlock();
}

}  // namespace qlarank
