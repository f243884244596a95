#include "server/models/per_model.h"

#include <memory>

#include "gtest/gtest.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

struct Kept {
  LoadedModelPtr model;
};

class PerModelTest : public ::testing::Test {
 protected:
  static LoadedModelPtr Load() {
    return AsLoaded(*Engine::Create(LoadGolden(GoldenModel("dot_l1_plain"))));
  }

  PerModel<Kept> kept_{[](const LoadedModelPtr& model) {
    return std::make_shared<Kept>(Kept{model});
  }};
};

TEST_F(PerModelTest, IsTheSameForAModelAndAnotherForTheNext) {
  const LoadedModelPtr one = Load(), other = Load();
  EXPECT_EQ(kept_.Find(one->id), nullptr);
  const auto of_one = kept_.Of(one);
  EXPECT_EQ(kept_.Of(one), of_one);
  EXPECT_EQ(kept_.Find(one->id), of_one);
  EXPECT_NE(kept_.Of(other), of_one);
}

TEST_F(PerModelTest, LetsGoOfAModelForGood) {
  LoadedModelPtr model = Load();
  const std::weak_ptr<Kept> of_model = kept_.Of(model);
  EXPECT_EQ(kept_.LetGo(model->id), of_model.lock());
  EXPECT_TRUE(of_model.expired());
  // Whoever comes too late gets one, which nobody keeps.
  const std::weak_ptr<Kept> late = kept_.Of(model);
  EXPECT_TRUE(late.expired());
  EXPECT_EQ(kept_.Find(model->id), nullptr);
  const std::weak_ptr<const LoadedModel> last = model;
  model = nullptr;
  EXPECT_TRUE(last.expired());
}

TEST_F(PerModelTest, ModelsThatWereNeverAskedForCanGoToo) {
  const LoadedModelPtr model = Load();
  EXPECT_EQ(kept_.LetGo(model->id), nullptr);
  EXPECT_EQ(kept_.Find(model->id), nullptr);
}

}  // namespace
}  // namespace qlarank::testing
