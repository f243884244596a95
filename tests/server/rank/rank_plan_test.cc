#include "server/rank/rank_plan.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;

// The golden model's daypart, at noon for requests that do not say.
std::shared_ptr<const Bundle> WithDefault() {
  namespace fs = std::filesystem;
  const ModelOptions golden = GoldenModel();
  const fs::path folder = fs::path(::testing::TempDir()) / "with_default";
  fs::remove_all(folder);
  fs::copy(golden.path, folder);
  const fs::path file = folder / "model.textproto";
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  std::string spec = text.str();
  // Whoever edits a spec by hand removes its digest.
  spec.resize(spec.find("# sha256 of"));
  const std::string name = "name: \"daypart\"\n";
  spec.insert(spec.find(name) + name.size(), "  default_value: \"noon\"\n");
  fs::permissions(file, fs::perms::owner_all);
  std::ofstream(file) << spec;
  auto bundle = Bundle::Load(folder);
  EXPECT_TRUE(bundle.ok()) << bundle.status();
  return *bundle;
}

TEST(RankPlanTest, WhatARequestDoesNotSayIsItsDefault) {
  const auto bundle = WithDefault();
  const EventFeatures features({}, {});
  v1::RankRequest request =
      MakeRank(*bundle, "ann", CatalogueItems(*bundle, 2));
  request.clear_context();
  const auto rows = [&] {
    auto plan = PlanRank(request, *bundle, {features, 0}, LimitsOptions(),
                         absl::FromUnixMicros(kEpochUs));
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan->context_rows;
  };
  EXPECT_THAT(rows(), ElementsAre(2));
  (*request.mutable_context())["daypart"] = "morning";
  EXPECT_THAT(rows(), ElementsAre(1));
  // What it does say, and nobody knows, is unknown.
  (*request.mutable_context())["daypart"] = "midnight";
  EXPECT_THAT(rows(), ElementsAre(0));
}

}  // namespace
}  // namespace qlarank::testing
