#include "server/rank/state_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

// A user who is erased and written again so often while being read is left
// alone.
constexpr int kMaxErasures = 3;

}  // namespace

void StateReader::Step(EngineScratch& scratch) {
  if (!looked_) {
    Look();
  } else {
    Catch(scratch);
  }
}

void StateReader::Fail(absl::Status status) {
  status_ = std::move(status);
  done_ = true;
}

bool StateReader::TooOld() const {
  const UserState& state = *lookup_.known.state;
  return demand_.max_age.has_value() && state.found() &&
         absl::Microseconds(demand_.time_us) -
                 absl::Microseconds(lookup_.newest_event_time_us()) >
             *demand_.max_age;
}

bool StateReader::TooFarBehind() const {
  return demand_.max_events_behind.has_value() &&
         lookup_.events_behind() > *demand_.max_events_behind;
}

void StateReader::Look() {
  looked_ = true;
  absl::StatusOr<UserMemory::Lookup> lookup =
      memory_.Find(user_id_, kStepEvents);
  if (!lookup.ok()) return Fail(lookup.status());
  lookup_ = *std::move(lookup);
  memory_.CountLookup(lookup_);
  wanted_ = ahead_ = lookup_.origin == UserMemory::Origin::kSnapshot;

  if (demand_.min_event_count > lookup_.head.last_sequence) {
    return Fail(absl::FailedPreconditionError(absl::StrCat(
        "min_event_count: ", demand_.min_event_count, "; user ",
        Quoted(user_id_), " has ", lookup_.head.last_sequence, " events")));
  }
  const bool good_enough =
      lookup_.is_newest_seen() &&
      lookup_.known.folded_sequence() >= demand_.min_event_count &&
      !TooOld() && !TooFarBehind();
  if (lookup_.events_behind() == 0 || good_enough) {
    wanted_ |= lookup_.events_behind() > 0;
    Conclude();
  }
}

void StateReader::Catch(EngineScratch& scratch) {
  absl::StatusOr<UserFold> fold =
      memory_.ReadTail(user_id_, lookup_, kStepEvents);
  if (absl::IsAborted(fold.status()) && ++erasures_ < kMaxErasures) {
    looked_ = false;
    return;
  }
  if (absl::IsAborted(fold.status())) {
    return Fail(absl::UnavailableError(fold.status().message()));
  }
  if (!fold.ok()) return Fail(fold.status());
  memory_.RunFolds(absl::MakeSpan(&*fold, 1), scratch);
  if (!fold->status().ok()) return Fail(fold->status());
  lookup_.known = fold->after();
  wanted_ = ahead_ = true;
  if (fold->complete()) Conclude();
}

void StateReader::LeaveToOwner() {
  partitions_.CatchUp(memory_.model(), user_id_);
}

void StateReader::Conclude() {
  done_ = true;
  // The next reader should find it, or as much.
  if (ahead_) memory_.NoteSeen(user_id_, lookup_.known);
  if (wanted_) partitions_.CatchUp(memory_.model(), user_id_);
  if (TooOld()) {
    const absl::Time newest =
        absl::FromUnixMicros(lookup_.newest_event_time_us());
    Fail(absl::FailedPreconditionError(
        absl::StrCat("max_state_age: ", absl::FormatDuration(*demand_.max_age),
                     "; user ", Quoted(user_id_), " has no event after ",
                     absl::FormatTime(newest, absl::UTCTimeZone()))));
  }
}

v1::StateInfo DescribeState(const UserMemory::Lookup& lookup) {
  const UserState& state = *lookup.known.state;
  v1::StateInfo info;
  info.set_found(state.found());
  info.set_event_count(state.event_count);
  if (state.found()) {
    *info.mutable_last_event_time() =
        FromMicros(lookup.newest_event_time_us());
  }
  info.set_folded_sequence(lookup.known.folded_sequence());
  info.set_log_sequence(lookup.head.last_sequence);
  return info;
}

}  // namespace qlarank
