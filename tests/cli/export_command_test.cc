// What `qlarank export events` refuses without a server; exports themselves are
// in tests/integration/export_test.cc.
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

CliResult ExportWith(std::vector<std::string> options) {
  std::vector<std::string> arguments = {"export", "events"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return RunCli(arguments);
}

TEST(ExportCommandTest, SaysHowParquetIsMade) {
  const CliResult result =
      ExportWith({"--out", "events.parquet", "--format", "parquet"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("python -m trainer convert-export"));
}

TEST(ExportCommandTest, RefusesShares) {
  for (const char* share : {"2", "2/2", "-1/2", "1/2/3", "a/2", "1/", "/2"}) {
    const CliResult result = ExportWith({"--out", "-", "--share", share});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << share;
    EXPECT_THAT(result.err, HasSubstr("--share \"")) << share;
  }
}

TEST(ExportCommandTest, RefusesTimes) {
  const CliResult result = ExportWith({"--out", "-", "--since", "yesterday"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("--since \"yesterday\""));
}

TEST(ExportCommandTest, LeavesAFileThatIsThere) {
  const std::string path = WriteFile("events.csv", "mine");
  const CliResult result = ExportWith({"--out", path});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("is there already"));
}

TEST(ExportCommandTest, GivesUpOnAServerThatIsNotThere) {
  const std::string folder =
      std::filesystem::path(WriteFile("beside", "")).parent_path();
  const CliResult result =
      ExportWith({"--out", folder + "/events.csv", "--retry-for", "0",
                  "--admin-server", "127.0.0.1:1"});
  EXPECT_EQ(result.code, ExitCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(folder + "/events.csv"));
}

}  // namespace
}  // namespace qlarank
