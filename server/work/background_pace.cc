#include "server/work/background_pace.h"

#include <algorithm>
#include <utility>

namespace qlarank {

BackgroundPace::BackgroundPace(double processor_share, Busy busy, Sleep sleep,
                               Clock clock)
    : share_(processor_share),
      busy_(std::move(busy)),
      sleep_(std::move(sleep)),
      clock_(std::move(clock)),
      rested_(clock_()) {}

bool BackgroundPace::Step() {
  const absl::Duration worked = clock_() - rested_;
  if (worked < kPiece) return true;
  if (!Rest(worked) || !AwaitTurn(worked)) return false;
  rested_ = clock_();
  return true;
}

bool BackgroundPace::Rest(absl::Duration worked) {
  const absl::Duration due = worked * ((1 - share_) / share_) - overslept_;
  const absl::Duration begin = clock_();
  if (due > absl::ZeroDuration() && sleep_(due)) return false;
  // A machine that stood still for a while is not made up for.
  overslept_ = std::min(clock_() - begin - due, kPiece);
  return true;
}

bool BackgroundPace::AwaitTurn(absl::Duration worked) {
  const absl::Duration until =
      clock_() + std::min(worked * kPatience, kLongestWait);
  while (busy_ != nullptr && busy_() && clock_() < until) {
    if (sleep_(kLook)) return false;
  }
  return true;
}

}  // namespace qlarank
