// How work that nobody waits for goes on beside what is being served: in pieces,
// for a share of a processor, and between requests.
//
//   BackgroundPace pace(0.5, busy, sleep);
//   while (...) {
//     ...                               // some 100 us, or a tile or two
//     if (!pace.Step()) return;         // rests, where it is time to
//   }
//
// After a piece it sleeps for as long as keeps its share; what it overslept it
// sleeps less the next time. Then it waits until nothing is being served, but for
// kPatience pieces at most: where there always is something, it still goes on
// with about a twentieth of a processor.
//
// It is made of sleep alone. What of the work holds no lock can beside that be
// done by a thread that stands back (stand_back.h).
//
// Of one thread.
#ifndef QLARANK_SERVER_WORK_BACKGROUND_PACE_H_
#define QLARANK_SERVER_WORK_BACKGROUND_PACE_H_

#include <functional>

#include "absl/time/time.h"
#include "server/work/steady_now.h"

namespace qlarank {

class BackgroundPace {
 public:
  // Whether something is being served now. From any thread, quickly.
  using Busy = std::function<bool()>;
  // Sleeps for so long; true, and at once, when there is no time to go on.
  using Sleep = std::function<bool(absl::Duration)>;
  using Clock = std::function<absl::Duration()>;

  // Work goes on for so long before anybody is looked for.
  static constexpr absl::Duration kPiece = absl::Microseconds(500);
  // Between two looks whether something is served.
  static constexpr absl::Duration kLook = absl::Microseconds(250);
  // It waits for its turn for so many times as long as it worked, and no longer
  // than this: work may itself have had to wait.
  static constexpr int kPatience = 20;
  static constexpr absl::Duration kLongestWait = absl::Milliseconds(50);

  // `processor_share` is above 0 and at most 1. A null `busy`: nothing ever is.
  BackgroundPace(double processor_share, Busy busy, Sleep sleep,
                 Clock clock = SteadyNow);

  // After a little work: returns at once, or rests. False when the work is to
  // end, by what `sleep` says.
  bool Step();

 private:
  // Both after so much work, and false when it is to end.
  bool Rest(absl::Duration worked);
  bool AwaitTurn(absl::Duration worked);

  const double share_;
  const Busy busy_;
  const Sleep sleep_;
  const Clock clock_;
  absl::Duration rested_;  // when it last had
  absl::Duration overslept_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_BACKGROUND_PACE_H_
