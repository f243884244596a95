// How gRPC's threads share the processors with the workers while a flood of
// requests is refused.
//
// A thread that has slept is given a processor at once, before the nicer
// workers, or else after a tile (give_way.h). For a small request among a few
// that is right. In a flood, most of what a refusal costs is waking up for it:
// so while refusals come thick, the threads that end them do not interrupt a
// worker (SCHED_BATCH, sched(7)), nor do workers step aside for them. They wait
// for the end of a time slice, some milliseconds, and find several requests to
// refuse. With a processor idle nobody waits.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PIPELINE_FLOOD_PATIENCE_H_
#define QLARANK_SERVER_PIPELINE_FLOOD_PATIENCE_H_

#include <sys/types.h>

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace qlarank {

class FloodPatience {
 public:
  // Refusals that are no further apart are a flood, which is over when none has
  // come for so long.
  static constexpr absl::Duration kFlood = absl::Milliseconds(10);
  static constexpr absl::Duration kCalm = absl::Milliseconds(100);

  // The calling thread has refused a request: in a flood it becomes patient,
  // unless somebody gave it a scheduling policy of its own. Returns whether
  // there is a flood.
  bool Refused(absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  // Any thread has let one pass: after a flood no thread is patient any more.
  // Returns whether there still is one.
  bool Passed(absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  absl::Time last_refusal_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool flood_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<pid_t> patient_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_FLOOD_PATIENCE_H_
