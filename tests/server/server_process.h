// qlarank_server as users run it: a process with a command line, signals and an
// exit code.
#ifndef QLARANK_TESTS_SERVER_SERVER_PROCESS_H_
#define QLARANK_TESTS_SERVER_SERVER_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

class ServerProcess {
 public:
  // Starts `binary` with `arguments`. What it prints goes to files in `folder`.
  ServerProcess(const std::string& binary,
                const std::vector<std::string>& arguments,
                const std::string& folder);

  // Kills the process if it still runs.
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void Signal(int signal);

  // Blocks until the process has ended, `timeout` at most. Its exit code, or
  // the negative number of the signal that ended it; nullopt if it still runs.
  std::optional<int> Wait(absl::Duration timeout = absl::Seconds(60));

  std::string Stdout() const;
  std::string Stderr() const;

 private:
  const std::string folder_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_SERVER_SERVER_PROCESS_H_
