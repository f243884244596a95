// "stable" has moved to a version under which a user's state would take too long
// to fold.
#include "server/rank/version_before.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

constexpr uint64_t kEvents = 40;

std::vector<float> ScoresOf(const v1::RankResponse& response) {
  return {response.scores().begin(), response.scores().end()};
}

// Migrations wait until they are let go on: states under a version that was
// loaded are not there.
class VersionBeforeTest : public ModelRolloutTest {
 protected:
  VersionBeforeTest() {
    options_.migration.max_replay_events = kEvents - 1;
    store_.before_visit = [this](absl::string_view) {
      go_on_.WaitForNotification();
    };
    Start();
    Append("user", kEvents);
    MoveStable(1);
  }
  ~VersionBeforeTest() override {
    GoOn();
    pipeline_ = nullptr;  // whose migrations look at go_on_
  }

  void GoOn() {
    if (!go_on_.HasBeenNotified()) go_on_.Notify();
  }

  void MoveStable(uint64_t version) {
    if (registry()->Find("m", version) == nullptr) {
      ASSERT_TRUE(Load(version).ok());
    }
    ASSERT_TRUE(Set("stable", version).ok());
  }

  v1::RankResponse Rank(const v1::RankRequest& request) {
    v1::RankResponse response;
    absl::Notification done;
    RankCall::Context context;
    context.arrival = absl::Now();
    auto admission = pipeline_->rank().Admit(request, context);
    EXPECT_TRUE(admission.ok()) << admission.status();
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            [&](absl::Status status, RequestSlot slot) {
                              { const RequestSlot back = std::move(slot); }
                              EXPECT_TRUE(status.ok()) << status;
                              done.Notify();
                            });
    done.WaitForNotification();
    return response;
  }
  v1::RankRequest Request(uint64_t version = 0) {
    const Bundle& bundle = registry()->models()[0]->bundle();
    v1::RankRequest request =
        MakeRank(bundle, "user", CatalogueItems(bundle, 70));
    request.set_model_version(version);
    return request;
  }
  // For whoever it was that answered.
  void ExpectScoresOfItsVersion(const v1::RankResponse& response) {
    v1::RankRequest request = Request(response.model_version());
    request.set_min_event_count(kEvents);
    EXPECT_EQ(response.state().folded_sequence(), kEvents);
    EXPECT_TRUE(ScoresOf(response) == ScoresOf(Rank(request)));
  }
  double Counted(uint64_t version) {
    return metrics_.rank.ForModel("m", version)
        .answered_by_version_before.Value();
  }

  absl::Notification go_on_;
};

TEST_F(VersionBeforeTest, AnswersUntilTheOwnerHasFolded) {
  MoveStable(2);
  const v1::RankResponse first = Rank(Request());
  EXPECT_EQ(first.model_version(), 1);
  EXPECT_TRUE(first.answered_by_version_before());
  EXPECT_EQ(Counted(2), 1);
  EXPECT_EQ(Counted(1), 0);
  // It has had the owner asked.
  v1::RankResponse next;
  const absl::Time end = absl::Now() + absl::Seconds(60);
  do {
    next = Rank(Request());
  } while (next.answered_by_version_before() && absl::Now() < end);
  EXPECT_EQ(next.model_version(), 2);
  ExpectScoresOfItsVersion(first);
  ExpectScoresOfItsVersion(next);
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
  EXPECT_EQ(metrics_.rank.queue_depth.Value(), 0);
}

TEST_F(VersionBeforeTest, WhoNamesAVersionGetsIt) {
  MoveStable(2);
  const v1::RankResponse named = Rank(Request(2));
  EXPECT_EQ(named.model_version(), 2);
  EXPECT_FALSE(named.answered_by_version_before());
  ExpectScoresOfItsVersion(named);
}

TEST_F(VersionBeforeTest, WhoNamesALabelGetsIt) {
  MoveStable(2);
  v1::RankRequest request = Request();
  request.set_model_label("stable");
  EXPECT_EQ(Rank(request).model_version(), 2);
  EXPECT_EQ(Counted(2), 0);
}

TEST_F(VersionBeforeTest, WhatIsWithinTheBudgetIsFolded) {
  options_.migration.max_replay_events = kEvents;
  Start();
  MoveStable(2);
  EXPECT_EQ(Rank(Request()).model_version(), 2);
}

// Nobody has folded for either of them.
TEST_F(VersionBeforeTest, OneThatIsNoNearerDoesNotAnswer) {
  MoveStable(2);
  MoveStable(3);
  EXPECT_EQ(Rank(Request()).model_version(), 3);
}

