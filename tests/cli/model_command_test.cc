// qlarank model inspect, over bundles of tests/golden.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/run_cli.h"
#include "tests/model/bundle_copy.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class InspectTest : public ::testing::Test, protected BundleCopy {
 protected:
  InspectTest() : BundleCopy(QLARANK_GOLDEN_DIR "/all_l1_plain/bundle") {}

  CliResult Inspect(std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"model", "inspect", folder_});
    return RunCli(std::move(options));
  }
};

TEST_F(InspectTest, ReplaysGoldenRequests) {
  CliResult result = Inspect();
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("fingerprint  "));
  EXPECT_THAT(result.out, HasSubstr("golden requests in f32: 64 scores of 4 "
                                    "users, off by "));
  const auto json = nlohmann::json::parse(Inspect({"--json"}).out);
  EXPECT_EQ(json["golden_requests"]["f32"]["users"], 4);
  EXPECT_LT(json["golden_requests"]["f32"]["largest_error"], 1e-4);
}

TEST_F(InspectTest, SaysThatThereAreNone) {
  EditSpec([](auto& spec) { spec.clear_golden_sha256(); });
  CliResult result = Inspect();
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("golden requests: none\n"));
  const auto json = nlohmann::json::parse(Inspect({"--json"}).out);
  EXPECT_TRUE(json["golden_requests"].empty());
}

TEST_F(InspectTest, RefusesABundleThatTheEngineScoresOtherwise) {
  EditGolden([](auto& golden) {
    golden.mutable_cases(1)->mutable_candidates(2)->set_scores(0, 99);
  });
  const CliResult result = Inspect();
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err,
              HasSubstr("the bundle's weights and the engine disagree: case "
                        "\"1 event\", candidate 2 "));
}

}  // namespace
}  // namespace qlarank::testing
