#include "server/upkeep/server_info.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/precision.h"
#include "server/metrics/metrics.h"
#include "server/metrics/version.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

class ServerInfoTest : public ::testing::Test {
 protected:
  static ModelOptions Model(const std::string& name, uint64_t version,
                            bool is_default, ScoringPrecision precision) {
    ModelOptions model = GoldenModel("dot_l1_plain");
    model.name = name;
    model.version = version;
    model.default_model = is_default;
    model.precision = precision;
    return model;
  }

  std::shared_ptr<const Registry> Load(
      const std::vector<ModelOptions>& models) {
    return *Registry::Load(models, store_, metrics_.info);
  }

  // What the processor lacks is not in use, whatever is configured.
  static v1::ScoringPrecision IfThere(Precision wanted,
                                      v1::ScoringPrecision expected) {
    return ProcessorHas(wanted) ? expected : v1::SCORING_PRECISION_F32;
  }

  MemoryStateStore store_{3};
  Metrics metrics_;
};

TEST_F(ServerInfoTest, TellsOfTheBuildTheStoreAndEveryModel) {
  const auto registry = Load({Model("a", 7, false, ScoringPrecision::kF32),
                              Model("b", 1, true, ScoringPrecision::kBf16),
                              Model("b", 2, false, ScoringPrecision::kInt8)});
  const ModelRegistry models(registry);
  CatalogueEntry entry;
  entry.version = 1;
  ASSERT_TRUE(store_.AppendEntries({entry}).ok());
  const auto catalogue = LiveCatalogue::Open(store_, metrics_.catalogue);
  ASSERT_TRUE(catalogue.ok()) << catalogue.status();
  const v1::GetServerInfoResponse info =
      ServerInfo(store_, models, **catalogue, 2).Describe();
  EXPECT_EQ(info.server_version(), BuildVersion());
  EXPECT_EQ(info.store_format(), 0u);
  EXPECT_EQ(info.num_partitions(), 3u);
  EXPECT_EQ(info.num_owners(), 2u);
  EXPECT_EQ(info.catalogue_version(), 1u);
  ASSERT_EQ(info.models_size(), 3);
  const std::vector<std::string> names = {"a", "b", "b"};
  const std::vector<uint64_t> versions = {7, 1, 2};
  const std::vector<v1::ScoringPrecision> precisions = {
      v1::SCORING_PRECISION_F32,
      IfThere(Precision::kBf16, v1::SCORING_PRECISION_BF16),
      IfThere(Precision::kInt8, v1::SCORING_PRECISION_INT8)};
  for (int i = 0; i < info.models_size(); ++i) {
    SCOPED_TRACE(i);
    const v1::Model& model = info.models(i);
    const Engine& engine = *registry->models()[i]->engine;
    EXPECT_EQ(model.name(), names[i]);
    EXPECT_EQ(model.version(), versions[i]);
    EXPECT_EQ(model.is_default(), i == 1);
    EXPECT_EQ(model.scoring_precision(), precisions[i]);
    EXPECT_EQ(model.state_fingerprint(), engine.state_fingerprint());
    EXPECT_EQ(model.state_bytes(), engine.empty_state()->size_bytes());
  }
}

TEST_F(ServerInfoTest, TellsOfTheModelsOfNow) {
  ModelRegistry models(Load({Model("a", 1, true, ScoringPrecision::kF32)}));
  const auto catalogue = LiveCatalogue::Open(store_, metrics_.catalogue);
  ASSERT_TRUE(catalogue.ok()) << catalogue.status();
  const ServerInfo info(store_, models, **catalogue, 1);
  EXPECT_EQ(info.Describe().models(0).version(), 1u);
  models.Replace(Load({Model("a", 2, true, ScoringPrecision::kF32)}));
  ASSERT_EQ(info.Describe().models_size(), 1);
  EXPECT_EQ(info.Describe().models(0).version(), 2u);
  EXPECT_TRUE(info.Describe().models(0).is_default());
}

}  // namespace
}  // namespace qlarank::testing
