// Work that nobody waits for, on threads that stand back behind all others.
//
// Such a thread has what others leave over (SCHED_IDLE): who serves finds its
// processor as free as if it were idle, and takes it at once. Where others leave
// next to nothing for a while, the work is done by another thread, which is
// nicer by 10 and so gets a tenth of what one of them gets, and goes on.
//
// Neither may hold a lock that whoever serves may wait for: it would hold it for
// long. Beside busy processes what they do takes longer.
#ifndef QLARANK_SERVER_WORK_STAND_BACK_H_
#define QLARANK_SERVER_WORK_STAND_BACK_H_

#include <functional>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/work/steady_now.h"

namespace qlarank {

// Threads for many small pieces of work, begun when they are first needed. Of
// one caller.
class StandBackThread {
 public:
  using Clock = std::function<absl::Duration()>;

  // A piece that took so long, and so many times the work that was in it, was
  // not let do it; then the nicer thread goes on for so long.
  static constexpr absl::Duration kLong = absl::Milliseconds(10);
  static constexpr int kPatience = 20;
  static constexpr absl::Duration kNicerFor = absl::Seconds(1);

  explicit StandBackThread(Clock clock = SteadyNow);

  // Returns when the work is done there.
  void Run(absl::FunctionRef<void()> work);

 private:
  enum class Policy { kIdle, kNicer };

  class Thread {
   public:
    explicit Thread(Policy policy);
    ~Thread();

    // Returns the processor's time that it took.
    absl::Duration Run(absl::FunctionRef<void()> work);

   private:
    void Loop(Policy policy);

    absl::Mutex mutex_;
    // To be done, or null.
    const absl::FunctionRef<void()>* work_ ABSL_GUARDED_BY(mutex_) = nullptr;
    absl::Duration took_ ABSL_GUARDED_BY(mutex_);
    bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
    std::thread thread_;
  };

  const Clock clock_;
  absl::Duration nicer_until_;
  std::optional<Thread> idle_, nicer_;
};

// For what is not cut into pieces: after this, `thread` knows whether others
// leave it anything.
void TryToStandBack(StandBackThread& thread);

// What `work` returns, or nothing; done once, on a thread of its own.
template <typename Work>
std::invoke_result_t<Work> StandingBack(Work work) {
  StandBackThread thread;
  TryToStandBack(thread);
  if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
    thread.Run(work);
  } else {
    std::optional<std::invoke_result_t<Work>> result;
    thread.Run([&] { result.emplace(work()); });
    return *std::move(result);
  }
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_STAND_BACK_H_
