// A memory store that can be told to fail, or to wait, at a call.
#ifndef QLARANK_TESTS_TESTING_FAULTY_STATE_STORE_H_
#define QLARANK_TESTS_TESTING_FAULTY_STATE_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "state_store/log_walk.h"
#include "state_store/memory_state_store.h"
#include "state_store/state_store.h"

namespace qlarank::testing {

class FaultyStateStore final : public StateStore {
 public:
  // Called before the method of the same name; an error is returned instead of
  // calling it. Set them before the store is shared.
  std::function<absl::Status(absl::Span<const UserAppend>)> before_append;
  std::function<absl::Status()> before_append_entries;
  // An error that is returned although the entries are there.
  std::function<absl::Status()> after_append_entries;
  std::function<absl::Status(absl::string_view source)> before_mark;
  std::function<absl::Status(absl::string_view name)> before_get_mark;
  // An error for a user whose head is damaged, or OK.
  std::function<absl::Status(absl::string_view user_id)> before_get_head;
  std::function<void()> after_read_events;
  // Before each user that ForEachUser visits, whose head was read by then.
  std::function<void(absl::string_view user_id)> before_visit;
  std::function<void()> before_put_snapshots;
  std::function<void()> before_get_snapshot;
  // Spoils a snapshot on its way back.
  std::function<void(Snapshot&)> spoil_snapshot;
  // What copies do; UNIMPLEMENTED without, as of a store in memory.
  std::function<absl::Status(const std::string& path)> checkpoint;
  std::function<absl::StatusOr<BackupInfo>(const std::string& folder,
                                           uint32_t keep)>
      backup;

