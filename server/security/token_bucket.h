// So many at once, and so many a second after that. Thread-compatible.
#ifndef QLARANK_SERVER_SECURITY_TOKEN_BUCKET_H_
#define QLARANK_SERVER_SECURITY_TOKEN_BUCKET_H_

#include <algorithm>

#include "absl/time/time.h"

namespace qlarank {

class TokenBucket {
 public:
  // Full at first.
  TokenBucket(double per_second, double burst)
      : per_second_(per_second), burst_(burst), left_(burst) {}

  // Takes one, if there is one. `now` may be set back: then nothing is gained.
  bool Take(absl::Time now) {
    const double seconds = absl::ToDoubleSeconds(now - last_);
    last_ = now;
    if (seconds > 0) Add(seconds * per_second_);
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

  // As many more, if they find room.
  void Add(double tokens) { left_ = std::min(burst_, left_ + tokens); }

 private:
  const double per_second_;
  const double burst_;
  double left_;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_TOKEN_BUCKET_H_
