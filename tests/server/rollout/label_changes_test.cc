#include "server/rollout/label_changes.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/memory_state_store.h"
#include "tests/server/rollout/expect_refused.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

class LabelChangesTest : public ::testing::Test {
 protected:
  // Model "m" with versions 1, 2 and 3.
  LabelChangesTest() {
    std::vector<ModelOptions> models;
    for (uint64_t version = 1; version <= 3; ++version) {
      ModelOptions& model = models.emplace_back(GoldenModel("dot_l1_plain"));
      model.name = "m";
      model.version = version;
      model.default_model = version == 1;
    }
    registry_ = *Registry::Load(models, store_, metrics_.info);
  }

  absl::Status Set(const std::string& label, uint64_t version,
                   const std::string& etag = "",
                   const std::string& model = "m") {
    v1::SetLabelRequest request;
    request.set_model_name(model);
    request.set_label(label);
    request.set_model_version(version);
    request.set_etag(etag);
    return Take(Changed(*registry_, request));
  }
  // Of .75 of the users.
  absl::Status Await(const std::string& label, uint64_t version) {
    v1::SetLabelRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_model_version(version);
    return Take(ChangedWhenCovered(*registry_, request, .75));
  }
  absl::Status Remove(const std::string& label, const std::string& etag = "") {
    v1::RemoveLabelRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_etag(etag);
    return Take(Changed(*registry_, request));
  }
  absl::Status Rollback(const std::string& etag = "") {
    v1::RollbackRequest request;
    request.set_model_name("m");
    request.set_etag(etag);
    return Take(Changed(*registry_, request));
  }
  absl::Status SetTraffic(const std::string& label, double share,
                          std::vector<std::string> users = {},
                          const std::string& etag = "") {
    v1::SetTrafficRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_share(share);
    request.mutable_user_ids()->Assign(users.begin(), users.end());
    request.set_etag(etag);
    return Take(Changed(*registry_, request));
  }
  absl::Status SetShadow(const std::string& label, uint64_t version,
                         double sample, const std::string& etag = "") {
    v1::SetShadowRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_model_version(version);
    request.set_sample(sample);
    request.set_etag(etag);
    return Take(Changed(*registry_, request));
  }
  const ModelLabels& labels() const { return registry_->LabelsOf("m"); }
  uint64_t stable() const { return labels().VersionOf("stable"); }

  MemoryStateStore store_;
  Metrics metrics_;
  std::shared_ptr<const Registry> registry_;

 private:
  absl::Status Take(absl::StatusOr<ModelLabels> changed) {
    if (!changed.ok()) return changed.status();
    registry_ = registry_->WithLabels({{"m", *std::move(changed)}});
    return absl::OkStatus();
  }
};

TEST_F(LabelChangesTest, ALabelPointsToAVersionThatIsServed) {
  ASSERT_TRUE(Set("stable", 1).ok());
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  EXPECT_EQ(labels().versions,
            (std::map<std::string, uint64_t, std::less<>>{{"canary", 3},
                                                          {"stable", 2}}));
  ExpectRefused(Set("canary", 4), absl::StatusCode::kNotFound,
                "model_version: 4; ");
  ExpectRefused(Set("canary", 0), absl::StatusCode::kNotFound,
                "model_version: 0; ");
  ExpectRefused(Set("canary", 1, "", "n"), absl::StatusCode::kNotFound,
                "model_name: \"n\"; ");
}

TEST_F(LabelChangesTest, LabelsAreShortAndPlain) {
  const std::string longest(32, 'a');
  EXPECT_TRUE(Set(longest, 1).ok());
  EXPECT_TRUE(Set("a-b_9", 1).ok());
  for (const std::string& label :
       {std::string(), longest + "a", std::string("Stable"), std::string("a b"),
        std::string("a/b"), std::string("\xc3\xa4")}) {
    ExpectRefused(Set(label, 1), absl::StatusCode::kInvalidArgument, "label: ");
  }
}

