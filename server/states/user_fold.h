// A user's state at a point of the log, and the next few events to fold into
// it: the one road from the log to a state, whether live, on catching up, after
// a crash or in a rebuild.
#ifndef QLARANK_SERVER_STATES_USER_FOLD_H_
#define QLARANK_SERVER_STATES_USER_FOLD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "model/user_state.h"
#include "server/models/event_features.h"
#include "server/states/kept_readings.h"
#include "server/states/kept_summary.h"
#include "state_store/state_store.h"

namespace qlarank {

// A user state and where it stands.
struct KnownState {
  std::shared_ptr<const UserState> state;
  // Of `state`; null for one that is not published, or of a model without seeds.
  std::shared_ptr<KeptSummary> summary;
  // Of `state`; null for one that is not published.
  std::shared_ptr<KeptReadings> readings;
  // Of the log that it is a fold of; 0 for a user without one.
  uint64_t incarnation = 0;
  // Sequence that the newest snapshot written holds; 0: none.
  uint64_t snapshot_sequence = 0;
  // Of the newest event in it by time, which need not be the one that came
  // last. 0 without events.
  int64_t newest_event_time_us = 0;
  // What was published before may have held so many events: until this one
  // does, it is not what a reader takes, who would see time go back.
  uint64_t reach = 0;

  // Sequence of the newest event in it: every event of the log is folded, in
  // order.
  uint64_t folded_sequence() const { return state->event_count; }
};

// Movable, so that folds of many users make one batch.
class UserFold {
 public:
  // `events` follow `before` in the log, whose newest sequence is
  // `log_sequence`. Actions and, by `features`, event features are looked up in
  // the bundle of `engine`, and items in its catalogue as it was when the event
  // was logged.
  UserFold(KnownState before, std::vector<LoggedEvent> events,
           uint64_t log_sequence, const Engine& engine,
           const EventFeatures& features);

  // Events to fold.
  size_t size() const { return events_.size(); }
  bool empty() const { return events_.empty(); }
  // Of these, how many have an action that the model does not know, and how
  // many lack an event feature that it has. Before and after Run.
  struct Gaps {
    uint64_t actions = 0, features = 0;
  };
  const Gaps& gaps() const { return gaps_; }
  // Whether there are any, after Run too: without, it is the state that was
  // read.
  bool had_events() const { return !logged_.empty(); }

  // Folds every one of `folds` in one batch. REQUIRES: `engine` made the
  // states, and is that of the constructor.
  static void Run(absl::Span<UserFold> folds, const Engine& engine,
                  EngineScratch& scratch);

  // Whether Run could fold. INTERNAL when a state came out that is not finite:
  // after() is still the one before.
  const absl::Status& status() const { return status_; }
  // The state after Run.
  const KnownState& after() const { return known_; }
  // Whether it holds every event that the log had.
  bool complete() const { return known_.folded_sequence() >= log_sequence_; }

 private:
  // Takes up the times of the events, before the state has them.
  void NoteTimes();

  KnownState known_;
  absl::Status status_;
  uint64_t log_sequence_;
  std::vector<LoggedEvent> logged_;  // owns the features of events_
  std::vector<ModelEvent> events_;
  Gaps gaps_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_USER_FOLD_H_
