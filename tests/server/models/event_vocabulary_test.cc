#include "server/models/event_vocabulary.h"

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "server/models/registry.h"
#include "server/ops/logging.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/renamed_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Beside the golden model, "shop": view, buy, skip; price, rating, dwell.
class EventVocabularyTest : public ::testing::Test {
 protected:
  EventVocabularyTest() { shop_.name = "shop"; }

  const EventVocabulary& Load(
      const std::vector<ModelOptions>& models,
      UnknownActions unknown = UnknownActions::kRefuse) {
    auto registry =
        Registry::Load(models, store_, metrics_.info, unknown);
    EXPECT_TRUE(registry.ok()) << registry.status();
    registry_ = *std::move(registry);
    return registry_->vocabulary();
  }

  const Bundle& BundleOf(const std::string& model) {
    return (*registry_->Resolve(model, 0))->bundle();
  }

  static std::string Message(const absl::Status& status) {
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
    return std::string(status.message());
  }

  MemoryStateStore store_;
  Metrics metrics_;
  ModelOptions shop_ = GoldenModel();
  const RenamedModel garden_{
      "garden", {"like", "buy", "view"}, {"rating", "cart", "price"}};
  std::shared_ptr<const Registry> registry_;
};

TEST_F(EventVocabularyTest, AnActionIsKnownIfOneModelKnowsIt) {
  const EventVocabulary& vocabulary = Load({shop_, garden_.options()});
  for (const char* action : {"", "view", "buy", "skip", "like"}) {
    EXPECT_TRUE(vocabulary.CheckAction(action).ok()) << action;
  }
  EXPECT_EQ(Message(vocabulary.CheckAction("jump")),
            "action: \"jump\"; no served model has it: model \"garden\" "
            "version 1 has \"like\", \"buy\", \"view\"; model \"shop\" version 1 has "
            "\"view\", \"buy\", \"skip\"");
}

TEST_F(EventVocabularyTest, UnknownActionsAreTakenWhereTheyAreAccepted) {
  const EventVocabulary& vocabulary = Load({shop_}, UnknownActions::kAccept);
  EXPECT_TRUE(vocabulary.CheckAction("jump").ok());
  EXPECT_TRUE(
      vocabulary.CheckAction(std::string(kMaxActionBytes, 'j')).ok());
  EXPECT_THAT(
      Message(vocabulary.CheckAction(std::string(kMaxActionBytes + 1, 'j'))),
      AllOf(HasSubstr("action: \"jj"), HasSubstr("must be at most 128 bytes")));
}

TEST_F(EventVocabularyTest, FeaturesAreThoseOfTheDefaultModel) {
  const EventVocabulary& vocabulary = Load({garden_.options(), shop_});
  EXPECT_THAT(vocabulary.event_features(),
              ElementsAre("price", "rating", "dwell"));
  EXPECT_TRUE(vocabulary.CheckNumFeatures(3).ok());
  EXPECT_EQ(Message(vocabulary.CheckNumFeatures(2)),
            "features: 2 values; must be 3, the event features of model "
            "\"shop\" version 1, the default: \"price\", \"rating\", "
            "\"dwell\"");
  EXPECT_EQ(Message(Load({GoldenModel("dot_l1_plain")}).CheckNumFeatures(1)),
            "features: 1 values; must be none: model \"dot_l1_plain\" version "
            "1, the default, has no event features");
}

TEST_F(EventVocabularyTest, AnEventWithoutAnActionHasTheDefaultModelsFirst) {
  const EventVocabulary& vocabulary = Load({garden_.options(), shop_});
  EXPECT_EQ(vocabulary.default_action(), "view");
  EXPECT_EQ(vocabulary.Resolve(""), "view");
  EXPECT_EQ(vocabulary.Resolve("like"), "like");
}

// Each says what it misses; that a model has less than events say is no reason
// not to serve it.
TEST_F(EventVocabularyTest, TellsWhatAModelMisses) {
  ModelOptions plain = GoldenModel("dot_l1_plain");
  plain.default_model = false;
  std::ostringstream log;
  InitLogging(LogOptions(), log);
  const EventVocabulary& vocabulary =
      Load({shop_, garden_.options(), plain});
  InitLogging(LogOptions());
  EventVocabulary::Gaps gaps = vocabulary.GapsOf(BundleOf("garden"));
  EXPECT_THAT(gaps.actions, ElementsAre("skip"));
  EXPECT_THAT(gaps.features, ElementsAre("cart"));
  gaps = vocabulary.GapsOf(BundleOf("dot_l1_plain"));
  EXPECT_THAT(gaps.actions, ElementsAre("like", "skip"));
  EXPECT_THAT(gaps.features, IsEmpty());
  EXPECT_THAT(
      log.str(),
      AllOf(HasSubstr("the model and the events differ model=shop "
                      "version=1 unknown_actions=like missing_features=\"\""),
            HasSubstr("model=garden version=1 unknown_actions=skip "
                      "missing_features=cart"),
            HasSubstr("model=dot_l1_plain version=1 unknown_actions=\"like, "
                      "skip\" missing_features=\"\"")));
}

TEST_F(EventVocabularyTest, AModelThatMissesNothingIsNotMentioned) {
  ModelOptions second = GoldenModel();
  second.version = 2;
  second.default_model = false;
  std::ostringstream log;
  InitLogging(LogOptions(), log);
  Load({shop_, second});
  InitLogging(LogOptions());
  EXPECT_THAT(log.str(), Not(HasSubstr("events differ")));
}

TEST_F(EventVocabularyTest, TheOrderOfLoadingDoesNotMatter) {
  const auto all = [this](const std::vector<ModelOptions>& models) {
    const EventVocabulary& vocabulary = Load(models);
    const EventVocabulary::Gaps gaps = vocabulary.GapsOf(BundleOf("garden"));
    return std::tuple(Message(vocabulary.CheckAction("jump")),
                      Message(vocabulary.CheckNumFeatures(0)),
                      vocabulary.default_action(), gaps.actions, gaps.features,
                      registry_->event_schema());
  };
  EXPECT_EQ(all({shop_, garden_.options()}), all({garden_.options(), shop_}));
}

// The message fits into the metadata of a reply, whatever is served.
TEST_F(EventVocabularyTest, MessagesAreShort) {
  std::vector<ModelOptions> models = {shop_};
  for (uint64_t version = 2; version <= 12; ++version) {
    models.push_back(GoldenModel("dot_l1_plain"));
    models.back().version = version;
    models.back().default_model = false;
  }
  const std::string message = Message(Load(models).CheckAction("jump"));
  EXPECT_THAT(message,
              AllOf(HasSubstr("version 9 has"),
                    Not(HasSubstr("version 10 has")),
                    HasSubstr("; there are 4 models more")));
}

}  // namespace
}  // namespace qlarank::testing
