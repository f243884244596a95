// Runs store_helper.cc in a process of its own.
#ifndef QLARANK_TESTS_STATE_STORE_HELPER_PROCESS_H_
#define QLARANK_TESTS_STATE_STORE_HELPER_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace qlarank {

class HelperProcess {
 public:
  explicit HelperProcess(const std::vector<std::string>& arguments);
  // Kills it if it is still there.
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // The next line it printed, without the newline; nullopt after the last one.
  // Blocks.
  std::optional<std::string> ReadLine();

  // SIGKILL, and waits until it is gone. What it printed can still be read.
  void Kill();

 private:
  pid_t pid_ = -1;
  int input_fd_ = -1;
  std::FILE* output_ = nullptr;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_HELPER_PROCESS_H_
