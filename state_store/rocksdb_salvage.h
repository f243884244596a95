// Copies what can be read of one open store into another, user by user:
// RepairStore's rules (store_repair.h). Private to the RocksDB implementation.
// Not thread-safe.
#ifndef QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_
#define QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "state_store/partition_position.h"
#include "state_store/rocksdb_new_store.h"
#include "state_store/rocksdb_open.h"
#include "state_store/store_repair.h"

namespace qlarank::rocksdb_internal {

class Salvage {
 public:
  // `from` is open with kSalvage; `to` is empty, and like it. All must outlive
  // this.
  Salvage(const OpenedStore& from, NewStore& to,
          const StoreProblemSink& sink);

  // Everything is in `to`, durably, when it returns OK. An error is one of
  // writing it.
  absl::StatusOr<RepairTotals> Run();

 private:
  // What was found of a user's log.
  struct Log {
    bool whole = true;  // every event from the first on is there and good
    UserHead head;      // that of these events, but for the incarnation
  };

  // What is of no one user: marks, records of erasures and the key of their
  // digests, schemas.
  absl::Status CopyRecords();
  absl::Status CopyRecord(absl::string_view key, absl::string_view value);
  // One of nothing stands for an entry that is lost, so that the others keep
  // their versions.
  absl::Status CopyCatalogue();
  absl::Status LoseEntry(uint64_t version, absl::string_view why);
  // Takes up how many events there were in a partition.
  void NotePosition(const PartitionName& name, absl::string_view key,
                    absl::string_view value);
  // That of the partitions: what was found, or what their users need.
  absl::Status WritePositions();
  void Report(absl::string_view column_family, absl::string_view what) const;
  absl::Status CopyUser();
  // `head` is that of the user; null when it is lost.
  absl::Status CopyLog(const UserHead* head, Log& log);
  // Takes up an event that was found.
  void NoteEvent(uint64_t sequence, absl::string_view key,
                 absl::string_view value, Log& log);
  void NoteLost(uint64_t first, uint64_t last, absl::string_view cause,
                Log& log);
  // Sees to it that the user's partition has counted their events.
  void NoteUser(const UserHead& head);
  // The head that goes with a whole log.
  UserHead HeadOf(const Log& log);
  // Of a snapshot that says so; 0 when none does.
  uint64_t IncarnationOfSnapshots(uint64_t last_sequence) const;
  absl::Status CopySnapshots(const UserHead& head);

  const OpenedStore& from_;
  NewStore& to_;
  const StoreProblemSink& sink_;
  RepairTotals totals_;
  // Where a partition stands.
  struct Position {
    std::optional<uint64_t> found;  // of its mark
    uint64_t least = 0;             // by its users
  };
  std::vector<Position> positions_;  // by partition
  // Then rows that states name may be other items'.
  bool catalogue_lost_ = false;
  bool has_positions_ = false;       // there are marks of them, whole or not
  // The user at work on.
  std::string user_id_;
  std::string user_key_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_
