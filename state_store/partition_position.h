// How many events were ever appended to a partition, those of erased users too:
// a mark of the store, one a partition, written in the batch of the events that
// it counts.
//
// A user's incarnation is the position of their first event, plus 1. So no two
// lives in a partition have the same one, and who replays the same events in the
// same order gets the same, anywhere.
//
// The names and values are on disks: changing them needs a new store format
// version. Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_PARTITION_POSITION_H_
#define QLARANK_STATE_STORE_PARTITION_POSITION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "state_store/event_log.h"

namespace qlarank {

// "partition 3 of 16": whoever repairs a store whose format record is lost knows
// by it how users were divided.
inline std::string PositionMarkName(uint32_t partition, uint32_t partitions) {
  return absl::StrCat("partition ", partition, " of ", partitions);
}

struct PartitionName {
  uint32_t partition = 0;
  uint32_t partitions = 0;
};
// Of a mark that is a position; nullopt for the name of any other.
std::optional<PartitionName> ParsePositionMarkName(absl::string_view name);

// The position in decimal digits.
inline Mark PositionMark(uint32_t partition, uint32_t partitions,
                         uint64_t position) {
  return {PositionMarkName(partition, partitions), absl::StrCat(position)};
}

// DATA_LOSS for what PositionMark does not write.
absl::StatusOr<uint64_t> ParsePosition(absl::string_view value);

// The incarnation of a user whose first event comes after so many others.
inline uint64_t IncarnationAt(uint64_t position) { return position + 1; }

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_PARTITION_POSITION_H_
