#include "server/states/snapshot_writer.h"

#include <utility>

#include "state_store/failpoint.h"

namespace qlarank {

SnapshotWriter::SnapshotWriter(StateSnapshots& store, Metrics& metrics)
    : store_(store), metrics_(metrics), thread_([this] { Loop(); }) {}

SnapshotWriter::~SnapshotWriter() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void SnapshotWriter::Queue(const EnginePtr& engine, absl::string_view user_id,
                           const KnownState& known) {
  queue_.push_back({engine, std::string(user_id), known.incarnation,
                    known.state, known.newest_event_time_us});
  ++num_queued_;
}

bool SnapshotWriter::Offer(const EnginePtr& engine, absl::string_view user_id,
                           const KnownState& known) {
  absl::MutexLock lock(&mutex_);
  if (queue_.size() >= kMaxQueued) return false;
  Queue(engine, user_id, known);
  return true;
}

void SnapshotWriter::Put(const EnginePtr& engine, absl::string_view user_id,
                         const KnownState& known) {
  const auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.size() < kMaxQueued;
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&room));
  Queue(engine, user_id, known);
}

absl::Status SnapshotWriter::AwaitWritten() {
  absl::MutexLock lock(&mutex_);
  const uint64_t all = num_queued_;
  const auto written = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return num_written_ >= all;
  };
  mutex_.Await(absl::Condition(&written));
  return std::exchange(status_, absl::OkStatus());
}

std::vector<SnapshotWriter::Queued> SnapshotWriter::TakeBatch() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || stopping_;
  };
  std::vector<Queued> batch;
  absl::MutexLock lock(&mutex_, absl::Condition(&ready));
  while (!queue_.empty() && batch.size() < kMaxBatch &&
         (batch.empty() || queue_.front().engine == batch.front().engine)) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void SnapshotWriter::Loop() {
  while (true) {
    const std::vector<Queued> batch = TakeBatch();
    if (batch.empty()) return;
    const absl::Status status = Write(batch);
    absl::MutexLock lock(&mutex_);
    num_written_ += batch.size();
    status_.Update(status);
  }
}

absl::Status SnapshotWriter::Write(const std::vector<Queued>& batch) {
  const Engine& engine = *batch.front().engine;
  std::vector<UserSnapshot> snapshots;
  snapshots.reserve(batch.size());
  for (const Queued& queued : batch) {
    UserSnapshot& snapshot = snapshots.emplace_back();
    snapshot.user_id = queued.user_id;
    snapshot.snapshot.incarnation = queued.incarnation;
    snapshot.snapshot.folded_sequence = queued.state->event_count;
    snapshot.snapshot.newest_event_time_us = queued.newest_event_time_us;
    snapshot.snapshot.state = engine.SerializeState(*queued.state);
  }
  QLARANK_FAILPOINT("snapshot.before_write");
  const absl::StatusOr<size_t> refused =
      store_.PutSnapshots(engine.state_fingerprint(), snapshots);
  QLARANK_FAILPOINT("snapshot.written");
  if (!refused.ok()) return refused.status();
  metrics_.state.snapshots_written.Increment(
      static_cast<double>(batch.size() - *refused));
  return absl::OkStatus();
}

}  // namespace qlarank
