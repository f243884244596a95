// One append on its way through the ingest shards.
//
// Each shard that owns one of its users settles its part; the last one to do so
// answers the caller. Thread-safe.
#ifndef QLARANK_SERVER_PIPELINE_APPEND_CALL_H_
#define QLARANK_SERVER_PIPELINE_APPEND_CALL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

class AppendCall {
 public:
  // Runs once, on a shard's writer: must not block.
  using Done =
      absl::AnyInvocable<void(absl::StatusOr<v1::AppendEventsResponse>)>;

  // Who appends, and how long she waits for it.
  struct Caller {
    std::string client;  // whose share of the queues it takes
    // Set by any thread when nobody waits any more, at the deadline, too. Null:
    // never.
    const std::atomic<bool>* cancelled = nullptr;
    absl::Time deadline = absl::InfiniteFuture();  // tells one from the other
  };

  // `request` passed CheckAppend and outlives the call of `done`, as does the
  // caller's flag. An event without an action has `default_action`, which
  // outlives it too.
  AppendCall(const v1::AppendEventsRequest& request,
             absl::string_view default_action, absl::Time arrival,
             Caller caller, size_t num_parts, Done done)
      : request_(request),
        default_action_(default_action),
        arrival_(arrival),
        caller_(std::move(caller)),
        parts_left_(num_parts),
        done_(std::move(done)) {}

  const v1::AppendEventsRequest& request() const { return request_; }
  absl::string_view default_action() const { return default_action_; }
  absl::Time arrival() const { return arrival_; }
  const std::string& client() const { return caller_.client; }

  // OK while somebody waits for it: what was given up need not be written. A
  // caller sends it again before later events of these users, as after any
  // error, so that leaving it out makes no gap.
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

  // One part is durable (OK) or refused. The first error is the call's.
  void SettlePart(const absl::Status& status, uint64_t applied,
                  uint64_t duplicates) {
    {
      absl::MutexLock lock(&mutex_);
      status_.Update(status);
      response_.set_applied(response_.applied() + applied);
      response_.set_duplicates(response_.duplicates() + duplicates);
      if (--parts_left_ > 0) return;
    }
    // The last part: nobody else comes here any more.
    Answer();
  }

 private:
  void Answer() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (status_.ok()) {
      done_(std::move(response_));
    } else {
      done_(status_);
    }
  }

  const v1::AppendEventsRequest& request_;
  const absl::string_view default_action_;
  const absl::Time arrival_;
  const Caller caller_;

  absl::Mutex mutex_;
  size_t parts_left_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  v1::AppendEventsResponse response_ ABSL_GUARDED_BY(mutex_);
  Done done_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_APPEND_CALL_H_
