// The file that tells scripts which ports a server took.
#ifndef QLARANK_SERVER_PORT_FILE_H_
#define QLARANK_SERVER_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace qlarank {

// Writes "GRPC_PORT HTTP_PORT\nADMIN_PORT\n" to `path`, at once: whoever sees
// the file sees all of it. The error names the file.
absl::Status WritePortFile(const std::string& path, int grpc_port,
                           int http_port, int admin_port);

}  // namespace qlarank

#endif  // QLARANK_SERVER_PORT_FILE_H_
