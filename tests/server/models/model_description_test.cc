#include "server/models/model_description.h"

#include <google/protobuf/text_format.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "model/fingerprint.h"
#include "model/precision.h"
#include "server/metrics/metrics.h"
#include "server/work/proto_time.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/renamed_model.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::google::protobuf::TextFormat;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ModelDescriptionTest : public ::testing::Test {
 protected:
  // A copy of a golden bundle with another spec, in a folder of its own.
  ModelOptions Edited(const std::string& name,
                      const std::function<void(model::v1::ModelSpec&)>& edit,
                      const std::string& golden =
                          "all_l4_decay_conv_everything") {
    ModelOptions options = GoldenModel(golden);
    model::v1::ModelSpec spec = LoadGolden(options)->spec();
    edit(spec);
    spec.clear_golden_sha256();  // They are of the bundle as it was.
    options.name = name;
    options.path = dir_.Path(name);
    fs::copy(GoldenModel(golden).path, options.path);
    spec.set_fingerprint(ComputeFingerprint(
        spec, **TensorFile::Open(options.path + "/weights.safetensors"),
        **TensorFile::Open(options.path + "/items.safetensors")));
    std::string text;
    TextFormat::PrintToString(spec, &text);
    const fs::path file = fs::path(options.path) / "model.textproto";
    fs::remove(file);
    std::ofstream(file) << text;
    return options;
  }

  void Load(const std::vector<ModelOptions>& models) {
    auto registry = Registry::Load(models, store_, metrics_.info);
    ASSERT_TRUE(registry.ok()) << registry.status();
    registry_ = *std::move(registry);
  }

  v1::Model Describe(size_t model) {
    return DescribeModel(*registry_->models()[model], *registry_);
  }
  v1::ModelSchema Schema(size_t model) {
    return DescribeSchema(*registry_->models()[model], *registry_);
  }

  TempDir dir_;
  MemoryStateStore store_;
  Metrics metrics_;
  std::shared_ptr<const Registry> registry_;
};

TEST_F(ModelDescriptionTest, CategoriesAreWhatTheLastFeaturesAreMadeOf) {
  Load({Edited("with_categories", [](model::v1::ModelSpec& spec) {
    spec.set_event_features(1, "device=tv");
    spec.set_event_features(2, "device=phone");
    model::v1::Category& device = *spec.add_event_categories();
    device.set_name("device");
    device.add_values("tv");
    device.add_values("phone");
    spec.set_candidate_features(2, "tags#0");
    model::v1::Category& tags = *spec.add_candidate_categories();
    tags.set_name("tags");
    tags.set_separator("|");
    tags.set_hash_buckets(1);
  })});
  const v1::ModelSchema schema = Schema(0);
  EXPECT_THAT(schema.event_features(),
              ElementsAre("price", "device=tv", "device=phone"));
  ASSERT_EQ(schema.event_categories_size(), 1);
  EXPECT_EQ(schema.event_categories(0).name(), "device");
  EXPECT_THAT(schema.event_categories(0).values(), ElementsAre("tv", "phone"));
  ASSERT_EQ(schema.candidate_categories_size(), 1);
  EXPECT_EQ(schema.candidate_categories(0).name(), "tags");
  EXPECT_EQ(schema.candidate_categories(0).separator(), "|");
  EXPECT_EQ(schema.candidate_categories(0).hash_buckets(), 1u);
}

TEST_F(ModelDescriptionTest, IsOfWhatIsServedUnderItsServedName) {
  ModelOptions first = GoldenModel();
  ModelOptions second = GoldenModel();
  second.name = "second";
  second.version = 7;
  second.precision = ScoringPrecision::kInt8;
  first.default_model = false;
  second.default_model = true;
  const absl::Time before = absl::Now();
  Load({first, second});
  const v1::Model model = Describe(1);
  const Engine& engine = *registry_->models()[1]->engine;
  EXPECT_EQ(model.name(), "second");
  EXPECT_EQ(model.version(), 7u);
  EXPECT_TRUE(model.is_default());
  EXPECT_FALSE(Describe(0).is_default());
  EXPECT_EQ(model.state(), v1::MODEL_STATE_SERVING);
  EXPECT_EQ(model.fingerprint(), engine.bundle().fingerprint());
  EXPECT_EQ(model.state_fingerprint(), engine.state_fingerprint());
  EXPECT_NE(model.state_fingerprint(), model.fingerprint());
  EXPECT_EQ(model.description(), "Random tensors for tests.");
  EXPECT_EQ(model.scoring_precision(), ProcessorHas(Precision::kInt8)
                                           ? v1::SCORING_PRECISION_INT8
                                           : v1::SCORING_PRECISION_F32);
  EXPECT_EQ(model.state_bytes(), engine.empty_state()->size_bytes());
  EXPECT_EQ(model.num_items(), 300u);
  EXPECT_EQ(model.item_key_type(), v1::ITEM_KEY_TYPE_NUMBER);
  EXPECT_GE(ToMicros(model.load_time()), absl::ToUnixMicros(before));
  EXPECT_LE(ToMicros(model.load_time()), absl::ToUnixMicros(absl::Now()));
  EXPECT_FALSE(model.has_schema());
}

