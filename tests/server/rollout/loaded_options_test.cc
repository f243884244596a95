#include "server/rollout/loaded_options.h"

#include "gtest/gtest.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

class LoadedOptionsTest : public ModelRolloutTest {};

TEST_F(LoadedOptionsTest, AreOfWhatTheConfigurationDoesNotName) {
  options_.models[0].item_share_bytes = 17;
  ServedModels served;
  served.loaded = {{"m", 1, "m/2"}, {"m", 3, ""}, {"m", 9, ""}, {"n", 2, "m/2"}};
  ASSERT_TRUE(WriteServedModels(served, store_).ok());
  const auto remembered = RememberedModels(options_, store_);
  ASSERT_TRUE(remembered.ok()) << remembered.status();
  ASSERT_EQ(remembered->size(), 3);
  const ModelOptions& third = *(*remembered)[0].options;
  EXPECT_EQ(third.version, 3);
  EXPECT_EQ(third.item_share_bytes, 17);
  EXPECT_FALSE(third.default_model);
  EXPECT_TRUE(std::filesystem::equivalent(third.path, base() + "/m/3"));
  EXPECT_TRUE(absl::IsNotFound((*remembered)[1].options.status()));
  EXPECT_EQ((*remembered)[1].wanted.version, 9);
  EXPECT_EQ((*remembered)[2].options->name, "n");
  EXPECT_EQ((*remembered)[2].options->item_share_bytes,
            ModelOptions().item_share_bytes);
}

}  // namespace
}  // namespace qlarank::testing
