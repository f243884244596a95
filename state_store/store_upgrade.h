// Taking a store of an older format along.
#ifndef QLARANK_STATE_STORE_STORE_UPGRADE_H_
#define QLARANK_STATE_STORE_STORE_UPGRADE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "state_store/state_store.h"

namespace qlarank {

struct UpgradeTotals {
  uint32_t partitions = 0;
  uint64_t users = 0;
  uint64_t events = 0;
  uint64_t snapshots = 0;
  // Left out, since they are damaged, of an erased user, or of no use to their
  // log: the server rebuilds them from it.
  uint64_t snapshots_dropped = 0;
  uint64_t erasures = 0;  // records of them
  uint64_t source_marks = 0;
  uint64_t schemas = 0;
};

struct UpgradeOptions {
  uint32_t partitions = kDefaultPartitions;  // 1 to kMaxPartitions
  // Told every now and then how far it is. May be empty.
  std::function<void(const UpgradeTotals& so_far)> on_progress = nullptr;
};

// Writes all that is in the store at `from`, of format 1, which nobody may have
// open and which is not changed, into a new store of this format at `to`, where
// nothing may be. States keep their bytes. Incarnations are numbered as if the
// users had come one after another, in the order of their keys; an event without
// a schema gets the first, where there is one.
//
// Needs the space of the store once more. Errors: INVALID_ARGUMENT for the
// number of partitions; NOT_FOUND, ALREADY_EXISTS; FAILED_PRECONDITION when a
// process has it open, or it is not of format 1; DATA_LOSS when an event, a head
// or another record that cannot be rebuilt is damaged; UNAVAILABLE when the disk
// fails. Nothing is at `to` then.
absl::StatusOr<UpgradeTotals> UpgradeStore(const std::string& from,
                                           const std::string& to,
                                           const UpgradeOptions& options);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STORE_UPGRADE_H_