TEST_F(VersionBeforeTest, OneThatWasUnloadedDoesNotAnswer) {
  MoveStable(2);
  MoveStable(3);
  const auto before = [&] {
    return VersionBefore(*registry(), *registry()->Find("m", 3), Request());
  };
  EXPECT_EQ(before(), registry()->Find("m", 2));
  GoOn();  // unloading waits for the migration to stop
  ASSERT_TRUE(Unload(2).ok());
  EXPECT_EQ(before(), nullptr);
}

// Whom another label's traffic has brought to a version that nobody has folded
// for yet.
TEST_F(VersionBeforeTest, OfTrafficItIsWhatStablePointsTo) {
  ASSERT_TRUE(Load(2).ok());
  ASSERT_TRUE(Set("canary", 2).ok());
  v1::SetTrafficRequest traffic;
  traffic.set_model_name("m");
  traffic.set_label("canary");
  traffic.set_share(1);
  v1::SetTrafficResponse response;
  ASSERT_TRUE(Call(traffic, response).ok());
  const v1::RankResponse first = Rank(Request());
  EXPECT_EQ(first.model_version(), 1);
  EXPECT_TRUE(first.answered_by_version_before());
  EXPECT_EQ(Counted(2), 1);
  v1::RankRequest named = Request();
  named.set_model_label("canary");
  EXPECT_EQ(Rank(named).model_version(), 2);
  EXPECT_EQ(Rank(Request()).model_version(), 2);
}

TEST_F(VersionBeforeTest, WhereStableWentBackToStatesAreThere) {
  MoveStable(2);
  MoveStable(1);
  const v1::RankResponse response = Rank(Request());
  EXPECT_EQ(response.model_version(), 1);
  EXPECT_FALSE(response.answered_by_version_before());
}

// Two versions of the model that has everything, the second one changed: what a
// request says is not valid for both, or would not mean the same.
class ChangedVersionTest : public VersionBeforeTest {
 protected:
  ChangedVersionTest() {
    options_.models[0] = GoldenModel();
    options_.models[0].name = "m";
    options_.models[0].version = 1;
  }

  // Loads version 5, and points "stable" to it.
  void Serve(const std::function<void(model::v1::ModelSpec&)>& change) {
    BundleCopy copy(GoldenModel().path);
    copy.EditSpec(change);
    copy.SealFingerprint();
    copy.EditSpec([](model::v1::ModelSpec& spec) { spec.clear_golden_sha256(); });
    std::filesystem::copy(copy.spec_path().parent_path(), base() + "/m/5");
    store_.before_visit = nullptr;
    Start();
    store_.before_visit = [this](absl::string_view) {
      go_on_.WaitForNotification();
    };
    ASSERT_NE(pipeline_, nullptr) << start_;
    Append("other", kEvents);
    MoveStable(5);
  }
  v1::RankRequest Request() {
    const Bundle& bundle = registry()->Find("m", 5)->bundle();
    return MakeRank(bundle, "other", CatalogueItems(bundle, 70));
  }
};

TEST_F(ChangedVersionTest, WhatBothTakeTheOneBeforeAnswers) {
  Serve([](model::v1::ModelSpec& spec) { spec.set_description("new"); });
  EXPECT_EQ(Rank(Request()).model_version(), 1);
}

TEST_F(ChangedVersionTest, NumbersThatMeanSomethingElseAreNotGiven) {
  Serve([](model::v1::ModelSpec& spec) {
    spec.mutable_candidate_features(0)->append("-new");
  });
  EXPECT_EQ(Rank(Request()).model_version(), 5);
}

TEST_F(ChangedVersionTest, ScoresOfOtherTasksAreNotGiven) {
  Serve([](model::v1::ModelSpec& spec) {
    spec.mutable_tasks(1)->mutable_name()->append("-new");
  });
  EXPECT_EQ(Rank(Request()).model_version(), 5);
}

TEST_F(ChangedVersionTest, TasksGoByTheirNames) {
  std::string kept, renamed;
  Serve([&](model::v1::ModelSpec& spec) {
    kept = spec.tasks(0).name();
    spec.mutable_tasks(1)->mutable_name()->append("-new");
    renamed = spec.tasks(1).name();
  });
  v1::RankRequest request = Request();
  request.add_tasks(kept);
  EXPECT_EQ(Rank(request).model_version(), 1);
  request.set_tasks(0, renamed);
  EXPECT_EQ(Rank(request).model_version(), 5);
}

}  // namespace
}  // namespace qlarank::testing
