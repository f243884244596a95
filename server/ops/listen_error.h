// Why an address could not be listened at. Neither gRPC nor the HTTP library
// says, and "Address already in use" is what an operator needs to read.
#ifndef QLARANK_SERVER_OPS_LISTEN_ERROR_H_
#define QLARANK_SERVER_OPS_LISTEN_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// UNAVAILABLE "FIELD: cannot listen at "ADDRESS": reason", where the reason is
// found by trying again. `field` is the configuration's: "listen.grpc_address".
absl::Status ListenError(absl::string_view field, const std::string& address);

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_LISTEN_ERROR_H_
