// A log's features are found by their names: a model that declares the same ones
// in another order makes the same states of it, bit for bit.
#include "server/models/event_features.h"

#include <google/protobuf/text_format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/fingerprint.h"
#include "model/sha256.h"
#include "server/pipeline.h"
#include "server/states/state_rebuild.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Names = EventFeatures::Names;

std::vector<float> Arranged(const EventFeatures& features, uint32_t schema,
                            std::vector<float> values) {
  features.Arrange(schema, values);
  return values;
}

TEST(EventFeaturesTest, FindsFeaturesByTheirNames) {
  const std::vector<Names> schemas = {
      {"price", "rating"}, {"rating", "price"}, {"dwell", "price", "rating"}, {}};
  const EventFeatures features(schemas, {"rating", "price"});
  EXPECT_THAT(Arranged(features, 1, {1, 2}), ElementsAre(2, 1));
  EXPECT_THAT(Arranged(features, 2, {1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(Arranged(features, 3, {1, 2, 3}), ElementsAre(3, 2));
  EXPECT_THAT(Arranged(features, 4, {}), ElementsAre(0, 0));
  // From before there were schemas: of the first.
  EXPECT_THAT(Arranged(features, 0, {1, 2}), ElementsAre(2, 1));
  // An event with fewer values than its schema has names.
  EXPECT_THAT(Arranged(features, 1, {1}), ElementsAre(0, 1));
}

TEST(EventFeaturesTest, KnowsWhichSchemasLackAFeature) {
  const std::vector<Names> schemas = {
      {"price"}, {"rating", "price"}, {"dwell", "price", "rating"}, {}};
  const EventFeatures features(schemas, {"rating", "price"});
  EXPECT_TRUE(features.IsLackedBy(0));
  EXPECT_TRUE(features.IsLackedBy(1));
  EXPECT_FALSE(features.IsLackedBy(2));
  EXPECT_FALSE(features.IsLackedBy(3));
  EXPECT_TRUE(features.IsLackedBy(4));
  const EventFeatures none(schemas, {});
  EXPECT_FALSE(none.IsLackedBy(1));
  EXPECT_THAT(Arranged(none, 3, {1, 2, 3}), ElementsAre());
}

TEST(EventFeaturesTest, WithoutASchemaPlacesAreTheModels) {
  const EventFeatures features({}, {"rating", "price"});
  EXPECT_THAT(Arranged(features, 0, {1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(Arranged(features, 0, {1}), ElementsAre(1, 0));
}

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Two bundles of one model: the second has its two event features, and the
// columns of their projection, the other way round. In each row of the
// projection one of the two is 0, so that the order of adding them up, which
// rounds, is no difference.
class OtherOrderTest : public ::testing::Test {
 protected:
  OtherOrderTest() {
    plain_ = Write("plain", false);
    turned_ = Write("turned", true);
  }

  ModelOptions Write(const std::string& name, bool turned) {
    ModelOptions options = GoldenModel("dot_l2_silu_decay_features");
    const fs::path folder = dir_.Path(name);
    fs::copy(options.path, folder, fs::copy_options::recursive);
    const auto bundle = *Bundle::Load(options.path);
    model::v1::ModelSpec spec = bundle->spec();
    EXPECT_EQ(spec.event_features_size(), 2);
    std::string bytes = ReadAll(folder / "weights.safetensors");
    const absl::Span<const float> projection =
        bundle->tensor("event_projection");
    std::vector<float> values(projection.begin(), projection.end());
    for (size_t row = 0; row < values.size() / 2; ++row) {
      values[2 * row + row % 2] = 0;
      if (turned) std::swap(values[2 * row], values[2 * row + 1]);
    }
    const size_t place = reinterpret_cast<const char*>(projection.data()) -
                         bundle->weights().contents().data();
    std::memcpy(bytes.data() + place, values.data(),
                values.size() * sizeof(float));
    std::ofstream(folder / "weights.safetensors", std::ios::binary) << bytes;
    if (turned) spec.mutable_event_features()->SwapElements(0, 1);
    spec.set_weights_sha256(Sha256Hex(bytes));
    spec.clear_golden_sha256();  // they are of the weights before
    spec.set_fingerprint(ComputeFingerprint(
        spec, **TensorFile::Open(folder / "weights.safetensors"),
        **TensorFile::Open(folder / "items.safetensors")));
    std::string text;
    google::protobuf::TextFormat::PrintToString(spec, &text);
    std::ofstream(folder / "model.textproto") << text;
    options.name = name;
    options.path = folder;
    return options;
  }

  // A server's insides over the store, which stays. The first is the default.
  void Serve(std::vector<ModelOptions> models) {
    pipeline_ = nullptr;
    ServerOptions options = TestOptions(models[0]);
    for (size_t i = 0; i < models.size(); ++i) {
      models[i].default_model = i == 0;
    }
    options.models = models;
    auto pipeline = Pipeline::Create(options, store_, metrics_);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }

  // Events of the user; values in the order of the plain one, or turned.
  v1::AppendEventsRequest Events(uint64_t first, uint64_t last, bool turned) {
    auto request = MakeAppend(*LoadGolden(plain_), "ann", first, last);
    for (auto& event : *request.mutable_events()) {
      if (turned) event.mutable_event()->mutable_features()->SwapElements(0, 1);
    }
    return request;
  }

  void Append(uint64_t first, uint64_t last, bool turned) {
    const auto request = Events(first, last, turned);
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {},
                               IngestPipeline::OnFull::kRefuse,
                               [&](auto result) {
                                 EXPECT_EQ(result.status, absl::OkStatus());
                                 done.Notify();
                               });
    done.WaitForNotification();
    ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  }

  // The state that a model serves, with what the log has after it.
  std::vector<float> State(size_t model) {
    const RankModelPtr served = pipeline_->rank_models().Of(
        pipeline_->models().Current()->models()[model]);
    auto lookup = served->memory->Find("ann");
    EXPECT_TRUE(lookup.ok()) << lookup.status();
    auto fold = served->memory->ReadTail("ann", *lookup, SIZE_MAX);
    EXPECT_TRUE(fold.ok()) << fold.status();
    const auto scratch = served->engine().NewScratch();
    served->memory->RunFolds(absl::MakeSpan(&*fold, 1), *scratch);
    const auto& values = fold->after().state->values;
    return {values.begin(), values.end()};
  }

  std::vector<float> Scores(const std::string& model, bool turned) {
    const auto bundle = LoadGolden(plain_);
    v1::RankRequest request =
        MakeRank(*bundle, "ann", CatalogueItems(*bundle, 20));
    request.set_model_name(model);
    const v1::AppendEventsRequest recent = Events(1000, 1002, turned);
    for (const auto& event : recent.events()) {
      *request.add_recent_events() = event.event();
    }
    v1::RankResponse response;
    absl::Notification done;
    absl::Status status;
    RankCall::Context context{absl::Now(), absl::InfiniteFuture(), nullptr, ""};
    auto admission = pipeline_->rank().Admit(request, context);
    EXPECT_TRUE(admission.ok()) << admission.status();
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            [&](absl::Status result, RequestSlot) {
                              status = std::move(result);
                              done.Notify();
                            });
    done.WaitForNotification();
    EXPECT_TRUE(status.ok()) << status;
    return {response.scores().begin(), response.scores().end()};
  }

  TempDir dir_;
  ModelOptions plain_, turned_;
  FaultyStateStore store_;
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(OtherOrderTest, ReplayOfAnOldLogHasTheSameBits) {
  Serve({plain_});
  Append(1, 100, false);
  const std::vector<float> plain = State(0);
  // A new model of tomorrow, over the log of today.
  Serve({turned_});
  EXPECT_EQ(State(0), plain);
  // And it takes events in its own order.
  Append(101, 120, true);
  const std::vector<float> later = State(0);
  EXPECT_NE(later, plain);
  Serve({plain_});
  EXPECT_EQ(State(0), later);
  EXPECT_THAT(*store_.ListSchemas(),
              ElementsAre(ElementsAre("price", "rating"),
                          ElementsAre("rating", "price")));
}

TEST_F(OtherOrderTest, LiveFoldsAndRecentEventsHaveTheSameBits) {
  Serve({plain_, turned_});
  Append(1, 100, false);
  EXPECT_EQ(State(0), State(1));
  const auto scores = Scores("plain", false);
  ASSERT_FALSE(scores.empty());
  EXPECT_EQ(Scores("turned", false), scores);
  EXPECT_NE(Scores("plain", true), scores);
  // Requests are in the default model's order.
  Serve({turned_, plain_});
  Append(101, 120, true);
  EXPECT_EQ(State(0), State(1));
  EXPECT_EQ(Scores("plain", true), Scores("turned", true));
}

TEST_F(OtherOrderTest, ARebuildHasTheSameBits) {
  Serve({plain_});
  Append(1, 100, false);
  const std::vector<float> plain = State(0);
  pipeline_ = nullptr;
  const std::shared_ptr<const Engine> engine = *Engine::Create(LoadGolden(turned_));
  ASSERT_TRUE(store_.OpenFingerprint(engine->state_fingerprint()).ok());
  const auto totals = RebuildStates(engine, store_, metrics_, {});
  ASSERT_TRUE(totals.ok()) << totals.status();
  const auto snapshot =
      *store_.GetSnapshot(engine->state_fingerprint(), "ann");
  ASSERT_TRUE(snapshot.has_value());
  const auto state = engine->ParseState(snapshot->state);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(std::vector<float>((*state)->values.begin(),
                               (*state)->values.end()),
            plain);
}

// A log from before there were schemas is of the first model that is served.
TEST_F(OtherOrderTest, AnOldLogIsOfTheFirstSchema) {
  Serve({plain_});
  Append(1, 100, false);
  const std::vector<float> plain = State(0);
  pipeline_ = nullptr;
  FaultyStateStore old;
  UserAppend append;
  append.user_id = "ann";
  append.head_after = *store_.GetHead("ann");
  append.events = *store_.ReadEvents("ann", 1, SIZE_MAX);
  for (LoggedEvent& event : append.events) {
    EXPECT_EQ(event.schema, 1u);
    event.schema = 0;
  }
  ASSERT_TRUE(old.AppendEvents({append}).ok());
  ASSERT_EQ(*old.PutSchema({"price", "rating"}), 1u);
  const std::shared_ptr<const Engine> engine = *Engine::Create(LoadGolden(turned_));
  ASSERT_TRUE(old.OpenFingerprint(engine->state_fingerprint()).ok());
  ASSERT_TRUE(RebuildStates(engine, old, metrics_, {}).ok());
  const auto snapshot = *old.GetSnapshot(engine->state_fingerprint(), "ann");
  const auto state = engine->ParseState(snapshot->state);
  EXPECT_EQ(std::vector<float>((*state)->values.begin(),
                               (*state)->values.end()),
            plain);
}

}  // namespace
}  // namespace qlarank::testing
