// Work that nobody waits for, on threads that stand back behind all others.
//
// While other threads of the machine have something to do, such a thread gets a
// tenth of what one of them gets, and who serves takes the processor from it at
// once. So it must hold no lock that whoever serves may wait for: it would hold it
// for long. Beside busy processes what it does takes longer.
#ifndef QLARANK_SERVER_WORK_STAND_BACK_H_
#define QLARANK_SERVER_WORK_STAND_BACK_H_

#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

// A thread for many small pieces of work. Of one caller.
class StandBackThread {
 public:
  StandBackThread();
  ~StandBackThread();

  // Returns when the work is done there.
  void Run(absl::FunctionRef<void()> work);

 private:
  void Loop();

  absl::Mutex mutex_;
  // To be done, or null.
  const absl::FunctionRef<void()>* work_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// What `work` returns, or nothing; done once, on a thread of its own.
template <typename Work>
std::invoke_result_t<Work> StandingBack(Work work) {
  if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
    StandBackThread().Run(work);
  } else {
    std::optional<std::invoke_result_t<Work>> result;
    StandBackThread().Run([&] { result.emplace(work()); });
    return *std::move(result);
  }
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_STAND_BACK_H_
