#include "server/models/model_registry.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/precision.h"
#include "server/metrics/metrics.h"
#include "server/models/load_engine.h"
#include "server/work/field_error.h"
#include "state_store/memory_state_store.h"
#include "tests/model/bundle_copy.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class OtherGoldenRequests : public BundleCopy {
 public:
  explicit OtherGoldenRequests(const ModelOptions& model)
      : BundleCopy(model.path) {
    EditGolden([](auto& requests) {
      auto* candidate = requests.mutable_cases(3)->mutable_candidates(3);
      candidate->set_scores(0, candidate->scores(0) + .01);
    });
  }
  std::string path() const { return folder_; }
  void Remove() {
    EditSpec([](auto& spec) { spec.clear_golden_sha256(); });
  }
};

class RegistryTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const Registry>> Load(
      const std::vector<ModelOptions>& models) {
    return Registry::Load(models, store_, metrics_.info);
  }

  static ModelOptions Model(const std::string& name, uint64_t version,
                            bool is_default) {
    ModelOptions model = GoldenModel("dot_l1_plain");
    model.name = name;
    model.version = version;
    model.default_model = is_default;
    return model;
  }

  MemoryStateStore store_;
  Metrics metrics_;
};

TEST_F(RegistryTest, ResolvesNamesAndVersions) {
  const auto models =
      Load({Model("a", 1, false), Model("b", 2, true), Model("b", 5, false)});
  ASSERT_TRUE(models.ok()) << models.status();
  const auto version = [&](absl::string_view name, uint64_t version) {
    const auto model = (*models)->Resolve(name, version);
    return model.ok() ? (*model)->name + std::to_string((*model)->version)
                      : model.status().ToString();
  };
  EXPECT_EQ(version("", 0), "b2");  // the one configured as the default
  EXPECT_EQ(version("", 5), "b5");
  EXPECT_EQ(version("a", 0), "a1");
  EXPECT_EQ(version("b", 0), "b5");  // the newest
  EXPECT_EQ(version("b", 2), "b2");
  EXPECT_THAT(version("b", 3), HasSubstr("NOT_FOUND: model_version: 3; "));
  EXPECT_THAT(version("c", 0), HasSubstr("NOT_FOUND: model_name: \"c\"; "));
}

TEST_F(RegistryTest, LabelsStandForVersions) {
  const auto loaded =
      Load({Model("a", 1, false), Model("b", 2, true), Model("b", 5, false)});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  LabelsOfModels labels;
  labels["b"].versions = {{"canary", 5}};
  auto models = (*loaded)->WithLabels(labels);
  const auto found = [&](absl::string_view name, uint64_t version,
                         absl::string_view label) {
    const auto model = models->Resolve(name, version, label);
    return model.ok() ? (*model)->name + std::to_string((*model)->version)
                      : model.status().ToString();
  };
  EXPECT_EQ(found("", 0, "canary"), "b5");
  EXPECT_EQ(found("", 0, ""), "b2");
  EXPECT_THAT(found("a", 0, "canary"),
              HasSubstr("NOT_FOUND: model_label: \"canary\"; "));
  EXPECT_THAT(found("", 0, "stable"),
              HasSubstr("NOT_FOUND: model_label: \"stable\"; "));
  EXPECT_THAT(found("b", 5, "canary"),
              HasSubstr("INVALID_ARGUMENT: model_label: \"canary\"; has a "
                        "model_version beside it, 5"));
  labels["b"].versions["stable"] = 5;
  models = models->WithLabels(labels);
  EXPECT_EQ(found("", 0, ""), "b5");
  EXPECT_EQ(found("b", 0, ""), "b5");
  EXPECT_EQ(found("b", 0, "stable"), "b5");
  EXPECT_EQ(found("b", 2, ""), "b2");
  EXPECT_EQ(found("a", 0, ""), "a1");
}

TEST_F(RegistryTest, UsersInATrafficFollowItsLabel) {
  const auto loaded =
      Load({Model("b", 2, true), Model("b", 3, false), Model("b", 5, false)});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  LabelsOfModels labels;
  labels["b"].versions = {{"canary", 5}, {"stable", 3}};
  labels["b"].traffic = {"canary", 0, {"ann"}};
  const auto models = (*loaded)->WithLabels(labels);
  v1::RankRequest request;
  const auto answered_by = [&] {
    return (*models->ResolveFor(request))->version;
  };
  for (const char* name : {"", "b"}) {
    request.set_model_name(name);
    request.set_user_id("ann");
    EXPECT_EQ(answered_by(), 5);
    request.set_user_id("bob");
    EXPECT_EQ(answered_by(), 3);
    request.clear_user_id();
    EXPECT_EQ(answered_by(), 3);
  }
  // Who says what they want gets it.
  request.set_user_id("ann");
  request.set_model_version(2);
  EXPECT_EQ(answered_by(), 2);
  request.clear_model_version();
  request.set_model_label("stable");
  EXPECT_EQ(answered_by(), 3);
  // A request without a user, for the model itself.
  EXPECT_EQ((*models->ResolveFor(v1::GetModelRequest()))->version, 3);
}

TEST_F(RegistryTest, AModelThatJoinsMovesNobody) {
  auto models = *Load({Model("a", 1, true)});
  const auto join = [&](const std::string& name, uint64_t version) {
    const auto model =
        models->LoadBeside(Model(name, version, false), store_, metrics_.info);
    ASSERT_TRUE(model.ok()) << model.status();
    models = models->With(*model);
  };
  join("a", 7);
  join("b", 1);
  join("b", 2);
  EXPECT_EQ((*models->Resolve("", 0))->version, 1);
  EXPECT_EQ((*models->Resolve("a", 0))->version, 1);
  EXPECT_EQ((*models->Resolve("b", 0))->version, 2);
  EXPECT_EQ(models->models().size(), 4);
  models = models->Without(*models->Find("b", 2));
  EXPECT_EQ((*models->Resolve("b", 0))->version, 1);
  EXPECT_EQ(models->models().size(), 3);
  EXPECT_EQ(models->models().back(), models->Find("b", 1));
}

