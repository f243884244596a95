#include "tests/server/rollout/model_rollout_testing.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "tests/server/rollout/expect_refused.h"

namespace qlarank::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(ModelRolloutTest, LoadsAVersionAndMovesNobody) {
  ASSERT_TRUE(Load(2).ok());
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
  EXPECT_EQ(Usual(), 1);
  EXPECT_EQ((*registry()->Resolve("m", 0))->version, 1);
  EXPECT_EQ((*registry()->Resolve("m", 2))->version, 2);
  EXPECT_EQ(metrics_.models.loads_ok.Value(), 1);
  EXPECT_EQ(metrics_.models.serving.Value(), 2);
  ExpectRefused(Load(2), absl::StatusCode::kAlreadyExists,
                "model \"m\" version 2 is served already");
}

TEST_F(ModelRolloutTest, ABundleThatFailsLeavesWhatServes) {
  const auto before = registry()->models()[0];
  const absl::Time began = absl::Now();
  ExpectRefused(Load(4), absl::StatusCode::kFailedPrecondition,
                "model \"m\" version 4: ");
  EXPECT_EQ(Listed(), "1 SERVING, 4 FAILED");
  EXPECT_EQ(registry()->models()[0], before);
  const UnservedModel* failed = registry()->FindUnserved("m", 4);
  ASSERT_NE(failed, nullptr);
  EXPECT_THAT(failed->error, HasSubstr("weights and the engine disagree"));
  EXPECT_GE(failed->since, began);
  EXPECT_EQ(metrics_.models.failed.Value(), 1);
  EXPECT_EQ(metrics_.models.loads_failed.Value(), 1);
  // Once it is mended it can be loaded.
  ASSERT_TRUE(Load(4, false, "m/3").ok());
  EXPECT_EQ(Listed(), "1 SERVING, 4 SERVING");
}

TEST_F(ModelRolloutTest, AFailureCanBeForgotten) {
  ASSERT_FALSE(Load(4).ok());
  EXPECT_TRUE(Unload(4).ok());
  EXPECT_EQ(Listed(), "1 SERVING");
  ExpectRefused(Unload(4), absl::StatusCode::kNotFound, "model_version: 4; ");
}

TEST_F(ModelRolloutTest, OnlySaysWhatWouldHappen) {
  EXPECT_TRUE(Load(2, /*validate_only=*/true).ok());
  ExpectRefused(Load(4, /*validate_only=*/true),
                absl::StatusCode::kFailedPrecondition, "disagree");
  EXPECT_EQ(Listed(), "1 SERVING");
  ASSERT_TRUE(Load(2).ok());
  EXPECT_TRUE(Set("stable", 2, /*validate_only=*/true).ok());
  EXPECT_EQ(Usual(), 1);
  EXPECT_TRUE(Unload(2, /*validate_only=*/true).ok());
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
}

TEST_F(ModelRolloutTest, NeedsABasePath) {
  options_.model_base_path = "";
  Start();
  ExpectRefused(Load(2), absl::StatusCode::kFailedPrecondition,
                "model_base_path");
  EXPECT_EQ(Listed(), "1 SERVING");
}

TEST_F(ModelRolloutTest, RequestsFollowStable) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  EXPECT_EQ(Usual(), 2);
  EXPECT_EQ((*registry()->Resolve("m", 0))->version, 2);
  EXPECT_EQ((*registry()->Resolve("", 1))->version, 1);
  ASSERT_TRUE(Set("canary", 1).ok());
  EXPECT_EQ((*registry()->Resolve("", 0, "canary"))->version, 1);
}

TEST_F(ModelRolloutTest, ALabelWaitsForUsersToHaveStates) {
  absl::Notification go_on;
  store_.before_visit = [&](absl::string_view) {
    go_on.WaitForNotification();
  };
  options_.migration.max_events_behind = 0;
  Start();
  for (int i = 0; i < 40; ++i) Append(absl::StrCat("user-", i), 60);
  ASSERT_TRUE(Load(2).ok());
  min_coverage_ = std::nullopt;
  ExpectRefused(Set("stable", 2), absl::StatusCode::kFailedPrecondition,
                "min_coverage: 0.99; model \"m\" version 2");
  min_coverage_ = 1.5;
  ExpectRefused(Set("stable", 2), absl::StatusCode::kInvalidArgument,
                "min_coverage: 1.5; must be 0 to 1");
  EXPECT_EQ(Usual(), 1);
  min_coverage_ = 0;
  ASSERT_TRUE(Set("stable", 2).ok());
  EXPECT_EQ(Usual(), 2);
  go_on.Notify();
  pipeline_ = nullptr;
}

