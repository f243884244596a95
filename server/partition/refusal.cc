#include "server/partition/refusal.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/work/field_error.h"
#include "server/work/overload.h"

namespace qlarank {
namespace {

google::rpc::ErrorInfo Info(absl::string_view reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("qlarank");
  return info;
}

absl::Status WithInfo(absl::Status status, const google::rpc::ErrorInfo& info) {
  status.SetPayload(kErrorInfoType, absl::Cord(info.SerializeAsString()));
  return status;
}

std::string EventField(uint32_t index, absl::string_view field) {
  return absl::StrCat("events[", index, "].", field);
}

// With the field that the message begins with.
absl::Status WithField(absl::Status status, absl::string_view field,
                       absl::string_view description) {
  google::rpc::BadRequest bad;
  auto& violation = *bad.add_field_violations();
  violation.set_field(std::string(field));
  violation.set_description(std::string(description));
  status.SetPayload(kBadRequestType, absl::Cord(bad.SerializeAsString()));
  return status;
}

}  // namespace

absl::Status InvalidEvent(uint32_t index, const absl::Status& fault) {
  const absl::string_view message = fault.message();
  const size_t colon = message.find(": ");
  return WithField(
      WithInfo(Within(EventField(index, ""), fault), Info("INVALID_EVENT")),
      EventField(index, message.substr(0, colon)), message.substr(colon + 2));
}

absl::Status TooManySources(uint32_t index, absl::string_view user_id,
                            size_t open_sources) {
  const std::string field = EventField(index, "user_id");
  const std::string description = absl::StrCat(
      Quoted(user_id), "; already has events of ", open_sources,
      " open sources, the most that are allowed; MarkSource says which are "
      "complete");
  return WithField(WithInfo(absl::FailedPreconditionError(
                                absl::StrCat(field, ": ", description)),
                            Info("TOO_MANY_SOURCES")),
                   field, description);
}

absl::Status DamagedLog(uint32_t index, absl::string_view what) {
  return WithInfo(absl::DataLossError(absl::StrCat(
                      EventField(index, "user_id"), ": ", what)),
                  Info("DAMAGED_LOG"));
}

absl::Status HeldBack(uint32_t index, uint64_t sequence,
                      const GapFence::Obstacle& obstacle) {
  google::rpc::ErrorInfo info = Info("HELD_BACK");
  (*info.mutable_metadata())["sequence"] = absl::StrCat(obstacle.sequence);
  const std::string field = EventField(index, "sequence");
  if (!obstacle.source_closed) {
    return WithInfo(absl::AbortedError(absl::StrCat(
                        field, ": ", sequence, "; sequence ", obstacle.sequence,
                        " was refused and must be sent again, or given up, "
                        "first")),
                    info);
  }
  (*info.mutable_metadata())["source_closed_through"] =
      absl::StrCat(obstacle.closed_through);
  return WithInfo(
      absl::AbortedError(absl::StrCat(
          field, ": ", sequence,
          "; too many refused events of this source were not sent again, from "
          "sequence ",
          obstacle.sequence, " on: give them up (MarkSource, at least through ",
          obstacle.closed_through, ")")),
      info);
}

absl::Status NotWritten(absl::string_view why) {
  return WithInfo(absl::UnavailableError(absl::StrCat(
                      "the event log could not be written: ", why)),
                  Info("NOT_WRITTEN"));
}

absl::Status QueueFull() {
  return WithInfo(
      OverloadError("too many events wait to be written, of this client or of "
                    "all; try again later",
                    kQueueRetryDelay),
      Info("QUEUE_FULL"));
}

absl::Status NotWanted(const absl::Status& why) {
  return WithInfo(why, Info("NOT_WANTED"));
}

bool IsForGood(const absl::Status& refusal) {
  return absl::IsInvalidArgument(refusal) ||
         absl::IsFailedPrecondition(refusal) || absl::IsDataLoss(refusal);
}

google::rpc::Status ToProto(const absl::Status& status) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(std::string(status.message()));
  status.ForEachPayload(
      [&](absl::string_view type_url, const absl::Cord& payload) {
        auto& detail = *proto.add_details();
        detail.set_type_url(std::string(type_url));
        detail.set_value(std::string(payload));
      });
  return proto;
}

}  // namespace qlarank
