// Making a whole store out of a damaged one.
#ifndef QLARANK_STATE_STORE_STORE_REPAIR_H_
#define QLARANK_STATE_STORE_STORE_REPAIR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "state_store/store_check.h"

namespace qlarank {

struct RepairTotals {
  uint64_t users = 0;
  uint64_t events = 0;     // copied, damaged ones too
  uint64_t snapshots = 0;  // copied
  // Snapshots left out: they are rebuilt from the log.
  uint64_t snapshots_dropped = 0;
  uint64_t heads_rebuilt = 0;
  // Users who stay damaged. The server answers DATA_LOSS for them wherever what
  // is lost is needed, until they are erased.
  uint64_t users_unrepaired = 0;
  // RocksDB's own files were damaged, or neither heads nor log could be read
  // throughout: users and newest events may be gone without being in any of
  // these numbers.
  bool may_be_incomplete = false;
};

// Copies all that can be read of the store at `damaged`, which nobody may have
// open and which is not changed, into a new store at `repaired`, where nothing
// may be. `sink` is told of everything that was not simply copied.
//
//   a healthy user       is copied byte for byte
//   a damaged snapshot   is left out, and so rebuilt from the log
//   a damaged head       is made anew of the events, when all of them are there
//   damaged events       cannot be repaired: what can be read of the user is
//                        copied as it is, so that the damage stays noticed. A
//                        snapshot beyond the damage goes on serving them
//
// Where RocksDB cannot open the store at all, its RepairDB works on a copy
// first (table files linked): then records that were only in the WAL of a
// column family without table files are lost.
//
// Needs the space of the store once more. Errors: NOT_FOUND, ALREADY_EXISTS,
// FAILED_PRECONDITION as VerifyStore, DATA_LOSS when nothing could be opened,
// UNAVAILABLE when the disk fails; nothing is at `repaired` then.
absl::StatusOr<RepairTotals> RepairStore(const std::string& damaged,
                                         const std::string& repaired,
                                         const StoreProblemSink& sink);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STORE_REPAIR_H_
