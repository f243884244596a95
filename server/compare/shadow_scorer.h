// Scores a sample of requests again, by the version that operators have set for
// that (ModelAdminService.SetShadow), and counts what it says differently.
//
// It comes after everything else: a request is here when its answer is on its
// way. One thread, which works for a share of one processor at most, a
// millisecond at a time, and never while a request waits for a worker. What it
// has no time for stays in the queue, and what that has no room for is dropped.
//
// The state is the version's own of the same events that the answer had seen:
// from what is published, if that is not further, else from the beginning. It is
// thrown away.
#ifndef QLARANK_SERVER_COMPARE_SHADOW_SCORER_H_
#define QLARANK_SERVER_COMPARE_SHADOW_SCORER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/compare/rescorer.h"
#include "server/metrics/shadow_metrics.h"
#include "server/models/model_registry.h"
#include "server/rank/shadow_queue.h"
#include "server/states/user_states.h"
#include "server/work/tile_scheduler.h"
#include "state_store/event_log.h"

namespace qlarank {

class ShadowScorer {
 public:
  // Of one processor.
  static constexpr double kProcessorShare = 0.25;
  // A request that needs more of them is not scored again: who has a state
  // under the version needs few.
  static constexpr uint64_t kMostEvents = 10'000;

  struct Parts {
    ShadowQueue& queue;
    const ModelRegistry& models;
    UserStates& states;
    const EventLog& log;
    const TileScheduler& scheduler;
    ShadowMetrics& metrics;
  };

  // All parts must outlive this.
  explicit ShadowScorer(const Parts& parts);
  // Gives up what waits.
  ~ShadowScorer();

 private:
  void Loop();
  Outcome Handle(const ShadowQueue::Task& task, const LoadedModelPtr& model);
  // Waits for its turn, and says whether the model is still served.
  bool MayGoOn(const LoadedModel& model);
  // False: the server stops.
  bool Sleep(absl::Duration time) {
    return !stop_.WaitForNotificationWithTimeout(time);
  }

  const Parts parts_;
  absl::Notification stop_;
  // The thread's. Of one model, until nothing waits.
  std::optional<Rescorer> rescorer_;
  absl::Time rested_;
  std::thread thread_;  // last: it uses what is above
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_COMPARE_SHADOW_SCORER_H_
