// Events that are nearly in order of time, put in order.
//
// An event waits until one has come that is later than it by the window's
// width. So what comes that late or less goes out in order; what comes later
// still goes out at once. The order follows from what came and the width alone,
// not from when it came. Not thread-safe.
#ifndef QLARANK_CLI_TIME_WINDOW_H_
#define QLARANK_CLI_TIME_WINDOW_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/event_stream.h"

namespace qlarank {

class TimeWindow {
 public:
  static constexpr size_t kMaxEvents = 2'000'000;  // some 500 MB

  explicit TimeWindow(absl::Duration width, size_t max_events = kMaxEvents);

  // RESOURCE_EXHAUSTED when too many wait.
  absl::Status Add(EventStream::Item item);
  // No more will be added: nothing has to wait any more.
  void Close() { due_us_ = std::numeric_limits<int64_t>::max(); }
  bool empty() const { return heap_.empty(); }
  // The next event whose turn has come. Those of one time keep their order.
  std::optional<EventStream::Item> Next();

 private:
  struct Waiting {
    // Of two in a heap, the one that goes out later.
    bool operator<(const Waiting& other) const {
      return time_us != other.time_us ? time_us > other.time_us
                                      : arrival > other.arrival;
    }

    int64_t time_us;
    uint64_t arrival;
    EventStream::Item item;
  };

  const int64_t width_us_;
  const size_t max_events_;
  std::vector<Waiting> heap_;
  uint64_t arrivals_ = 0;
  // What is not later than that has waited long enough.
  int64_t due_us_ = std::numeric_limits<int64_t>::min();
};

}  // namespace qlarank

#endif  // QLARANK_CLI_TIME_WINDOW_H_
