// Named places between the steps of what must survive a crash, at which a test
// has the process killed:
//
//   QLARANK_FAILPOINT("ingest.before_append");
//
//   QLARANK_FAILPOINT_KILL=ingest.before_append=3 qlarank_server ...
//
// dies by SIGKILL, as if by power or by the kernel, when it comes to that place
// for the third time. tests/crash tries all of them. A test in the same process
// may hold a thread there instead.
//
// Only where CMake's QLARANK_FAILPOINTS is on, as in the presets for testing; a
// release has no trace of them. Thread-safe.
#ifndef QLARANK_STATE_STORE_FAILPOINT_H_
#define QLARANK_STATE_STORE_FAILPOINT_H_

#ifdef QLARANK_FAILPOINTS

#include <functional>

#include "absl/strings/string_view.h"

#define QLARANK_FAILPOINT(name) ::qlarank::ReachFailpoint(name)

namespace qlarank {

// Does not return if this is the place, and the time, to die.
void ReachFailpoint(absl::string_view name);

// While it lives, every thread that comes to a failpoint calls this first. One at
// a time in a process; its end waits for those who are calling it.
class FailpointHook {
 public:
  explicit FailpointHook(std::function<void(absl::string_view name)> hook);
  ~FailpointHook();
  FailpointHook(const FailpointHook&) = delete;
  FailpointHook& operator=(const FailpointHook&) = delete;

 private:
  const std::function<void(absl::string_view name)> hook_;
};

}  // namespace qlarank

#else

#define QLARANK_FAILPOINT(name) static_cast<void>(0)

#endif  // QLARANK_FAILPOINTS

#endif  // QLARANK_STATE_STORE_FAILPOINT_H_
