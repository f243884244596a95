// Where each partition of one owner stands: how many events were ever appended to
// it. From there come the incarnations of new users, so that a replay of the same
// events makes the same ones (state_store/partition_position.h).
//
//   PartitionPositions positions(owner, num_owners, num_partitions);
//   positions.Load(log);
//   const uint64_t before = positions.Next(partition);   // for each new event
//   committed = log.AppendEvents(appends, positions.Changes());
//   committed.ok() ? positions.Keep() : positions.TakeBack();
//
// Not thread-safe.
#ifndef QLARANK_SERVER_PARTITION_PARTITION_POSITIONS_H_
#define QLARANK_SERVER_PARTITION_PARTITION_POSITIONS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "state_store/event_log.h"
#include "state_store/partition_hash.h"

namespace qlarank {

class PartitionPositions {
 public:
  // Of `num_partitions` (of the store) those that are the owner's: one in
  // `num_owners`. REQUIRES: owner < num_owners.
  PartitionPositions(size_t owner, size_t num_owners, size_t num_partitions)
      : owner_(owner), num_owners_(num_owners), positions_(num_partitions) {}

  // Reads what the store has. DATA_LOSS for a damaged mark, UNAVAILABLE when it
  // cannot be read.
  absl::Status Load(const EventLog& log);

  size_t PartitionOfUser(absl::string_view user_id) const {
    return PartitionOf(user_id, positions_.size());
  }

  // Counts one more event; returns how many came before it.
  uint64_t Next(size_t partition) { return positions_[partition].next++; }

  // The marks of partitions that have had events since the last Keep.
  std::vector<Mark> Changes() const;
  // They are in the store.
  void Keep();
  // They are not, nor are the events.
  void TakeBack();

 private:
  struct Position {
    uint64_t kept = 0;
    uint64_t next = 0;
  };

  const size_t owner_;
  const size_t num_owners_;
  std::vector<Position> positions_;  // by partition, others' are 0
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_PARTITION_POSITIONS_H_
