// RESOURCE_EXHAUSTED with a hint when to try again. The hint travels with the
// status as a payload; server/rpc/rpc_status.h puts it where clients look.
#ifndef QLARANK_SERVER_WORK_OVERLOAD_H_
#define QLARANK_SERVER_WORK_OVERLOAD_H_

#include <algorithm>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "server/work/fair_quota.h"

namespace qlarank {

inline constexpr absl::string_view kRetryInfoType =
    "type.googleapis.com/google.rpc.RetryInfo";
// Hints lie between these: shorter ones would not let anything change, longer
// ones leave the server idle after a short flood.
inline constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(5);
inline constexpr absl::Duration kMaxRetryDelay = absl::Seconds(1);
// What a full queue of events needs to be written, more or less.
inline constexpr absl::Duration kQueueRetryDelay = absl::Milliseconds(100);

inline void SetRetryDelay(absl::Duration retry_delay, absl::Status& status) {
  const absl::Duration delay =
      std::clamp(retry_delay, kMinRetryDelay, kMaxRetryDelay);
  google::rpc::RetryInfo info;
  absl::Duration rest;
  info.mutable_retry_delay()->set_seconds(
      absl::IDivDuration(delay, absl::Seconds(1), &rest));
  info.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  status.SetPayload(kRetryInfoType, absl::Cord(info.SerializeAsString()));
}

inline absl::Status OverloadError(absl::string_view message,
                                  absl::Duration retry_delay) {
  absl::Status status = absl::ResourceExhaustedError(message);
  SetRetryDelay(retry_delay, status);
  return status;
}

// No slot is left to a client, or to anyone: when what waits is done there will
// be one.
inline absl::Status TooManyInFlight(const FairQuota& slots,
                                    absl::Duration backlog) {
  return OverloadError(
      absl::StrCat("too many requests are in flight, of this client or of all; "
                   "rank.max_inflight_requests is ",
                   slots.capacity()),
      backlog);
}

// The hint of a status that has one.
inline std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryInfoType);
  google::rpc::RetryInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return absl::Seconds(info.retry_delay().seconds()) +
         absl::Nanoseconds(info.retry_delay().nanos());
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_OVERLOAD_H_
