// Requests that cannot be parsed. gRPC 1.51 would answer them with UNIMPLEMENTED
// and no word where they are unary, and on a stream take them for its end.
#ifndef QLARANK_SERVER_RPC_REQUEST_PARSING_H_
#define QLARANK_SERVER_RPC_REQUEST_PARSING_H_

#include <string>

#include "absl/strings/string_view.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "server/ops/protobuf_log.h"

struct grpc_call;

namespace qlarank {

// INVALID_ARGUMENT, naming the method, the message's type and, as far as
// protobuf tells, the field: "AppendEvents: the request cannot be parsed as
// qlarank.v1.AppendEventsRequest: qlarank.v1.Event.action is not valid UTF-8".
grpc::Status UnparsableRequest(absl::string_view method, absl::string_view type,
                               const ProtobufComplaints& complaints);

// Of a unary call without a request: CANCELLED when its client gave up before
// the request was there, INVALID_ARGUMENT when it sent none.
grpc::Status MissingRequest(absl::string_view method, const grpc_call* call);

// Parses what a stream has read, which `bytes` loses.
template <typename Request>
grpc::Status ParseRequest(absl::string_view method, grpc::ByteBuffer& bytes,
                          Request& request) {
  const ProtobufComplaints complaints;
  if (grpc::SerializationTraits<Request>::Deserialize(&bytes, &request).ok()) {
    return grpc::Status::OK;
  }
  return UnparsableRequest(method, Request::descriptor()->full_name(),
                           complaints);
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_REQUEST_PARSING_H_
