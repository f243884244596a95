// One mutex per user, out of a fixed number that all users share.
//
// Held around {compare the head's incarnation, publish a state or write a
// snapshot}, and around the erasure of a user: so nothing that was computed
// from an erased log comes back after it. Folding happens outside.
#ifndef QLARANK_SERVER_PIPELINE_USER_LOCKS_H_
#define QLARANK_SERVER_PIPELINE_USER_LOCKS_H_

#include <array>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class UserLocks {
 public:
  // Never hold two at once: they may be the same one.
  absl::Mutex& For(absl::string_view user_id) {
    return mutexes_[absl::HashOf(user_id) % kStripes];
  }

 private:
  static constexpr size_t kStripes = 256;

  std::array<absl::Mutex, kStripes> mutexes_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_USER_LOCKS_H_
