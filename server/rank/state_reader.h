// Brings one user's state to where a request needs it, in steps that each fold
// a bounded number of events: so a user with a long tail to replay does not
// hold a worker while others wait.
//
// What it folds is its own: it publishes nothing. The user's owner is asked to
// bring the state that is published up to date.
//
//   StateReader reader(memory, partitions, user_id, demand);
//   while (!reader.done()) reader.Step(scratch);    // each on any thread
//   reader.status(), reader.lookup()
//
// Not thread-safe: one step at a time.
#ifndef QLARANK_SERVER_RANK_STATE_READER_H_
#define QLARANK_SERVER_RANK_STATE_READER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/partition/partitions.h"
#include "server/states/user_memory.h"

namespace qlarank {

// How fresh the state must be. By default the newest one at hand is good
// enough: events acknowledged a moment ago may still wait to be folded.
struct StateDemand {
  uint64_t min_event_count = 0;
  // Events that may wait to be folded into it.
  std::optional<uint64_t> max_events_behind;
  // Of the newest event in the state by time, at `time_us`. A user without
  // events has no state that could be old.
  std::optional<absl::Duration> max_age;
  int64_t time_us = 0;
};

class StateReader {
 public:
  // Events folded by one step at most.
  static constexpr size_t kStepEvents = 256;

  // Memory and partitions must outlive the reader.
  StateReader(const UserMemory& memory, Partitions& partitions,
              std::string user_id, const StateDemand& demand)
      : memory_(memory),
        partitions_(partitions),
        user_id_(std::move(user_id)),
        demand_(demand) {}

  void Step(EngineScratch& scratch);
  bool done() const { return done_; }

  // FAILED_PRECONDITION  the log itself does not satisfy the demand
  // UNAVAILABLE          the store cannot be read, or the user is being erased
  // DATA_LOSS            a record of the log is damaged
  // INTERNAL             the events make a state that is not finite
  const absl::Status& status() const { return status_; }

  // REQUIRES: done() and OK.
  const UserMemory::Lookup& lookup() const { return lookup_; }

  // Events that it would have to fold yet to be up to date; 0 before the first
  // step.
  uint64_t events_behind() const { return lookup_.events_behind(); }
  // In place of further steps: has the owner fold what is missing.
  void LeaveToOwner();

 private:
  void Look();
  void Catch(EngineScratch& scratch);
  void Conclude();
  void Fail(absl::Status status);
  bool TooOld() const;
  bool TooFarBehind() const;

  const UserMemory& memory_;
  Partitions& partitions_;
  const std::string user_id_;
  const StateDemand demand_;

  bool looked_ = false;
  bool done_ = false;
  bool wanted_ = false;  // the owner should publish it, or what follows
  bool ahead_ = false;   // it is not what is published
  int erasures_ = 0;      // seen while reading
  absl::Status status_;
  UserMemory::Lookup lookup_;
};

// What the API says about a state.
v1::StateInfo DescribeState(const UserMemory::Lookup& lookup);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_STATE_READER_H_
