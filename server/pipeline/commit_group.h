// The appends that share one synced commit of one shard: decides which of their
// events are new, and numbers those. Not thread-safe; no I/O of its own.
//
// Admit every append in the order of arrival, then hand what Take returns to
// the store in one call. If that fails nothing counts as seen: drop the group,
// and read the heads again.
#ifndef QLARANK_SERVER_PIPELINE_COMMIT_GROUP_H_
#define QLARANK_SERVER_PIPELINE_COMMIT_GROUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "state_store/state_store.h"

namespace qlarank {

class CommitGroup {
 public:
  // The head of a user as of the last commit. Must outlive the group.
  using LoadHead =
      absl::FunctionRef<absl::StatusOr<UserHead>(absl::string_view user_id)>;

  struct Tally {
    uint64_t applied = 0;
    uint64_t duplicates = 0;
    uint64_t late = 0;  // of the applied: older than the user's newest
  };

  CommitGroup(size_t max_sources_per_user, LoadHead load_head,
              absl::BitGen& random);

  // Takes the events of `request` at `indexes`, which a CheckAppend passed.
  // All or nothing:
  // RESOURCE_EXHAUSTED  a user would have events of too many sources
  // or what load_head says.
  absl::StatusOr<Tally> Admit(const v1::AppendEventsRequest& request,
                              absl::Span<const uint32_t> indexes,
                              absl::string_view default_action);

  // The users with new events, ready for StateStore::AppendEvents. Ends the
  // group.
  std::vector<UserAppend> Take() &&;

 private:
  // Index in users_.
  absl::StatusOr<size_t> Find(absl::string_view user_id);

  const size_t max_sources_per_user_;
  const LoadHead load_head_;
  absl::BitGen& random_;
  // Every user that an event named, with new events or without.
  std::vector<UserAppend> users_;
  absl::flat_hash_map<std::string, size_t> index_;  // in users_, by id
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_COMMIT_GROUP_H_
