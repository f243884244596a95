// The appends that share one synced commit of one owner: decides which of their
// events are new, and numbers those. Every event has an outcome of its own. Not
// thread-safe; no I/O of its own.
//
// Admit every append in the order of arrival, then hand what Take returns to
// the store in one call. If that fails nothing counts as seen: drop the group,
// refuse its events, and read the heads again.
#ifndef QLARANK_SERVER_PARTITION_COMMIT_GROUP_H_
#define QLARANK_SERVER_PARTITION_COMMIT_GROUP_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/partition/append_result.h"
#include "server/partition/gap_fence.h"
#include "server/partition/partition_positions.h"
#include "server/partition/source_marks.h"
#include "state_store/state_store.h"

namespace qlarank {

// What events get when they are accepted, so that folding them depends on nothing
// that comes later.
struct EventStamp {
  absl::string_view default_action = "";  // of an event that names none
  uint32_t schema = 0;  // of their features: StateStore::PutSchema
  // Upserts of items so far: which rows their items have.
  uint64_t catalogue_version = 0;
};

class CommitGroup {
 public:
  // The head of a user as of the last commit: EventLog::GetHeadToExtend. Must
  // outlive the group.
  using LoadHead =
      absl::FunctionRef<absl::StatusOr<std::shared_ptr<const UserHead>>(
          absl::string_view user_id)>;

  // Events are of the schema (EventLog::PutSchema), and counted in `positions`:
  // keep these if they were written, else take them back. All must outlive the
  // group.
  CommitGroup(size_t max_sources_per_user, const SourceMarks& marks,
              GapFence& fence, LoadHead load_head,
              PartitionPositions& positions);

  // Takes the events of `request` at `indexes`, which passed CheckUserEvent. Not
  // taken, one by one, and remembered by the fence:
  //   ABORTED              it waits for an event that was refused
  //   FAILED_PRECONDITION  the user would have events of too many open sources
  //   DATA_LOSS, UNAVAILABLE  what load_head says of the user
  AppendTally Admit(const v1::AppendEventsRequest& request,
                    absl::Span<const uint32_t> indexes,
                    const EventStamp& stamp);

  // The users with new events, ready for EventLog::AppendEvents, without the
  // watermarks that their sources' marks make needless. Ends the group.
  std::vector<UserAppend> Take() &&;

 private:
  // A user that an event named, with new events or without.
  struct User {
    UserAppend append;
    absl::Status readable;  // what load_head said
    size_t partition = 0;
  };

  User& Find(absl::string_view user_id);
  // Sources of the user that are not complete as far as their events go.
  size_t OpenSources(const UserHead& head) const;
  // Why an event that is no duplicate cannot be taken; OK when it can.
  absl::Status CheckTaken(const v1::AppendEventsRequest& request,
                          uint32_t index, const UserHead& head,
                          uint64_t seen_through);
  void Take(const v1::UserEvent& event, const std::string& source,
            const EventStamp& stamp, User& user, AppendTally& tally);

  const size_t max_sources_per_user_;
  const SourceMarks& marks_;
  GapFence& fence_;
  const LoadHead load_head_;
  PartitionPositions& positions_;
  std::deque<User> users_;  // where they are, they stay
  absl::flat_hash_map<absl::string_view, User*> by_id_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_COMMIT_GROUP_H_
