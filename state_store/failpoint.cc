#include "state_store/failpoint.h"

#ifdef QLARANK_FAILPOINTS

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {
namespace {

struct Armed {
  std::string name;  // empty: none
  std::atomic<int64_t> hits_left = 0;

  Armed() {
    const char* value = std::getenv("QLARANK_FAILPOINT_KILL");
    if (value == nullptr) return;
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(value, absl::MaxSplits('=', 1));
    int64_t hits = 1;
    if (!parts.second.empty() && !absl::SimpleAtoi(parts.second, &hits)) return;
    name = parts.first;
    hits_left = hits;
  }
};

// Threads of every kind come here, so also while a hook is put up or taken down.
class Hooked {
 public:
  void Set(const std::function<void(absl::string_view)>* hook) {
    const auto nobody_calls = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return calls_ == 0;
    };
    absl::MutexLock lock(&mutex_);
    hook_ = hook;
    mutex_.Await(absl::Condition(&nobody_calls));
  }

  void Call(absl::string_view name) {
    const std::function<void(absl::string_view)>* hook = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (hook_ == nullptr) return;
      hook = hook_;
      ++calls_;
    }
    (*hook)(name);
    absl::MutexLock lock(&mutex_);
    --calls_;
  }

 private:
  absl::Mutex mutex_;
  const std::function<void(absl::string_view)>* hook_
      ABSL_GUARDED_BY(mutex_) = nullptr;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

Hooked& AllHooked() {
  static auto& hooked = *new Hooked;
  return hooked;
}

}  // namespace

FailpointHook::FailpointHook(std::function<void(absl::string_view)> hook)
    : hook_(std::move(hook)) {
  AllHooked().Set(&hook_);
}

FailpointHook::~FailpointHook() { AllHooked().Set(nullptr); }

void ReachFailpoint(absl::string_view name) {
  AllHooked().Call(name);
  static Armed armed;
  if (armed.name != name || --armed.hits_left != 0) return;
  kill(getpid(), SIGKILL);
  pause();  // until it has arrived
}

}  // namespace qlarank

#endif  // QLARANK_FAILPOINTS
