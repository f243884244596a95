// Why an event was refused, as a status: the code and the message that
// ingest_service.proto lists, with google.rpc.ErrorInfo among its payloads, and
// google.rpc.BadRequest where a field of the event is at fault. Payloads are
// what server/rpc/rpc_status.h sends as details.
//
// Pure functions.
#ifndef QLARANK_SERVER_PARTITION_REFUSAL_H_
#define QLARANK_SERVER_PARTITION_REFUSAL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "server/partition/gap_fence.h"

namespace qlarank {

inline constexpr absl::string_view kErrorInfoType =
    "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr absl::string_view kBadRequestType =
    "type.googleapis.com/google.rpc.BadRequest";

// An event of a request that was not taken.
struct EventRefusal {
  uint32_t index = 0;  // in the request's events
  absl::Status status;
};

// `fault` is FieldError's, of a field within the event.
absl::Status InvalidEvent(uint32_t index, const absl::Status& fault);
absl::Status TooManySources(uint32_t index, absl::string_view user_id,
                            size_t open_sources);
absl::Status DamagedLog(uint32_t index, absl::string_view what);
absl::Status HeldBack(uint32_t index, uint64_t sequence,
                      const GapFence::Obstacle& obstacle);
absl::Status NotWritten(absl::string_view why);
absl::Status QueueFull();
// `why` is DEADLINE_EXCEEDED or CANCELLED.
absl::Status NotWanted(const absl::Status& why);

// Whether the same event is refused again, whenever it is sent.
bool IsForGood(const absl::Status& refusal);

// The status as the API has it, payloads as details.
google::rpc::Status ToProto(const absl::Status& status);

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_REFUSAL_H_
