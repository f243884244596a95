#include "server/port_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace qlarank {

absl::Status WritePortFile(const std::string& path, int grpc_port,
                           int http_port, int admin_port) {
  const std::string temporary = absl::StrCat(path, ".", getpid());
  errno = 0;
  std::ofstream file(temporary);
  file << grpc_port << " " << http_port << "\n" << admin_port << "\n";
  file.close();
  if (!file || rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return absl::ErrnoToStatus(
        error, absl::StrCat("listen.port_file: cannot write \"", path, "\""));
  }
  return absl::OkStatus();
}

}  // namespace qlarank
