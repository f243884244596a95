#include "server/rank/refusal_desk.h"

#include <algorithm>
#include <utility>

#include "server/work/steady_now.h"

namespace qlarank {

RefusalDesk::RefusalDesk(prometheus::Gauge& held)
    : gauge_(held), thread_([this] { Loop(); }) {}

RefusalDesk::~RefusalDesk() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

absl::Duration RefusalDesk::HoldFor(absl::Duration hint, absl::Duration left) {
  const absl::Duration most = std::max(
      left / 2, std::min(left * kMostOfTimeLeft, left - kLeftToCaller));
  return std::clamp(hint, absl::ZeroDuration(),
                    std::clamp(most, absl::ZeroDuration(), kLongest));
}

void RefusalDesk::Hold(absl::Duration time, size_t bytes, End end) {
  const absl::Duration due = SteadyNow() + time;
  {
    absl::MutexLock lock(&mutex_);
    if (held_.size() < kMaxHeld && bytes_ + bytes <= kMaxBytes && !stopping_) {
      held_.emplace(due, Held{bytes, std::move(end)});
      bytes_ += bytes;
      gauge_.Set(static_cast<double>(held_.size()));
      return;
    }
  }
  end();
}

size_t RefusalDesk::size() const {
  absl::MutexLock lock(&mutex_);
  return held_.size();
}

RefusalDesk::HeldByTime RefusalDesk::TakeDue() {
  const auto end =
      stopping_ ? held_.end() : held_.upper_bound(SteadyNow());
  HeldByTime due;
  while (held_.begin() != end) {
    bytes_ -= held_.begin()->second.bytes;
    due.insert(due.end(), held_.extract(held_.begin()));
  }
  gauge_.Set(static_cast<double>(held_.size()));
  return due;
}

void RefusalDesk::Loop() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !held_.empty() || stopping_;
  };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kTick);
    HeldByTime due = TakeDue();
    const bool last = stopping_;
    mutex_.Unlock();
    for (auto& [unused, held] : due) held.end();
    mutex_.Lock();
    if (last) return;
  }
}

}  // namespace qlarank
