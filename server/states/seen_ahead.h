// Of which users readers have seen more than is published: who needs more folds
// a copy of their own (state_reader.h), and whoever reads after them must not
// see less.
//
// An entry lives until the owner has published as much, which the reader asks
// for. Beyond kMaxUsers nothing is noted, and a state may seem to go back for a
// moment.
//
// Thread-safe.
#ifndef QLARANK_SERVER_STATES_SEEN_AHEAD_H_
#define QLARANK_SERVER_STATES_SEEN_AHEAD_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class SeenAhead {
  struct Seen {
    uint64_t incarnation;
    uint64_t sequence;
  };

 public:
  static constexpr size_t kMaxUsers = 100'000;

  // A reader has seen the events of the user through `sequence`. Before anybody
  // is told of it, and before the owner is asked to publish as much.
  void Note(absl::string_view user_id, uint64_t incarnation,
            uint64_t sequence) {
    if (size() >= kMaxUsers) return;
    Shard& shard = ShardOf(user_id);
    absl::MutexLock lock(&shard.mutex);
    const auto [user, inserted] = shard.users.try_emplace(user_id);
    if (inserted) size_.fetch_add(1, std::memory_order_release);
    for (Seen& seen : user->second) {
      if (seen.incarnation != incarnation) continue;
      seen.sequence = std::max(seen.sequence, sequence);
      return;
    }
    user->second.push_back({incarnation, sequence});
  }

  // Of a user: what somebody has seen that is not published. Look before looking
  // at what is published.
  class Ahead {
   public:
    // Of one life; 0: nothing.
    uint64_t Through(uint64_t incarnation) const {
      for (const Seen& seen : lives_) {
        if (seen.incarnation == incarnation) return seen.sequence;
      }
      return 0;
    }

   private:
    friend class SeenAhead;
    std::vector<Seen> lives_;
  };
  Ahead Find(absl::string_view user_id) const {
    Ahead ahead;
    if (size() == 0) return ahead;
    const Shard& shard = ShardOf(user_id);
    absl::MutexLock lock(&shard.mutex);
    const auto user = shard.users.find(user_id);
    if (user != shard.users.end()) ahead.lives_ = user->second;
    return ahead;
  }

  // The owner's, after it has published the user's present life through
  // `sequence`; incarnation 0: they have none.
  void Published(absl::string_view user_id, uint64_t incarnation,
                 uint64_t sequence) {
    if (size() == 0) return;
    Shard& shard = ShardOf(user_id);
    absl::MutexLock lock(&shard.mutex);
    const auto user = shard.users.find(user_id);
    if (user == shard.users.end()) return;
    std::erase_if(user->second, [&](const Seen& seen) {
      return seen.incarnation != incarnation || seen.sequence <= sequence;
    });
    if (!user->second.empty()) return;
    shard.users.erase(user);
    size_.fetch_sub(1, std::memory_order_release);
  }

  // Users with an entry.
  size_t size() const { return size_.load(std::memory_order_acquire); }

 private:
  struct Shard {
    mutable absl::Mutex mutex;
    // More than one only of who was erased while being read.
    absl::flat_hash_map<std::string, std::vector<Seen>> users
        ABSL_GUARDED_BY(mutex);
  };

  Shard& ShardOf(absl::string_view user_id) {
    return shards_[absl::HashOf(user_id) % shards_.size()];
  }
  const Shard& ShardOf(absl::string_view user_id) const {
    return shards_[absl::HashOf(user_id) % shards_.size()];
  }

  std::array<Shard, 16> shards_;
  std::atomic<size_t> size_{0};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_SEEN_AHEAD_H_