TEST_F(ModelRolloutTest, AVersionWithoutRoomForItsAddedItemsIsRefused) {
  ASSERT_TRUE(Load(3).ok());
  v1::UpsertItemsRequest upsert;
  upsert.set_model_name("m");
  upsert.set_model_version(3);
  const uint32_t width =
      registry()->Find("m", 3)->bundle().spec().d_model();
  for (const uint64_t id : {1'000'003, 1'000'004}) {
    v1::UpsertedItem& item = *upsert.add_items();
    item.set_item_id(id);
    for (uint32_t i = 0; i < width; ++i) item.add_embedding(.1f);
  }
  v1::UpsertItemsResponse response;
  absl::Notification done;
  pipeline_->items().Start(upsert, response, [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    done.Notify();
  });
  done.WaitForNotification();
  ASSERT_TRUE(Unload(3).ok());
  options_.catalogue.max_added_items = 1;
  Start();
  // Of the same bundle, whose embeddings they are; asked about, and in earnest.
  for (const bool validate_only : {true, false}) {
    ExpectRefused(Load(2, validate_only), absl::StatusCode::kResourceExhausted,
                  "model \"m\" version 2");
  }
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
}

TEST_F(ModelRolloutTest, WhatALabelPointsToAndTheDefaultStay) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  ASSERT_TRUE(Set("canary", 2).ok());
  ExpectRefused(Unload(2), absl::StatusCode::kFailedPrecondition,
                "labels that point to it: canary, stable");
  ExpectRefused(Unload(1), absl::StatusCode::kFailedPrecondition,
                "the configuration's default model");
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
}

TEST_F(ModelRolloutTest, MetricsAreOfWhatIsLoaded) {
  const auto text = [&] {
    return prometheus::TextSerializer().Serialize(
        metrics_.registry.Collect());
  };
  const std::string second =
      "qlarank_state_bytes{model=\"m\",version=\"2\"}";
  ASSERT_TRUE(Load(2).ok());
  EXPECT_THAT(text(), HasSubstr(second));
  ASSERT_TRUE(Unload(2).ok());
  EXPECT_THAT(text(), Not(HasSubstr(second)));
  EXPECT_THAT(text(), HasSubstr("qlarank_state_bytes{model=\"m\","
                                "version=\"1\"}"));
  EXPECT_THAT(text(), HasSubstr("qlarank_models{state=\"serving\"} 1\n"));
}

TEST_F(ModelRolloutTest, UnloadingWaitsForWhoeverHoldsTheModel) {
  ASSERT_TRUE(Load(2).ok());
  RankModelPtr held =
      pipeline_->rank_models().Of(*registry()->Resolve("m", 2));
  v1::UnloadModelRequest request;
  request.set_model_name("m");
  request.set_model_version(2);
  v1::UnloadModelResponse response;
  absl::Notification done;
  pipeline_->rollout().Start(request, response, [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    done.Notify();
  });
  while (Listed() != "1 SERVING, 2 DRAINING") {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_TRUE(absl::IsNotFound(registry()->Resolve("m", 2).status()));
  EXPECT_FALSE(
      done.WaitForNotificationWithTimeout(absl::Milliseconds(50)));
  const std::weak_ptr<const Engine> engine = held->loaded->engine;
  held = nullptr;
  done.WaitForNotification();
  EXPECT_TRUE(engine.expired());
  EXPECT_EQ(Listed(), "1 SERVING");
  EXPECT_EQ(metrics_.models.draining.Value(), 0);
  EXPECT_TRUE(Load(2).ok());
}

// Versions 2 and 3 have the same fingerprint.
TEST_F(ModelRolloutTest, StatesAreDroppedWithTheLastVersionThatHasThem) {
  Append("user", 100);
  const auto drop = [&](uint64_t version, bool validate_only = false) {
    v1::UnloadModelRequest request;
    request.set_model_name("m");
    request.set_model_version(version);
    request.set_drop_states(true);
    request.set_validate_only(validate_only);
    v1::UnloadModelResponse response;
    EXPECT_TRUE(Call(request, response).ok());
    return response;
  };
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Load(3).ok());
  const std::string fingerprint =
      registry()->Find("m", 2)->engine->state_fingerprint();
  EXPECT_EQ(drop(2).states_kept_for(), "m/3");
  EXPECT_THAT(*store_.ListFingerprints(), Contains(fingerprint));
  EXPECT_TRUE(drop(3, /*validate_only=*/true).states_dropped());
  EXPECT_THAT(*store_.ListFingerprints(), Contains(fingerprint));
  EXPECT_TRUE(drop(3).states_dropped());
  EXPECT_THAT(*store_.ListFingerprints(), Not(Contains(fingerprint)));
  EXPECT_EQ(store_.ListFingerprints()->size(), 1);
  // Made anew.
  ASSERT_TRUE(Load(2).ok());
  EXPECT_TRUE(Unload(2).ok());
  EXPECT_THAT(*store_.ListFingerprints(), Contains(fingerprint));
}

