// One append on its way through the partitions.
//
// Each owner of one of its users settles its part; the last one to do so answers
// the caller. Thread-safe.
#ifndef QLARANK_SERVER_PARTITION_APPEND_CALL_H_
#define QLARANK_SERVER_PARTITION_APPEND_CALL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/models/registry.h"
#include "server/partition/append_result.h"
#include "server/partition/commit_group.h"

namespace qlarank {

class AppendCall {
 public:
  // Runs once, in an owner's turn: must not block.
  using Done = absl::AnyInvocable<void(AppendResult)>;

  // Who appends, and how long they wait for it.
  struct Caller {
    std::string client;  // whose share of the queues it takes
    // Set by any thread when nobody waits any more, at the deadline, too. Null:
    // never.
    const std::atomic<bool>* cancelled = nullptr;
    absl::Time deadline = absl::InfiniteFuture();  // tells one from the other
  };

  // Some of its events have left the queue of a partition. Several owners may
  // call it at once.
  using OnLeave = std::function<void(size_t partition, size_t num_events)>;

  // `request` passed CheckAppend and outlives the call of `done`, as does the
  // caller's flag. It is an append under `registry`. What became of some of its
  // events is known already; owners settle the others in `num_parts` (at least
  // 1) parts.
  AppendCall(const v1::AppendEventsRequest& request,
             std::shared_ptr<const Registry> registry, absl::Time arrival,
             Caller caller, AppendTally known, size_t num_parts,
             OnLeave on_leave, Done done)
      : request_(request),
        registry_(std::move(registry)),
        arrival_(arrival),
        caller_(std::move(caller)),
        on_leave_(std::move(on_leave)),
        parts_left_(num_parts),
        tally_(std::move(known)),
        done_(std::move(done)) {}

  const v1::AppendEventsRequest& request() const { return request_; }
  // What its events get of the models when they are accepted.
  EventStamp stamp() const {
    return {.default_action = registry_->vocabulary().default_action(),
            .schema = registry_->event_schema()};
  }
  absl::Time arrival() const { return arrival_; }

  // OK while somebody waits for it: what is not wanted any more need not be
  // written. The fence sees to it that leaving it out makes no gap.
  static absl::Status CheckWanted(const Caller& caller, absl::Time now) {
    if (caller.cancelled == nullptr ||
        !caller.cancelled->load(std::memory_order_relaxed)) {
      return absl::OkStatus();
    }
    if (caller.deadline <= now) {
      return absl::DeadlineExceededError(
          "the deadline passed before the events were written; send them "
          "again");
    }
    return absl::CancelledError(
        "cancelled before the events were written; send them again");
  }
  absl::Status CheckWanted(absl::Time now) const {
    return CheckWanted(caller_, now);
  }

  // So many of its events have left the queue of an owner.
  void LeftQueue(size_t owner, size_t num_events) {
    on_leave_(owner, num_events);
  }

  // What became of one part: its events are durable, or refused.
  void SettlePart(AppendTally tally) {
    {
      absl::MutexLock lock(&mutex_);
      tally_.Add(std::move(tally));
      if (--parts_left_ > 0) return;
    }
    // The last part: nobody else comes here any more.
    Answer();
  }

 private:
  void Answer() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    done_(MakeAppendResult(request_.events_size(), std::move(tally_)));
  }

  const v1::AppendEventsRequest& request_;
  const std::shared_ptr<const Registry> registry_;
  const absl::Time arrival_;
  const Caller caller_;
  const OnLeave on_leave_;

  absl::Mutex mutex_;
  size_t parts_left_ ABSL_GUARDED_BY(mutex_);
  AppendTally tally_ ABSL_GUARDED_BY(mutex_);
  Done done_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_APPEND_CALL_H_
