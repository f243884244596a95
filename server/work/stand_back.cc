#include "server/work/stand_back.h"

#include <sys/resource.h>
#include <unistd.h>

#include <thread>

namespace qlarank {
namespace {

constexpr int kNicest = 19;

}  // namespace

void RunStandingBack(absl::FunctionRef<void()> work) {
  std::thread([&] {
    // Of this thread alone, as Linux has it; for good: to go back takes a
    // privilege.
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNicest);
    work();
  }).join();
}

}  // namespace qlarank
