// Runs the command-line tool within the test.
#ifndef QLARANK_TESTS_CLI_RUN_CLI_H_
#define QLARANK_TESTS_CLI_RUN_CLI_H_

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "gtest/gtest.h"

namespace qlarank {

struct CliResult {
  ExitCode code;
  std::string out;
  std::string err;
};

inline CliResult RunCli(std::vector<std::string> arguments) {
  std::vector<const char*> argv{"qlarank"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  std::ostringstream out;
  std::ostringstream err;
  ExitCode code = RunCommandLine(static_cast<int>(argv.size()), argv.data(),
                                 out, err, /*err_is_terminal=*/false);
  return {code, out.str(), err.str()};
}

// A file of the test's own; its path.
inline std::string WriteFile(const std::string& name,
                             const std::string& contents) {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string folder = ::testing::TempDir() + "/qlarank_" +
                       info->test_suite_name() + "_" + info->name();
  std::filesystem::create_directories(folder);
  std::string path = folder + "/" + name;
  std::ofstream(path) << contents;
  return path;
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_CLI_RUN_CLI_H_
