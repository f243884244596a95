// What every RPC adapter needs: statuses and deadlines as gRPC has them, and as
// we do. The codes are numbered alike.
//
// A hint when to try again (server/pipeline/overload.h) goes where clients look
// for it: google.rpc.RetryInfo among the status' details, and
// "grpc-retry-pushback-ms", which gRPC's own retries obey.
#ifndef QLARANK_SERVER_RPC_RPC_STATUS_H_
#define QLARANK_SERVER_RPC_RPC_STATUS_H_

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "server/pipeline/overload.h"

namespace qlarank {

inline std::string RetryDetails(const absl::Status& status,
                                const absl::Cord& retry_info) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  details.add_details()->set_type_url(std::string(kRetryInfoType));
  details.mutable_details(0)->set_value(std::string(retry_info));
  return details.SerializeAsString();
}

inline grpc::Status ToRpcStatus(const absl::Status& status,
                                grpc::ServerContextBase& context) {
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::optional<absl::Duration> delay = RetryDelay(status);
  if (!delay.has_value()) {
    return grpc::Status(code, std::string(status.message()));
  }
  context.AddTrailingMetadata("grpc-retry-pushback-ms",
                              absl::StrCat(absl::ToInt64Milliseconds(
                                  absl::Ceil(*delay, absl::Milliseconds(1)))));
  return grpc::Status(code, std::string(status.message()),
                      RetryDetails(status, *status.GetPayload(kRetryInfoType)));
}

// InfiniteFuture when the caller set none.
inline absl::Time DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return absl::InfiniteFuture();
  }
  return absl::FromChrono(deadline);
}

inline grpc::Status DrainingStatus() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE,
                      "the server is shutting down");
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_RPC_STATUS_H_