TEST_F(LabelChangesTest, ThereAreSoManyOfAModel) {
  for (size_t i = 0; i < kMostLabels; ++i) {
    ASSERT_TRUE(Set(absl::StrCat("label-", i), 1).ok());
  }
  ExpectRefused(Set("one-more", 1), absl::StatusCode::kFailedPrecondition,
                "has 64 labels");
  EXPECT_TRUE(Set("label-7", 2).ok());  // one that there is may move
}

TEST_F(LabelChangesTest, TwoOperatorsDoNotUndoEachOther) {
  const std::string seen = labels().etag();
  ASSERT_TRUE(Set("stable", 2, seen).ok());
  const std::string now = labels().etag();
  EXPECT_NE(now, seen);
  for (const absl::Status& status :
       {Set("stable", 3, seen), Remove("stable", seen), Rollback(seen)}) {
    ExpectRefused(status, absl::StatusCode::kAborted,
                  absl::StrCat("have \"", now, "\""));
  }
  EXPECT_EQ(stable(), 2);
  EXPECT_TRUE(Set("stable", 3, now).ok());
}

TEST_F(LabelChangesTest, WhatChangesNothingIsNoChange) {
  ASSERT_TRUE(Set("stable", 1).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  const ModelLabels before = labels();
  ASSERT_TRUE(Set("stable", 2).ok());
  EXPECT_EQ(labels(), before);
}

TEST_F(LabelChangesTest, RollsBackOnceToTheVersionBefore) {
  ExpectRefused(Rollback(), absl::StatusCode::kFailedPrecondition,
                "no version to go back to");
  ASSERT_TRUE(Set("stable", 1).ok());
  ExpectRefused(Rollback(), absl::StatusCode::kFailedPrecondition,
                "no version to go back to");
  ASSERT_TRUE(Set("stable", 2).ok());
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(Rollback().ok());
  EXPECT_EQ(stable(), 1);
  EXPECT_EQ(labels().VersionOf("canary"), 3);
  ExpectRefused(Rollback(), absl::StatusCode::kFailedPrecondition,
                "no version to go back to");
}

TEST_F(LabelChangesTest, ARemovedStableCanBeRolledBackTo) {
  ASSERT_TRUE(Set("stable", 2).ok());
  ASSERT_TRUE(Remove("stable").ok());
  EXPECT_EQ(stable(), 0);
  ExpectRefused(Remove("stable"), absl::StatusCode::kNotFound,
                "label: \"stable\"; ");
  ASSERT_TRUE(Rollback().ok());
  EXPECT_EQ(stable(), 2);
}

TEST_F(LabelChangesTest, DoesNotRollBackToWhatIsNotLoaded) {
  ASSERT_TRUE(Set("stable", 2).ok());
  ASSERT_TRUE(Set("stable", 3).ok());
  registry_ = registry_->Without(*registry_->Find("m", 2));
  ExpectRefused(Rollback(), absl::StatusCode::kFailedPrecondition,
                "version 2, which its label \"stable\" pointed to before, is "
                "not loaded");
  EXPECT_EQ(stable(), 3);
}

TEST_F(LabelChangesTest, OneThatIsPendingIsTakenBackByWhateverComesNext) {
  ASSERT_TRUE(Set("stable", 1).ok());
  ASSERT_TRUE(Set("stable", 2).ok());
  const ModelLabels before = labels();
  ASSERT_TRUE(Await("stable", 3).ok());
  EXPECT_EQ(stable(), 2);
  EXPECT_EQ(labels().pending.at("stable").version, 3);
  EXPECT_GT(labels().revision, before.revision);
  const std::shared_ptr<const Registry> waiting = registry_;
  const auto again = [&] { registry_ = waiting; };

  const std::string etag = labels().etag();
  ASSERT_TRUE(Set("stable", 2).ok());  // where it is
  EXPECT_TRUE(labels().pending.empty());
  EXPECT_NE(labels().etag(), etag);
  again();
  ASSERT_TRUE(Await("stable", 1).ok());
  EXPECT_EQ(labels().pending.at("stable").version, 1);
  again();
  ASSERT_TRUE(Await("stable", 2).ok());
  EXPECT_TRUE(labels().pending.empty());
  again();
  ASSERT_TRUE(Rollback().ok());
  EXPECT_EQ(stable(), 1);
  EXPECT_TRUE(labels().pending.empty());
  again();
  ASSERT_TRUE(Remove("stable").ok());
  EXPECT_EQ(stable(), 0);
  EXPECT_TRUE(labels().pending.empty());
  again();
  ASSERT_TRUE(Set("canary", 1).ok());
  EXPECT_FALSE(labels().pending.empty());
}

TEST_F(LabelChangesTest, AFolderMovesALabelOnlyForwardAndOnce) {
  const auto for_folder = [&](uint64_t version) {
    v1::SetLabelRequest request;
    request.set_model_name("m");
    request.set_label("stable");
    request.set_model_version(version);
    return *ChangedForFolder(*registry_, request, .75);
  };
  EXPECT_EQ(for_folder(2), labels());  // 3 is served
  ASSERT_TRUE(Await("stable", 3).ok());
  EXPECT_EQ(for_folder(3), labels());
  ASSERT_TRUE(Set("stable", 3).ok());
  EXPECT_EQ(for_folder(3), labels());
  ASSERT_TRUE(Set("stable", 1).ok());
  const ModelLabels changed = for_folder(3);
  EXPECT_EQ(changed.VersionOf("stable"), 1);
  EXPECT_EQ(changed.pending.at("stable"), (PendingMove{3, .75}));
  registry_ = registry_->WithLabels({{"m", changed}});
  ASSERT_TRUE(Set("stable", 1).ok());
  EXPECT_TRUE(labels().pending.empty());
  EXPECT_EQ(for_folder(3), labels());  // somebody took it back
}

TEST_F(LabelChangesTest, OneThatIsOnlyPendingCanBeRemoved) {
  ASSERT_TRUE(Await("canary", 3).ok());
  ASSERT_TRUE(Remove("canary").ok());
  EXPECT_TRUE(labels().pending.empty());
  EXPECT_EQ(labels().revision, 2);
}

TEST_F(LabelChangesTest, WhatIsPendingMovesWhereItIsCovered) {
  ASSERT_TRUE(Set("stable", 1).ok());
  ASSERT_TRUE(Await("stable", 3).ok());
  ASSERT_TRUE(Await("canary", 2).ok());
  const LabelsOfModels moved = MovedWhereCovered(
      *registry_, [](const LoadedModel& model, double wanted) {
        EXPECT_EQ(wanted, .75);
        return model.version == 3;
      });
  EXPECT_EQ(moved.at("m").VersionOf("stable"), 3);
  EXPECT_EQ(moved.at("m").before_stable, 1);
  EXPECT_EQ(moved.at("m").VersionOf("canary"), 0);
  EXPECT_EQ(moved.at("m").pending.size(), 1);
  EXPECT_EQ(MovedWhereCovered(*registry_,
                              [](const LoadedModel&, double) { return false; }),
            registry_->labels());
}

TEST_F(LabelChangesTest, TrafficIsOfALabelUntilItEnds) {
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(SetTraffic("canary", .05, {"carl", "ann", "carl"}).ok());
  EXPECT_EQ(labels().traffic, (Traffic{"canary", .05, {"ann", "carl"}}));
  ASSERT_TRUE(Set("other", 2).ok());
  ExpectRefused(SetTraffic("other", .1), absl::StatusCode::kFailedPrecondition,
                "the label \"canary\" of model \"m\" has traffic");
  ASSERT_TRUE(SetTraffic("canary", 0, {"ann"}).ok());
  EXPECT_EQ(labels().traffic, (Traffic{"canary", 0, {"ann"}}));
  ASSERT_TRUE(SetTraffic("canary", 0).ok());
  EXPECT_EQ(labels().traffic, std::nullopt);
  EXPECT_TRUE(SetTraffic("other", 1).ok());
}

TEST_F(LabelChangesTest, TrafficIsWhatMakesSense) {
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(Set("stable", 1).ok());
  for (const double share : {-.1, 1.1, kNotANumber}) {
    ExpectRefused(SetTraffic("canary", share),
                  absl::StatusCode::kInvalidArgument, "share: ");
  }
  ExpectRefused(SetTraffic("stable", .1), absl::StatusCode::kInvalidArgument,
                "label: \"stable\"; ");
  ExpectRefused(SetTraffic("none", .1), absl::StatusCode::kNotFound,
                "label: \"none\"; model \"m\" has no such label");
  ExpectRefused(SetTraffic("canary", .1, {"ann", ""}),
                absl::StatusCode::kInvalidArgument, "user_ids[1]: ");
  EXPECT_TRUE(
      SetTraffic("canary", .1, std::vector<std::string>(100, "ann")).ok());
  ExpectRefused(
      SetTraffic("canary", .1, std::vector<std::string>(101, "ann")),
      absl::StatusCode::kInvalidArgument, "user_ids: 101 users; ");
  ExpectRefused(SetTraffic("canary", .1, {std::string((16 << 10) + 1, 'a')}),
                absl::StatusCode::kInvalidArgument, "user_ids: 16385 bytes; ");
}

TEST_F(LabelChangesTest, AShadowIsAVersionOrALabel) {
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(SetShadow("", 2, .5).ok());
  EXPECT_EQ(labels().ShadowVersion(), 2);
  ASSERT_TRUE(SetShadow("canary", 0, .5).ok());
  EXPECT_EQ(labels().ShadowVersion(), 3);
  ASSERT_TRUE(Set("canary", 1).ok());
  EXPECT_EQ(labels().ShadowVersion(), 1);
  for (const double sample : {-.1, 1.1, kNotANumber}) {
    ExpectRefused(SetShadow("canary", 0, sample),
                  absl::StatusCode::kInvalidArgument, "sample: ");
  }
  ExpectRefused(SetShadow("canary", 2, .5), absl::StatusCode::kInvalidArgument,
                "label: \"canary\"; has a model_version beside it, 2");
  ExpectRefused(SetShadow("", 9, .5), absl::StatusCode::kNotFound,
                "model_version: 9; ");
  ExpectRefused(SetShadow("", 0, .5), absl::StatusCode::kNotFound,
                "model_version: 0; ");
  ExpectRefused(SetShadow("none", 0, .5), absl::StatusCode::kNotFound,
                "label: \"none\"; ");
  ASSERT_TRUE(SetShadow("", 0, 0).ok());
  EXPECT_EQ(labels().shadow, std::nullopt);
  EXPECT_EQ(labels().ShadowVersion(), 0);
}

TEST_F(LabelChangesTest, WhatALabelWasGivenEndsWithIt) {
  ASSERT_TRUE(Set("canary", 3).ok());
  ASSERT_TRUE(Set("other", 3).ok());
  ASSERT_TRUE(SetTraffic("canary", .05).ok());
  ASSERT_TRUE(SetShadow("canary", 0, .5).ok());
  ASSERT_TRUE(Remove("other").ok());
  EXPECT_NE(labels().traffic, std::nullopt);
  EXPECT_NE(labels().shadow, std::nullopt);
  ASSERT_TRUE(Remove("canary").ok());
  EXPECT_EQ(labels().traffic, std::nullopt);
  EXPECT_EQ(labels().shadow, std::nullopt);
}

TEST_F(LabelChangesTest, TrafficAndShadowsChangeTheEtag) {
  ASSERT_TRUE(Set("canary", 3).ok());
  std::string seen = labels().etag();
  ASSERT_TRUE(SetTraffic("canary", .05, {}, seen).ok());
  ExpectRefused(SetShadow("canary", 0, .5, seen), absl::StatusCode::kAborted,
                "were changed meanwhile");
  seen = labels().etag();
  ASSERT_TRUE(SetShadow("canary", 0, .5, seen).ok());
  ExpectRefused(SetTraffic("canary", 0, {}, seen), absl::StatusCode::kAborted,
                "were changed meanwhile");
  const ModelLabels before = labels();
  ASSERT_TRUE(SetTraffic("canary", .05).ok());
  ASSERT_TRUE(SetShadow("canary", 0, .5).ok());
  EXPECT_EQ(labels(), before);
}

}  // namespace
}  // namespace qlarank::testing
