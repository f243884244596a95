#include "server/rpc/request_parsing.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"

namespace qlarank {
namespace {

// Protobuf says "String field 'a.B.c' contains invalid UTF-8 data when ..."
std::string Reason(absl::string_view complaint) {
  const size_t begin = complaint.find('\'');
  const size_t end = complaint.find('\'', begin + 1);
  if (end == absl::string_view::npos ||
      !absl::StrContains(complaint, "invalid UTF-8")) {
    return "it is not a valid protobuf message";
  }
  return absl::StrCat(complaint.substr(begin + 1, end - begin - 1),
                      " is not valid UTF-8");
}

}  // namespace

grpc::Status UnparsableRequest(absl::string_view method, absl::string_view type,
                               const ProtobufComplaints& complaints) {
  return grpc::Status(
      grpc::StatusCode::INVALID_ARGUMENT,
      absl::StrCat(method, ": the request cannot be parsed as ", type, ": ",
                   Reason(complaints.first())));
}

grpc::Status MissingRequest(absl::string_view method, const grpc_call* call) {
  if (grpc_call_failed_before_recv_message(call) != 0) {
    return grpc::Status(
        grpc::StatusCode::CANCELLED,
        absl::StrCat(method, ": the call ended before its request was there"));
  }
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                      absl::StrCat(method, ": the call has no request"));
}

}  // namespace qlarank
