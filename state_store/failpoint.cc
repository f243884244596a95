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

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

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

std::function<void(absl::string_view)>& Hook() {
  static auto& hook = *new std::function<void(absl::string_view)>();
  return hook;
}

}  // namespace

FailpointHook::FailpointHook(std::function<void(absl::string_view)> hook) {
  Hook() = std::move(hook);
}

FailpointHook::~FailpointHook() { Hook() = nullptr; }

void ReachFailpoint(absl::string_view name) {
  if (Hook() != nullptr) Hook()(name);
  static Armed armed;
  if (armed.name != name || --armed.hits_left != 0) return;
  kill(getpid(), SIGKILL);
  pause();  // until it has arrived
}

}  // namespace qlarank

#endif  // QLARANK_FAILPOINTS
