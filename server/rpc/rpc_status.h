// What every RPC adapter needs: statuses and deadlines as gRPC has them, and as
// we do. The codes are numbered alike.
//
// What a status carries beside its message (server/partition/refusal.h,
// overload.h) goes where clients look for it: among the status' details. A hint
// when to try again is in "grpc-retry-pushback-ms", too, which gRPC's own
// retries obey.
#ifndef QLARANK_SERVER_RPC_RPC_STATUS_H_
#define QLARANK_SERVER_RPC_RPC_STATUS_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "server/partition/refusal.h"
#include "server/work/overload.h"

namespace qlarank {

inline grpc::Status ToRpcStatus(const absl::Status& status,
                                grpc::ServerContextBase& context) {
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const google::rpc::Status details = ToProto(status);
  if (details.details().empty()) {
    return grpc::Status(code, std::string(status.message()));
  }
  if (const auto delay = RetryDelay(status); delay.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms",
                                absl::StrCat(absl::ToInt64Milliseconds(
                                    absl::Ceil(*delay, absl::Milliseconds(1)))));
  }
  return grpc::Status(code, std::string(status.message()),
                      details.SerializeAsString());
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