TEST_F(ModelDescriptionTest, LabelsAreOfTheVersionThatTheyPointTo) {
  ModelOptions second = GoldenModel();
  second.version = 2;
  second.default_model = false;
  Load({GoldenModel(), second});
  EXPECT_THAT(Describe(0).labels(), IsEmpty());
  EXPECT_EQ(Describe(0).labels_etag(), "0");
  EXPECT_TRUE(Describe(0).is_default());
  ModelLabels labels;
  labels.versions = {{"stable", 2}, {"canary", 2}, {"old", 1}};
  labels.revision = 3;
  registry_ = registry_->WithLabels({{GoldenModel().name, labels}});
  EXPECT_THAT(Describe(0).labels(), ElementsAre("old"));
  EXPECT_THAT(Describe(1).labels(), ElementsAre("canary", "stable"));
  EXPECT_EQ(Describe(1).labels_etag(), "3");
  // Where requests go that name nothing.
  EXPECT_FALSE(Describe(0).is_default());
  EXPECT_TRUE(Describe(1).is_default());
  EXPECT_EQ(Describe(1).state_time().seconds(),
            Describe(1).load_time().seconds());
}

TEST_F(ModelDescriptionTest, TheSchemaHasEveryNameInTheOrderOfRequests) {
  Load({GoldenModel()});
  v1::ModelSchema expected;
  ASSERT_TRUE(TextFormat::ParseFromString(
      R"(tasks { name: "click" dot_term: true value_weight: 1 }
         tasks { name: "like" value_weight: 2.5 }
         tasks { name: "share" dot_term: true value_weight: 0.5 }
         actions: "view" actions: "buy" actions: "skip"
         event_features: "price" event_features: "rating"
         event_features: "dwell"
         candidate_features: "bid" candidate_features: "age"
         candidate_features: "stock"
         context_features {
           name: "daypart" values: "morning" values: "noon" values: "night"
         })",
      &expected));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(Schema(0),
                                                                 expected))
      << Schema(0).DebugString();
}

// A request has its event features in the default model's order, whichever
// model it is for.
TEST_F(ModelDescriptionTest, EventFeaturesAreInTheOrderOfTheDefaultModel) {
  ModelOptions other = Edited("other", [](model::v1::ModelSpec& spec) {
    spec.mutable_event_features()->SwapElements(0, 2);
  });
  other.default_model = false;
  Load({other, GoldenModel()});
  EXPECT_THAT(registry_->models()[0]->bundle().spec().event_features(),
              ElementsAre("dwell", "rating", "price"));
  EXPECT_THAT(Schema(0).event_features(),
              ElementsAre("price", "rating", "dwell"));
  EXPECT_THAT(Schema(1).event_features(),
              ElementsAre("price", "rating", "dwell"));
}

// Whatever events may have besides.
TEST_F(ModelDescriptionTest, ActionsAreThoseThatTheModelKnows) {
  const RenamedModel other("other", {"like", "buy", "view"},
                           {"rating", "cart", "price"});
  Load({GoldenModel(), other.options()});
  EXPECT_THAT(Schema(0).actions(), ElementsAre("view", "buy", "skip"));
  EXPECT_THAT(Schema(1).actions(), ElementsAre("like", "buy", "view"));
  EXPECT_THAT(Schema(1).event_features(),
              ElementsAre("price", "rating", "dwell"));
}

TEST_F(ModelDescriptionTest, ANumberInTheContextHasBoundariesAndADefault) {
  Load({Edited("numbers", [](model::v1::ModelSpec& spec) {
    model::v1::ContextFeature& feature = *spec.mutable_context_features(0);
    feature.clear_values();
    feature.add_boundaries(6);
    feature.add_boundaries(12.5);
    feature.set_default_value("7");
  })});
  ASSERT_EQ(Schema(0).context_features_size(), 1);
  const v1::ModelSchema schema = Schema(0);
  const auto& feature = schema.context_features(0);
  EXPECT_THAT(feature.values(), IsEmpty());
  EXPECT_THAT(feature.boundaries(), ElementsAre(6, 12.5));
  EXPECT_EQ(feature.default_value(), "7");
}

TEST_F(ModelDescriptionTest, TheShapeOfSummariesIsThatOfASummary) {
  Load({GoldenModel("seeds_all_l2_attended")});
  const Engine& engine = *registry_->models()[0]->engine;
  const auto summary =
      engine.Summarize(*engine.empty_state(), *engine.NewScratch());
  const v1::ModelSchema schema = Schema(0);
  EXPECT_EQ(schema.num_seeds(), 16u);
  EXPECT_EQ(schema.num_seeds() * schema.summary_width(),
            summary->values.size());
}

TEST_F(ModelDescriptionTest, ABundleWithTextsOfItemsSaysSoAsItWasLoaded) {
  const ModelOptions texts = Edited("texts", [](model::v1::ModelSpec&) {});
  std::ofstream(texts.path + "/item_keys.tsv") << "1\tgreen tea\n";
  Load({texts});
  fs::remove_all(texts.path);
  EXPECT_EQ(Describe(0).item_key_type(), v1::ITEM_KEY_TYPE_TEXT);
}

TEST_F(ModelDescriptionTest, LimitsAreTheServersOwn) {
  LimitsOptions limits;
  limits.max_user_id_bytes = 1;
  limits.max_candidates = 2;
  limits.max_recent_events = 3;
  limits.max_message_bytes = 4;
  const v1::RequestLimits described = DescribeLimits(limits);
  EXPECT_EQ(described.max_user_id_bytes(), 1u);
  EXPECT_EQ(described.max_candidates(), 2u);
  EXPECT_EQ(described.max_recent_events(), 3u);
  EXPECT_EQ(described.max_message_bytes(), 4u);
}

}  // namespace
}  // namespace qlarank::testing
