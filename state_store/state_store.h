// What qlarank remembers of its users, as one store: their event log
// (event_log.h), snapshots of their states (state_snapshots.h), what readers take
// of both (published_states.h); of items, their catalogue's log
// (catalogue_log.h); and here what it takes to look after them. Whoever needs one
// of the four takes that.
//
// The store does not look into a state: it is opaque bytes under a header. It
// knows nothing of models but their fingerprints.
//
// Consistency and errors are those of EventLog.
#ifndef QLARANK_STATE_STORE_STATE_STORE_H_
#define QLARANK_STATE_STORE_STATE_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "state_store/catalogue_log.h"
#include "state_store/event_log.h"
#include "state_store/published_states.h"
#include "state_store/state_snapshots.h"

namespace qlarank {

// An erasure, without anything of the user's.
struct Erasure {
  std::string user_digest;  // DigestOfUser of their id
  ErasureNote note;
  uint64_t events = 0;
  // Nothing of theirs is in the store's files any more.
  bool purged = false;
};

// How far a source is complete: every event at or below it is in a log or given
// up, for all users.
struct SourceMark {
  uint64_t complete_through = 0;  // above 0
  std::string note;               // of who says so

  friend bool operator==(const SourceMark&, const SourceMark&) = default;
};

// One of the backups in a folder of backups.
struct BackupInfo {
  uint32_t id = 0;         // from 1, newer ones are greater
  int64_t time_us = 0;     // when it was made; whole seconds
  uint64_t bytes = 0;      // of the files it needs, shared ones counted
  uint64_t new_bytes = 0;  // of those that no older backup had; only of a new
                           // backup

  friend bool operator==(const BackupInfo&, const BackupInfo&) = default;
};

class StateStore : public EventLog,
                   public StateSnapshots,
                   public PublishedStates,
                   public CatalogueLog {
 public:
  // -- Marks of sources -----------------------------------------------------

  // Replaces the mark of a source. Blocks until it is durable.
  virtual absl::Status PutSourceMark(absl::string_view source,
                                     const SourceMark& mark) = 0;

  // nullopt when the source has none. DATA_LOSS for one that is damaged.
  virtual absl::StatusOr<std::optional<SourceMark>> GetSourceMark(
      absl::string_view source) const = 0;

  // Visits every mark, in no particular order. Damaged ones are skipped and
  // reported at the end: DATA_LOSS with their number and the first one's name.
  virtual absl::Status ForEachSourceMark(
      absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
          visit) const = 0;

  // -- Erasure and upkeep ---------------------------------------------------

  // At most `limit` erasures, the newest first; of one user only, unless
  // `user_id` is empty.
  virtual absl::StatusOr<std::vector<Erasure>> ListErasures(
      absl::string_view user_id, size_t limit) const = 0;

  // Of a user in ListErasures: 32 hexadecimal digits that do not tell who they
  // are without the store.
  virtual std::string DigestOfUser(absl::string_view user_id) const = 0;

  // Makes what was erased leave the store's files, copies elsewhere not: blocks
  // while it rewrites the table files that hold it, some tens of MB at a time,
  // each file at most once. Calls `pause` after each step with about as many
  // bytes as it rewrote; where that returns false, ends there, and the next
  // call goes on. Returns how many erasures were seen to.
  using PurgePause = absl::FunctionRef<bool(uint64_t bytes)>;
  virtual absl::StatusOr<uint64_t> PurgeErased(PurgePause pause) = 0;
  // As fast as the disk allows.
  absl::StatusOr<uint64_t> PurgeErased() {
    return PurgeErased([](uint64_t) { return true; });
  }

  // Makes everything written so far durable, snapshots too.
  virtual absl::Status Flush() = 0;

  // Why no write is taken now, UNAVAILABLE; OK while they are. Asks no disk.
  virtual absl::Status WriteFault() const { return absl::OkStatus(); }

  // -- Copies ---------------------------------------------------------------
  //
  // Both hold at least what was acknowledged before the call, and no append or
  // erasure in part; what is acknowledged meanwhile may be in them or not. They
  // may run beside everything else, but not beside each other. UNIMPLEMENTED
  // for a store without files.

  // Makes a store of its own at `path`: table files are hard links where the
  // file system allows it, the rest is copied. Whole or not there at all.
  // ALREADY_EXISTS when something is at `path`; NOT_FOUND when its parent
  // folder is not.
  virtual absl::Status Checkpoint(const std::string& path);

  // Adds a backup to `folder`, made when it is not there, copying only what
  // none of its backups has; then removes all but the newest `keep` (0: none)
  // and what only they needed. store_copies.h restores from it.
  virtual absl::StatusOr<BackupInfo> Backup(const std::string& folder,
                                            uint32_t keep);

  // The number of the format that its files have (store_format.h); 0 without
  // files.
  virtual uint32_t format() const { return 0; }

  // Figures for operators, by metric name without prefix (for instance
  // "block_cache_usage_bytes"). Cheap enough for every scrape.
  virtual std::map<std::string, double> Statistics() const = 0;
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STATE_STORE_H_
