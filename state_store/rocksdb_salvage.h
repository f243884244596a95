// Copies what can be read of one open store into another, user by user:
// RepairStore's rules (store_repair.h). Private to the RocksDB implementation.
// Not thread-safe.
#ifndef QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_
#define QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "state_store/rocksdb_open.h"
#include "state_store/store_repair.h"

namespace qlarank::rocksdb_internal {

class Salvage {
 public:
  // `from` is open with kSalvage; `to` is empty and has its fingerprints. All
  // must outlive this.
  Salvage(const OpenedStore& from, OpenedStore& to,
          const StoreProblemSink& sink);

  // An error is one of writing `to`.
  absl::StatusOr<RepairTotals> Run();

 private:
  // What was found of a user's log.
  struct Log {
    bool whole = true;  // every event from the first on is there and good
    UserHead head;      // that of these events, but for the incarnation
  };

  // Records of erasures, the key of their digests, and marks of sources.
  absl::Status CopyErasuresAndMarks();
  void Report(absl::string_view column_family, absl::string_view what) const;
  absl::Status CopyUser();
  // `head` is that of the user; null when it is lost.
  absl::Status CopyLog(const UserHead* head, Log& log);
  // Takes up an event that was found.
  void NoteEvent(uint64_t sequence, absl::string_view key,
                 absl::string_view value, Log& log);
  void NoteLost(uint64_t first, uint64_t last, absl::string_view cause,
                Log& log);
  // The head that goes with a whole log.
  UserHead HeadOf(const Log& log);
  // Of a snapshot that says so; 0 when none does.
  uint64_t IncarnationOfSnapshots(uint64_t last_sequence) const;
  absl::Status CopySnapshots(const UserHead& head);

  absl::Status Put(const ColumnFamily& column_family, absl::string_view key,
                   absl::string_view value);
  absl::Status WriteBatch();

  const OpenedStore& from_;
  OpenedStore& to_;
  const StoreProblemSink& sink_;
  rocksdb::WriteOptions unlogged_;
  rocksdb::WriteBatch batch_;
  absl::BitGen random_;
  RepairTotals totals_;
  // The user at work on.
  std::string user_id_;
  std::string user_key_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_SALVAGE_H_
