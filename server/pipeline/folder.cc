#include "server/pipeline/folder.h"

#include "absl/hash/hash.h"
#include "absl/time/clock.h"

namespace qlarank {

Folder::Folder(UserMemory& memory, Metrics& metrics, size_t num_threads) {
  for (size_t i = 0; i < num_threads; ++i) {
    lanes_.push_back(std::make_unique<FoldLane>(memory, metrics));
  }
}

Folder::~Folder() = default;

size_t Folder::LaneOf(absl::string_view user_id) const {
  // Another part of the hash than the one that picks the ingest shard, so that
  // each lane has users of every shard.
  return (absl::HashOf(user_id) >> 32) % lanes_.size();
}

void Folder::MarkDirty(absl::Span<const UserAppend> appends,
                       absl::Time arrival) {
  std::vector<std::vector<const UserAppend*>> by_lane(lanes_.size());
  for (const UserAppend& append : appends) {
    by_lane[LaneOf(append.user_id)].push_back(&append);
  }
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (!by_lane[i].empty()) lanes_[i]->MarkDirty(by_lane[i], arrival);
  }
}

void Folder::MarkDirty(absl::string_view user_id, absl::Time arrival) {
  lanes_[LaneOf(user_id)]->MarkDirty(user_id, arrival);
}

bool Folder::WaitIdle(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (const auto& lane : lanes_) {
    if (!lane->WaitIdle(deadline)) return false;
  }
  return true;
}

}  // namespace qlarank