TEST_F(RegistryTest, TellsOfTheLatestThatAreNotServed) {
  auto models = *Load({Model("a", 1, true)});
  for (uint64_t version = 2; version <= Registry::kMostUnserved + 2;
       ++version) {
    models = models->WithUnserved(
        {"a", version, v1::MODEL_STATE_FAILED, "why", absl::UnixEpoch()});
  }
  EXPECT_EQ(models->unserved().size(), Registry::kMostUnserved);
  EXPECT_EQ(models->FindUnserved("a", 2), nullptr);
  models = models->WithUnserved(
      {"a", 3, v1::MODEL_STATE_LOADING, "", absl::UnixEpoch()});
  EXPECT_EQ(models->FindUnserved("a", 3)->state, v1::MODEL_STATE_LOADING);
  EXPECT_EQ(models->CountUnserved(v1::MODEL_STATE_LOADING), 1);
  const auto joined = models->LoadBeside(Model("a", 3, false), store_,
                                         metrics_.info);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(models->With(*joined)->FindUnserved("a", 3), nullptr);
}

TEST_F(RegistryTest, RefusesABundleOfAnotherFingerprint) {
  ModelOptions model = Model("a", 1, true);
  model.expected_fingerprint = "0123";
  const absl::Status status = Load({model}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("model \"a\" version 1: "), HasSubstr("expected 0123")));
}

TEST_F(RegistryTest, NamesTheModelWhoseBundleIsMissing) {
  ModelOptions model = Model("a", 3, true);
  model.path = "/nowhere";
  const absl::Status status = Load({model}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("model \"a\" version 3: "));
}

// What an event says is the default model's matter: event_vocabulary_test.cc.
TEST_F(RegistryTest, ServesModelsOfDifferentEventsInAnyOrder) {
  ModelOptions everything = GoldenModel();
  for (const bool is_default : {false, true}) {
    everything.default_model = is_default;
    const ModelOptions plain = Model("plain", 1, !is_default);
    for (const auto& models : {std::vector{plain, everything},
                               std::vector{everything, plain}}) {
      const auto registry = Load(models);
      ASSERT_TRUE(registry.ok()) << registry.status();
      EXPECT_EQ((*registry)->vocabulary().event_features().size(),
                is_default ? 3u : 0u);
    }
  }
}

TEST_F(RegistryTest, ScoresInTheConfiguredPrecisionIfThereIsIt) {
  const auto precision = [&](ScoringPrecision configured) {
    ModelOptions model = Model("a", 1, true);
    model.precision = configured;
    const auto models = Load({model});
    EXPECT_TRUE(models.ok()) << models.status();
    return (*models)->models()[0]->engine->precision();
  };
  const auto if_there = [](Precision wanted) {
    return ProcessorHas(wanted) ? wanted : Precision::kF32;
  };
  EXPECT_EQ(precision(ScoringPrecision::kF32), Precision::kF32);
  EXPECT_EQ(precision(ScoringPrecision::kInt8), if_there(Precision::kInt8));
  EXPECT_EQ(precision(ScoringPrecision::kBf16), if_there(Precision::kBf16));
  EXPECT_EQ(precision(ScoringPrecision::kAuto), PrecisionsBySpeed()[0]);
}

// Golden requests of which one score is another's are not those of the weights.
TEST_F(RegistryTest, RefusesABundleThatTheEngineScoresOtherwise) {
  ModelOptions model = GoldenModel("all_l4_decay_conv_everything");
  OtherGoldenRequests other(model);
  model.name = "a";
  model.path = other.path();
  for (const ScoringPrecision precision :
       {ScoringPrecision::kF32, ScoringPrecision::kInt8,
        ScoringPrecision::kBf16, ScoringPrecision::kAuto}) {
    model.precision = precision;
    const absl::Status status = Load({model}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("model \"a\" version 1: "),
                      HasSubstr("the bundle's weights and the engine disagree"),
                      HasSubstr("case \"40 events\", candidate 3 "),
                      HasSubstr("in f32")));
    // --validate_config says so, too.
    EXPECT_EQ(Within("model \"a\" version 1: ", TryModel(model).status()), status);
  }
  other.Remove();
  EXPECT_TRUE(Load({model}).ok());
  EXPECT_TRUE(TryModel(model).ok());
}

// Whoever uses a model holds it.
TEST_F(RegistryTest, WhatIsInUseOutlivesItsReplacement) {
  auto first = *Load({Model("a", 1, true)});
  const std::weak_ptr<const Registry> watched = first;
  ModelRegistry registry(std::move(first));
  std::shared_ptr<const Registry> held = registry.Current();
  const LoadedModelPtr in_use = *held->Resolve("", 0);
  registry.Replace(*Load({Model("a", 2, true)}));
  EXPECT_EQ((*registry.Current()->Resolve("", 0))->version, 2);
  EXPECT_EQ((*held->Resolve("", 0))->version, 1);
  held = nullptr;
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(in_use->bundle().spec().name(), "dot_l1_plain");
  EXPECT_NE(in_use->id, (*registry.Current()->Resolve("", 0))->id);
}

}  // namespace
}  // namespace qlarank::testing
