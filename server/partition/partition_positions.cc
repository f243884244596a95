#include "server/partition/partition_positions.h"

#include "absl/strings/str_cat.h"
#include "state_store/partition_position.h"

namespace qlarank {

absl::Status PartitionPositions::Load(const EventLog& log) {
  for (size_t i = owner_; i < positions_.size(); i += num_owners_) {
    const std::string name = PositionMarkName(i, positions_.size());
    const auto mark = log.GetMark(name);
    if (!mark.ok()) return mark.status();
    if (!mark->has_value()) continue;
    const auto position = ParsePosition(**mark);
    if (!position.ok()) {
      return absl::Status(
          position.status().code(),
          absl::StrCat("mark \"", name, "\": ", position.status().message()));
    }
    positions_[i] = {*position, *position};
  }
  return absl::OkStatus();
}

std::vector<Mark> PartitionPositions::Changes() const {
  std::vector<Mark> marks;
  for (size_t i = owner_; i < positions_.size(); i += num_owners_) {
    const Position& position = positions_[i];
    if (position.next == position.kept) continue;
    marks.push_back(PositionMark(i, positions_.size(), position.next));
  }
  return marks;
}

void PartitionPositions::Keep() {
  for (Position& position : positions_) position.kept = position.next;
}

void PartitionPositions::TakeBack() {
  for (Position& position : positions_) position.next = position.kept;
}

}  // namespace qlarank