  uint32_t num_partitions() const override { return base_.num_partitions(); }
  using StateStore::AppendEvents;
  absl::Status AppendEvents(absl::Span<const UserAppend> appends,
                            absl::Span<const Mark> marks) override {
    if (before_append != nullptr) {
      if (absl::Status status = before_append(appends); !status.ok()) {
        return status;
      }
    }
    return base_.AppendEvents(appends, marks);
  }
  absl::StatusOr<std::optional<std::string>> GetMark(
      absl::string_view name) const override {
    if (before_get_mark != nullptr) {
      if (absl::Status status = before_get_mark(name); !status.ok()) {
        return status;
      }
    }
    return base_.GetMark(name);
  }
  absl::StatusOr<std::vector<Mark>> ListMarks() const override {
    return base_.ListMarks();
  }
  absl::StatusOr<UserHead> GetHead(absl::string_view user_id) const override {
    if (before_get_head != nullptr) {
      if (absl::Status status = before_get_head(user_id); !status.ok()) {
        return status;
      }
    }
    return base_.GetHead(user_id);
  }
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(
      absl::string_view user_id, uint64_t from_sequence,
      size_t limit) const override {
    auto events = base_.ReadEvents(user_id, from_sequence, limit);
    if (after_read_events != nullptr) after_read_events();
    return events;
  }
  absl::Status ForEachUser(
      absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
          visit) const override {
    return base_.ForEachUser(
        [&](absl::string_view user_id, const UserHead& head) {
          if (before_visit != nullptr) before_visit(user_id);
          return visit(user_id, head);
        });
  }
  absl::StatusOr<std::unique_ptr<LogWalk>> WalkLogs(
      absl::string_view from_user) const override {
    return base_.WalkLogs(from_user);
  }
  absl::StatusOr<uint32_t> PutSchema(
      const std::vector<std::string>& event_features) override {
    return base_.PutSchema(event_features);
  }
  absl::StatusOr<std::vector<std::vector<std::string>>> ListSchemas()
      const override {
    return base_.ListSchemas();
  }
  absl::Status OpenFingerprint(absl::string_view fingerprint) override {
    return base_.OpenFingerprint(fingerprint);
  }
  absl::Status DropFingerprint(absl::string_view fingerprint) override {
    return base_.DropFingerprint(fingerprint);
  }
  absl::StatusOr<std::vector<std::string>> ListFingerprints() const override {
    return base_.ListFingerprints();
  }
  std::vector<StatesSize> MeasureStates() const override {
    return base_.MeasureStates();
  }
  absl::StatusOr<size_t> PutSnapshots(
      absl::string_view fingerprint,
      absl::Span<const UserSnapshot> snapshots) override {
    if (before_put_snapshots != nullptr) before_put_snapshots();
    return base_.PutSnapshots(fingerprint, snapshots);
  }
  absl::StatusOr<std::optional<Snapshot>> GetSnapshot(
      absl::string_view fingerprint, absl::string_view user_id) const override {
    if (before_get_snapshot != nullptr) before_get_snapshot();
    auto snapshot = base_.GetSnapshot(fingerprint, user_id);
    if (spoil_snapshot != nullptr && snapshot.ok() && snapshot->has_value()) {
      spoil_snapshot(**snapshot);
    }
    return snapshot;
  }
  absl::StatusOr<PublishedState> ReadPublished(
      absl::string_view fingerprint, absl::string_view user_id,
      const HeldState* held, size_t limit) const override {
    if (before_get_head != nullptr) {
      if (absl::Status status = before_get_head(user_id); !status.ok()) {
        return status;
      }
    }
    auto published = base_.ReadPublished(fingerprint, user_id, held, limit);
    if (spoil_snapshot != nullptr && published.ok() &&
        published->snapshot.ok() && published->snapshot->has_value()) {
      spoil_snapshot(**published->snapshot);
    }
    if (limit > 0 && after_read_events != nullptr) after_read_events();
    return published;
  }
  absl::Status PutSourceMark(absl::string_view source,
                             const SourceMark& mark) override {
    if (before_mark != nullptr) {
      if (absl::Status status = before_mark(source); !status.ok()) {
        return status;
      }
    }
    return base_.PutSourceMark(source, mark);
  }
  absl::StatusOr<std::optional<SourceMark>> GetSourceMark(
      absl::string_view source) const override {
    return base_.GetSourceMark(source);
  }
  absl::Status ForEachSourceMark(
      absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
          visit) const override {
    return base_.ForEachSourceMark(visit);
  }
  using StateStore::DeleteUser;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id,
                                      const ErasureNote& note) override {
    return base_.DeleteUser(user_id, note);
  }
  absl::StatusOr<std::vector<Erasure>> ListErasures(
      absl::string_view user_id, size_t limit) const override {
    return base_.ListErasures(user_id, limit);
  }
  std::string DigestOfUser(absl::string_view user_id) const override {
    return base_.DigestOfUser(user_id);
  }
  using StateStore::PurgeErased;
  absl::StatusOr<uint64_t> PurgeErased(PurgePause pause) override {
    return base_.PurgeErased(pause);
  }
  absl::Status TrimLog(absl::string_view user_id, uint64_t first_kept,
                       absl::Span<const std::string> fingerprints) override {
    return base_.TrimLog(user_id, first_kept, fingerprints);
  }
  absl::Status AppendEntries(
      absl::Span<const CatalogueEntry> entries) override {
    absl::Status status;
    if (before_append_entries != nullptr) status = before_append_entries();
    if (status.ok()) status = base_.AppendEntries(entries);
    if (after_append_entries != nullptr) status.Update(after_append_entries());
    return status;
  }
  absl::StatusOr<std::vector<CatalogueEntry>> ReadEntries(
      uint64_t from_version, size_t limit) const override {
    return base_.ReadEntries(from_version, limit);
  }
  absl::StatusOr<uint64_t> NewestCatalogueVersion() const override {
    return base_.NewestCatalogueVersion();
  }
  absl::Status Flush() override { return base_.Flush(); }
  absl::Status WriteFault() const override { return base_.WriteFault(); }
  absl::Status Checkpoint(const std::string& path) override {
    return checkpoint != nullptr ? checkpoint(path) : base_.Checkpoint(path);
  }
  absl::StatusOr<BackupInfo> Backup(const std::string& folder,
                                    uint32_t keep) override {
    return backup != nullptr ? backup(folder, keep)
                             : base_.Backup(folder, keep);
  }
  std::map<std::string, double> Statistics() const override {
    return base_.Statistics();
  }

 private:
  MemoryStateStore base_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_FAULTY_STATE_STORE_H_