TEST_F(ModelRolloutTest, StatesOfTheConfigurationStay) {
  options_.models.push_back(GoldenModel("all_l1_plain"));
  options_.models.back().name = "configured";
  options_.models.back().default_model = false;
  Start();
  const std::string id = absl::StrCat("configured/", registry()->models()[1]->version);
  v1::UnloadModelRequest request;
  request.set_model_name("configured");
  request.set_model_version(registry()->models()[1]->version);
  v1::UnloadModelResponse response;
  ASSERT_TRUE(Call(request, response).ok());
  EXPECT_FALSE(response.states_dropped());
  ASSERT_TRUE(Load(2).ok());
  request.set_model_name("m");
  request.set_model_version(2);
  request.set_drop_states(true);
  ASSERT_TRUE(Call(request, response).ok());
  EXPECT_FALSE(response.states_dropped());
  EXPECT_EQ(response.states_kept_for(), id);
}

TEST_F(ModelRolloutTest, StatesOfWhatIsNotServedAreNotKnown) {
  ASSERT_FALSE(Load(4).ok());
  v1::UnloadModelRequest request;
  request.set_model_name("m");
  request.set_model_version(4);
  request.set_drop_states(true);
  v1::UnloadModelResponse response;
  ExpectRefused(Call(request, response), absl::StatusCode::kFailedPrecondition,
                "drop_states: true; model \"m\" version 4 is not served");
  EXPECT_EQ(Listed(), "1 SERVING, 4 FAILED");
}

TEST_F(ModelRolloutTest, LoadsAndLabelsSurviveARestart) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Load(9, false, "m/3").ok());
  ASSERT_TRUE(Load(3).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  ASSERT_TRUE(Set("stable", 9).ok());
  ASSERT_TRUE(Unload(3).ok());
  const LabelsOfModels labels = registry()->labels();
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING, 9 SERVING");
  EXPECT_EQ(registry()->labels(), labels);
  EXPECT_EQ(Usual(), 9);
  EXPECT_EQ(metrics_.models.serving.Value(), 3);
  v1::RollbackRequest rollback;
  rollback.set_model_name("m");
  v1::RollbackResponse response;
  ASSERT_TRUE(Call(rollback, response).ok());
  EXPECT_EQ(Usual(), 2);
}

TEST_F(ModelRolloutTest, AChangeOfLabelsThatIsSentAgainIsNotMadeAgain) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Load(3).ok());
  v1::SetLabelRequest request;
  request.set_model_name("m");
  request.set_label("stable");
  request.set_model_version(2);
  request.set_min_coverage(0);
  request.set_etag(registry()->LabelsOf("m").etag());
  request.set_request_id("monday");
  v1::SetLabelResponse first, again;
  ASSERT_TRUE(Call(request, first).ok());
  EXPECT_EQ(first.labels().versions().at("stable"), 2);
  ASSERT_TRUE(Set("stable", 3).ok());
  const auto expect_repeated = [&] {
    again.Clear();
    const absl::Status status = Call(request, again);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(again.labels().versions().at("stable"), 2);
    EXPECT_EQ(again.labels().etag(), first.labels().etag());
    EXPECT_EQ(Usual(), 3);
  };
  expect_repeated();
  Start();
  expect_repeated();
  v1::RollbackRequest rollback;
  rollback.set_model_name("m");
  rollback.set_request_id("monday");
  v1::RollbackResponse response;
  ExpectRefused(Call(rollback, response), absl::StatusCode::kInvalidArgument,
                "request_id: \"monday\"; something else was asked for");
  rollback.set_request_id("tuesday");
  ASSERT_TRUE(Call(rollback, response).ok());
  ASSERT_TRUE(Call(rollback, response).ok());
  EXPECT_EQ(Usual(), 2);
}

