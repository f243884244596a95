#include "server/upkeep/event_export.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/states/log_damage.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"

namespace qlarank {
namespace {

constexpr size_t kEventsAtOnce = 256;

absl::Status Validate(const v1::ExportEventsRequest& request) {
  if (request.share() >= std::max<uint32_t>(request.num_shares(), 1)) {
    return FieldError("share", request.share(),
                      absl::StrCat("must be less than num_shares, which is ",
                                   request.num_shares()));
  }
  if (request.has_since() && !IsValid(request.since())) {
    return FieldError(
        "since",
        absl::StrCat(request.since().seconds(), " s and ",
                     request.since().nanos(), " ns"),
        "must be in the years 1 to 9999, with 0 to 999999999 nanoseconds");
  }
  const std::string& user_id = request.position().user_id();
  if (user_id.size() > kMaxUserIdBytes) {
    return FieldError("position.user_id", Quoted(user_id),
                      "is not from a message of an export");
  }
  return absl::OkStatus();
}

// Of the first `count` schemas, each once.
EventFeatures::Names NamesOf(const std::vector<EventFeatures::Names>& schemas,
                             size_t count) {
  EventFeatures::Names all;
  for (size_t i = 0; i < count; ++i) {
    for (const std::string& name : schemas[i]) {
      if (std::find(all.begin(), all.end(), name) == all.end()) {
        all.push_back(name);
      }
    }
  }
  return all;
}

// Users come in the order of a hash: where one is, is how far it got.
double FractionBefore(const std::string& user_id) {
  if (user_id.empty()) return 0;
  return std::ldexp(static_cast<double>(HashOfUserKey(UserKey(user_id))), -64);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventExport>> EventExport::Create(
    const StateStore& store, StateMetrics& metrics,
    const v1::ExportEventsRequest& request) {
  if (absl::Status status = Validate(request); !status.ok()) return status;
  return absl::WrapUnique(new EventExport(store, metrics, request));
}

EventExport::EventExport(const StateStore& store, StateMetrics& metrics,
                         const v1::ExportEventsRequest& request)
    : store_(store),
      metrics_(metrics),
      share_(request.share()),
      num_shares_(std::max<uint32_t>(request.num_shares(), 1)),
      since_us_(request.has_since() ? ToMicros(request.since())
                                    : std::numeric_limits<int64_t>::min()),
      position_(request.position()),
      resumed_(request.has_position()) {}

absl::Status EventExport::Begin(v1::ExportEventsResponse& message) {
  auto walk = store_.WalkLogs(position_.user_id());
  if (!walk.ok()) return walk.status();
  walk_ = *std::move(walk);
  // A schema is recorded before the first event that has it: all that the walk
  // will come across are there by now.
  const auto schemas = store_.ListSchemas();
  if (!schemas.ok()) return schemas.status();
  if (!resumed_) position_.set_num_schemas(schemas->size());
  if (position_.num_schemas() > schemas->size()) {
    return FieldError("position.num_schemas", position_.num_schemas(),
                      absl::StrCat("is more than the ", schemas->size(),
                                   " of this store"));
  }
  const EventFeatures::Names names =
      NamesOf(*schemas, position_.num_schemas());
  message.mutable_event_features()->Assign(names.begin(), names.end());
  features_.emplace(*schemas, names);
  return absl::OkStatus();
}

absl::StatusOr<bool> EventExport::Next(v1::ExportEventsResponse& message) {
  message.Clear();
  if (walk_ == nullptr) {
    if (absl::Status status = Begin(message); !status.ok()) return status;
  }
  bool more = true;
  size_t bytes = 0;
  for (size_t users = 0;
       more && bytes < kMessageBytes && users < kMessageUsers;) {
    if (!head_.has_value()) {
      ++users;
      const absl::StatusOr<bool> moved = NextUser(message);
      if (!moved.ok()) return moved.status();
      more = *moved;
    } else {
      const absl::StatusOr<size_t> read = ReadEvents(message);
      if (!read.ok()) return read.status();
      bytes += *read;
    }
  }
  *message.mutable_position() = position_;
  message.set_fraction(more ? FractionBefore(position_.user_id()) : 1);
  return more;
}

bool EventExport::IsAsked(const LogWalk::User& user) const {
  if (PartitionOf(user.user_id, num_shares_) != share_) return false;
  return !user.head.ok() || user.head->last_event_time_us >= since_us_;
}

absl::StatusOr<bool> EventExport::NextUser(v1::ExportEventsResponse& message) {
  auto next = walk_->NextUser();
  if (!next.ok()) return next.status();
  if (!next->has_value()) return false;
  const LogWalk::User& user = **next;
  // Of whom an earlier call sent something.
  const bool known = std::exchange(resumed_, false) &&
                     user.user_id == position_.user_id();
  const bool asked = IsAsked(user);
  if (!user.head.ok()) {
    const bool reported = known && position_.incarnation() == 0;
    if (asked && !reported) {
      AddDamage(user.head.status(), user.user_id, message);
    }
    if (user.user_id.empty()) return true;
  }
  const uint64_t incarnation = user.head.ok() ? user.head->incarnation : 0;
  if (!known || position_.incarnation() != incarnation) {
    position_.set_next_sequence(0);
  }
  position_.set_user_id(user.user_id);
  position_.set_incarnation(incarnation);
  if (!asked || !user.head.ok()) return true;
  position_.set_next_sequence(
      std::max(position_.next_sequence(), user.head->first_sequence));
  head_ = *user.head;
  return true;
}

absl::StatusOr<size_t> EventExport::ReadEvents(
    v1::ExportEventsResponse& message) {
  events_.clear();
  const absl::Status read =
      walk_->Read(position_.next_sequence(), kEventsAtOnce, events_);
  if (!read.ok() && !absl::IsDataLoss(read)) return read;
  size_t bytes = 0;
  uint64_t sequence = position_.next_sequence();
  for (LoggedEvent& event : events_) {
    if (event.time_us >= since_us_) bytes += AddEvent(sequence, event, message);
    ++sequence;
  }
  if (!read.ok()) {
    AddDamage(read, position_.user_id(), message);
    sequence = head_->last_sequence + 1;
  }
  position_.set_next_sequence(sequence);
  if (sequence > head_->last_sequence) head_.reset();
  return bytes;
}

size_t EventExport::AddEvent(uint64_t sequence, LoggedEvent& event,
                             v1::ExportEventsResponse& message) const {
  constexpr size_t kEventBytes = 48;  // but for what has no fixed size
  size_t bytes = kEventBytes;
  if (message.users().empty() ||
      message.users().rbegin()->user_id() != position_.user_id()) {
    message.add_users()->set_user_id(position_.user_id());
    bytes += position_.user_id().size();
  }
  v1::ExportedEvent& to = *message.mutable_users()->rbegin()->add_events();
  to.set_sequence(sequence);
  to.mutable_event()->set_item_id(event.item_id);
  *to.mutable_event()->mutable_time() = FromMicros(event.time_us);
  features_->Arrange(event.schema, event.features);
  to.mutable_event()->mutable_features()->Assign(event.features.begin(),
                                                 event.features.end());
  bytes += event.action.size() + event.features.size() * sizeof(float);
  to.mutable_event()->set_action(std::move(event.action));
  return bytes;
}

void EventExport::AddDamage(const absl::Status& damage,
                            const std::string& user_id,
                            v1::ExportEventsResponse& message) {
  v1::DamagedLog& log = *message.add_damaged_logs();
  log.set_user_id(user_id);
  log.set_error(std::string(damage.message()));
  (void)ReportDamage(damage, user_id, metrics_);
}

}  // namespace qlarank
