// All users, divided among partitions by a hash of their ids, and these among
// owners (owner.h): owner i has every partition whose number is i, modulo the
// number of owners, and commits what comes to all of them in one batch.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PARTITION_PARTITIONS_H_
#define QLARANK_SERVER_PARTITION_PARTITIONS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/catalogue/live_catalogue.h"
#include "server/metrics/metrics.h"
#include "server/models/registry.h"
#include "server/partition/owner.h"
#include "server/partition/owner_pool.h"
#include "server/partition/source_marks.h"
#include "server/request_log/request_log.h"
#include "server/states/user_states.h"
#include "state_store/partition_hash.h"
#include "state_store/state_store.h"

namespace qlarank {

class Partitions {
 public:
  struct Options {
    size_t owners = 2;  // at most as many as the store has partitions
    size_t fold_threads = 1;  // that fold at a time
    size_t max_group_events = 4096;
    size_t max_sources_per_user = 64;
    // Whose version events are stamped with; must outlive the partitions. Null:
    // nothing was ever upserted.
    const LiveCatalogue* catalogue = nullptr;
    // Told who was erased; must outlive the partitions. Null: there is none.
    RequestLog* request_log = nullptr;
  };

  // Starts the owners' threads, which fold for the models of `registry`: one at
  // least, which stays. All but that must outlive the partitions. INVALID_ARGUMENT for more owners than
  // partitions; DATA_LOSS or UNAVAILABLE when marks cannot be read.
  static absl::StatusOr<std::unique_ptr<Partitions>> Create(
      StateStore& store, const Registry& registry, UserStates& states,
      Metrics& metrics, const Options& options);
  // Commits what is queued, then stops; what is not folded waits in the log.
  ~Partitions();

  size_t num_owners() const { return owners_.size(); }
  // The number of the owner of the user's partition.
  size_t OwnerNumber(absl::string_view user_id) const {
    return PartitionOf(user_id, num_partitions_) % num_owners();
  }
  Owner& owner(size_t number) { return *owners_[number]; }
  Owner& OwnerOf(absl::string_view user_id) {
    return owner(OwnerNumber(user_id));
  }

  SourceMarks& marks() { return marks_; }

  // Has every owner fold for a model from now on, or no more. Blocks until they
  // do. Readers may have its states caught up from then on, or nobody; what of
  // it waits to be folded when it goes is in the log.
  void AddModel(const LoadedModelPtr& model);
  void RemoveModel(const LoadedModel& model);

  // Has the owner bring the user's published state of a model up to date, if it
  // is one of those that owners fold for.
  void CatchUp(const LoadedModel& model, absl::string_view user_id);

  // Blocks until all that was queued before was dealt with and answered.
  void Drain();
  // Blocks until all that was acknowledged before is folded, by every model, or
  // the time-out.
  bool WaitUntilFolded(absl::Duration timeout);

 private:
  Partitions(StateStore& store, UserStates& states, Metrics& metrics,
             const Options& options);
  // Calls `act` for every owner, and blocks until each has called its `done`.
  using OwnerAction =
      absl::FunctionRef<void(Owner& owner, absl::AnyInvocable<void()> done)>;
  void AwaitEach(OwnerAction act);

  const size_t num_partitions_;
  const size_t num_slots_;
  UserStates& states_;
  SourceMarks marks_;
  std::vector<std::unique_ptr<Owner>> owners_;
  std::unique_ptr<OwnerPool> pool_;  // stops before the owners go
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_PARTITIONS_H_