TEST_F(ModelRolloutTest, AMigrationThatIsDoneIsNotBegunAgain) {
  ASSERT_TRUE(Load(2).ok());
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (!ReadServedModels(store_)->loaded[0].migrated && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  Start();
  EXPECT_EQ(metrics_.migration.begun.Value(), 1);
  // While it is not loaded, nobody folds for it.
  std::filesystem::rename(base() + "/m/2", base() + "/m/.2");
  Start();
  EXPECT_FALSE(ReadServedModels(store_)->loaded[0].migrated);
  std::filesystem::rename(base() + "/m/.2", base() + "/m/2");
  Start();
  EXPECT_EQ(metrics_.migration.begun.Value(), 2);
}

TEST_F(ModelRolloutTest, AVersionThatIsGoneAtARestartFailsAlone) {
  ASSERT_TRUE(Load(2).ok());
  std::filesystem::remove_all(base() + "/m/2");
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
  // It is tried again every time, until somebody lets it go.
  Start();
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
  ASSERT_TRUE(Unload(2).ok());
  Start();
  EXPECT_EQ(Listed(), "1 SERVING");
}

// So that retention keeps its events, and nobody drops its states.
TEST_F(ModelRolloutTest, WhatDoesNotLoadAtARestartIsKnownByItsStates) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Load(3).ok());
  const std::string fingerprint =
      registry()->Find("m", 2)->engine->state_fingerprint();
  std::filesystem::rename(base() + "/m/2", base() + "/m/.2");
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  ASSERT_EQ(Listed(), "1 SERVING, 2 FAILED, 3 SERVING");
  EXPECT_EQ(registry()->FindUnserved("m", 2)->state_fingerprint, fingerprint);
  ASSERT_FALSE(Load(2).ok());  // it is not there yet
  EXPECT_EQ(registry()->FindUnserved("m", 2)->state_fingerprint, fingerprint);
  v1::UnloadModelRequest request;
  request.set_model_name("m");
  request.set_model_version(3);
  request.set_drop_states(true);
  v1::UnloadModelResponse response;
  ASSERT_TRUE(Call(request, response).ok());
  EXPECT_EQ(response.states_kept_for(), "m/2");
}

// A label that is asked for meanwhile would find it covered.
TEST_F(ModelRolloutTest, AVersionIsNotServedBeforeItsMigrationHasBegun) {
  Append("user", 100);
  absl::Notification go_on;
  store_.before_visit = [&](absl::string_view) {
    go_on.WaitForNotification();
  };
  min_coverage_ = std::nullopt;
  std::atomic<bool> stop = false;
  std::thread hurried([&] {
    while (!stop && !Set("stable", 2).ok()) {
    }
  });
  EXPECT_TRUE(Load(2).ok());
  EXPECT_FALSE(Set("stable", 2).ok());
  stop = true;
  hurried.join();
  EXPECT_EQ(Usual(), 1);
  go_on.Notify();
  pipeline_ = nullptr;
  store_.before_visit = nullptr;
}

TEST_F(ModelRolloutTest, AServerWithoutWhatALabelPointsToDoesNotStart) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  std::filesystem::remove_all(base() + "/m/2");
  Start();
  ExpectRefused(start_, absl::StatusCode::kFailedPrecondition,
                "the label \"stable\" points to model \"m\" version 2, which "
                "could not be loaded: ");
  // The way out.
  options_.models.push_back(GoldenModel("all_l1_plain"));
  options_.models.back().name = "m";
  options_.models.back().version = 2;
  options_.models.back().default_model = false;
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(Usual(), 2);
}

TEST_F(ModelRolloutTest, ARecordThatIsDamagedIsNamedAtStart) {
  const Mark mark = {std::string(kServedModelsMark), "\xff"};
  ASSERT_TRUE(store_.AppendEvents({}, {&mark, 1}).ok());
  Start();
  ExpectRefused(start_, absl::StatusCode::kDataLoss, "mark \"served models\"");
}

TEST_F(ModelRolloutTest, NothingIsServedThatIsNotRemembered) {
  ASSERT_TRUE(Load(2).ok());
  store_.before_append = [](absl::Span<const UserAppend>) {
    return absl::UnavailableError("the disk is full");
  };
  ExpectRefused(Load(3), absl::StatusCode::kUnavailable, "the disk is full");
  ExpectRefused(Set("stable", 2), absl::StatusCode::kUnavailable,
                "the disk is full");
  ExpectRefused(Unload(2), absl::StatusCode::kUnavailable, "the disk is full");
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING, 3 FAILED");
  EXPECT_THAT(registry()->labels(), IsEmpty());
  store_.before_append = nullptr;
  EXPECT_TRUE(Load(3).ok());
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING, 3 SERVING");
}

}  // namespace
}  // namespace qlarank::testing
