#include "server/rank/rank_plan.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "server/models/registry.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/renamed_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

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
  const LoadedModelPtr model = AsLoaded(*Engine::Create(bundle));
  const EventVocabulary vocabulary({model}, *model, UnknownActions::kRefuse);
  v1::RankRequest request =
      MakeRank(*bundle, "ann", CatalogueItems(*bundle, 2));
  request.clear_context();
  const auto rows = [&] {
    auto plan = PlanRank(request, *bundle,
                         {vocabulary, model->features,
                          model->engine->catalogue(), 0},
                         LimitsOptions(), absl::FromUnixMicros(kEpochUs));
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

// What recent events say is what appended ones would say, to every model.
TEST(RankPlanTest, RecentEventsAreInTheWordsOfAllModels) {
  const RenamedModel garden("garden", {"like", "buy", "view"},
                            {"rating", "cart", "price"});
  MemoryStateStore store;
  Metrics metrics;
  const auto registry = *Registry::Load({GoldenModel(), garden.options()}, store,
                                        metrics.info);
  const LoadedModelPtr model = *registry->Resolve("garden", 0);
  v1::RankRequest request =
      MakeRank(model->bundle(), "ann", CatalogueItems(model->bundle(), 2));
  for (const char* action : {"like", "skip", ""}) {
    v1::Event& event = *request.add_recent_events();
    event = MakeEvent(model->bundle(), "ann", 1);
    event.set_action(action);
    event.clear_features();
    for (const float value : {1, 2, 3}) {  // price, rating, dwell
      event.add_features(value);
    }
  }
  const auto plan = [&] {
    return PlanRank(request, model->bundle(),
                    {registry->vocabulary(), model->features,
                     model->engine->catalogue(), registry->event_schema()},
                    LimitsOptions(), absl::FromUnixMicros(kEpochUs));
  };
  ASSERT_TRUE(plan().ok()) << plan().status();
  EXPECT_EQ(plan()->recent_events[0].action, 0u);
  EXPECT_EQ(plan()->recent_events[1].action, Bundle::kUnknownAction);
  EXPECT_EQ(plan()->recent_events[2].action, 2u);  // the default model's first
  EXPECT_THAT(plan()->recent_features[0], ElementsAre(2, 0, 1));

  request.mutable_recent_events(1)->set_action("jump");
  EXPECT_THAT(std::string(plan().status().message()),
              StartsWith("recent_events[1].action: \"jump\"; no served model "
                         "has it: model "));
  request.mutable_recent_events(1)->set_action("skip");
  request.mutable_recent_events(2)->add_features(4);
  EXPECT_THAT(std::string(plan().status().message()),
              StartsWith("recent_events[2].features: 4 values; must be 3, "));
}

}  // namespace
}  // namespace qlarank::testing
