// A StateStore that forgets everything when it is destroyed: for tests and for
// trying qlarank out. The same contract as the RocksDB one but for durability;
// one contract suite runs over both.
//
// Thread-safe, one lock for everything. Nothing blocks on input or output, and
// nothing fails but for what the contract refuses.
#ifndef QLARANK_STATE_STORE_MEMORY_STATE_STORE_H_
#define QLARANK_STATE_STORE_MEMORY_STATE_STORE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "state_store/state_store.h"
#include "state_store/user_digest.h"

namespace qlarank {

class MemoryStateStore final : public StateStore {
 public:
  // REQUIRES: 1 to kMaxPartitions partitions.
  explicit MemoryStateStore(uint32_t partitions = kDefaultPartitions)
      : num_partitions_(partitions) {}

  uint32_t num_partitions() const override { return num_partitions_; }
  using StateStore::AppendEvents;
  absl::Status AppendEvents(absl::Span<const UserAppend> appends,
                            absl::Span<const Mark> marks) override;
  absl::StatusOr<std::optional<std::string>> GetMark(
      absl::string_view name) const override;
  absl::StatusOr<std::vector<Mark>> ListMarks() const override;
  absl::StatusOr<UserHead> GetHead(absl::string_view user_id) const override;
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(
      absl::string_view user_id, uint64_t from_sequence,
      size_t limit) const override;
  absl::StatusOr<uint32_t> PutSchema(
      const std::vector<std::string>& event_features) override;
  absl::StatusOr<std::vector<std::vector<std::string>>> ListSchemas()
      const override;
  // Visits copies without holding the lock: `visit` may call the store.
  absl::Status ForEachUser(
      absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
          visit) const override;
  absl::StatusOr<std::unique_ptr<LogWalk>> WalkLogs(
      absl::string_view from_user) const override;
  absl::Status OpenFingerprint(absl::string_view fingerprint) override;
  absl::Status DropFingerprint(absl::string_view fingerprint) override;
  absl::StatusOr<std::vector<std::string>> ListFingerprints() const override;
  std::vector<StatesSize> MeasureStates() const override;
  absl::StatusOr<size_t> PutSnapshots(
      absl::string_view fingerprint,
      absl::Span<const UserSnapshot> snapshots) override;
  absl::StatusOr<std::optional<Snapshot>> GetSnapshot(
      absl::string_view fingerprint, absl::string_view user_id) const override;
  absl::StatusOr<PublishedState> ReadPublished(absl::string_view fingerprint,
                                               absl::string_view user_id,
                                               const HeldState* held,
                                               size_t limit) const override;
  absl::Status AppendEntries(
      absl::Span<const CatalogueEntry> entries) override;
  absl::StatusOr<std::vector<CatalogueEntry>> ReadEntries(
      uint64_t from_version, size_t limit) const override;
  absl::StatusOr<uint64_t> NewestCatalogueVersion() const override;
  absl::Status PutSourceMark(absl::string_view source,
                             const SourceMark& mark) override;
  absl::StatusOr<std::optional<SourceMark>> GetSourceMark(
      absl::string_view source) const override;
  absl::Status ForEachSourceMark(
      absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
          visit) const override;
  using StateStore::DeleteUser;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id,
                                      const ErasureNote& note) override;
  absl::StatusOr<std::vector<Erasure>> ListErasures(
      absl::string_view user_id, size_t limit) const override;
  std::string DigestOfUser(absl::string_view user_id) const override;
  using StateStore::PurgeErased;
  absl::StatusOr<uint64_t> PurgeErased(PurgePause pause) override;
  absl::Status TrimLog(absl::string_view user_id, uint64_t first_kept,
                       absl::Span<const std::string> fingerprints) override;
  absl::Status Flush() override;
  std::map<std::string, double> Statistics() const override;

 private:
  class Walk;

  struct User {
    UserHead head;
    std::vector<LoggedEvent> events;  // from head.first_sequence on
  };
  // At most `limit` events from `from_sequence` on.
  static absl::StatusOr<std::vector<LoggedEvent>> EventsOf(
      absl::string_view user_id, const User& user, uint64_t from_sequence,
      size_t limit);

  using SnapshotsByUser = absl::flat_hash_map<std::string, Snapshot>;

  const uint32_t num_partitions_;
  mutable absl::Mutex mutex_;
  uint64_t snapshots_refused_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, User> users_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SnapshotsByUser, std::less<>> snapshots_
      ABSL_GUARDED_BY(mutex_);  // by fingerprint
  std::map<std::string, SourceMark, std::less<>> source_marks_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string, std::less<>> marks_
      ABSL_GUARDED_BY(mutex_);  // by name
  std::vector<Erasure> erasures_ ABSL_GUARDED_BY(mutex_);
  std::vector<CatalogueEntry> catalogue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<std::string>> schemas_ ABSL_GUARDED_BY(mutex_);
  const std::string digest_key_ = NewDigestKey();
};

std::unique_ptr<StateStore> NewMemoryStateStore(
    uint32_t partitions = kDefaultPartitions);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_MEMORY_STATE_STORE_H_
