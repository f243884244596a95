// What every RPC adapter needs: statuses and deadlines as gRPC has them, and as
// we do. The codes are numbered alike.
#ifndef QLARANK_SERVER_RPC_RPC_STATUS_H_
#define QLARANK_SERVER_RPC_RPC_STATUS_H_

#include <chrono>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace qlarank {

inline grpc::Status ToRpcStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
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
