// Labels that move by themselves when enough users have a state.
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/models/model_description.h"
#include "tests/server/rollout/expect_refused.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Migrations wait until they are let go on.
class PendingLabelsTest : public ModelRolloutTest {
 protected:
  PendingLabelsTest() {
    for (int i = 0; i < 3; ++i) Append(absl::StrCat("user-", i), 80);
    store_.before_visit = [this](absl::string_view) {
      go_on_.WaitForNotification();
    };
    EXPECT_TRUE(Load(2).ok());
    EXPECT_TRUE(SetWhenCovered("stable", 2).ok());
  }
  ~PendingLabelsTest() override {
    GoOn();
    pipeline_ = nullptr;  // whose migrations look at go_on_
  }

  void GoOn() {
    if (!go_on_.HasBeenNotified()) go_on_.Notify();
  }
  absl::Status SetWhenCovered(const std::string& label, uint64_t version) {
    v1::SetLabelRequest request;
    request.set_model_name("m");
    request.set_label(label);
    request.set_model_version(version);
    request.set_when_covered(true);
    v1::SetLabelResponse response;
    return Call(request, response);
  }
  const std::map<std::string, PendingMove, std::less<>>& pending() {
    held_ = registry();
    return held_->LabelsOf("m").pending;
  }
  void AwaitUsual(uint64_t version) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (Usual() != version && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(Usual(), version);
  }

  absl::Notification go_on_;
  std::shared_ptr<const Registry> held_;
};

TEST_F(PendingLabelsTest, MoveWhenUsersAreCovered) {
  EXPECT_EQ(Usual(), 1);
  EXPECT_THAT(pending(), ElementsAre(Pair("stable", PendingMove{2, 0.99})));
  const v1::Model shown =
      DescribeModel(*registry()->Find("m", 2), *registry());
  ASSERT_EQ(shown.pending_labels_size(), 1);
  EXPECT_EQ(shown.pending_labels(0).label(), "stable");
  EXPECT_EQ(shown.pending_labels(0).model_version(), 2);
  EXPECT_EQ(shown.pending_labels(0).min_coverage(), 0.99);
  EXPECT_THAT(DescribeModel(*registry()->Find("m", 1), *registry())
                  .pending_labels(),
              IsEmpty());
  GoOn();
  AwaitUsual(2);
  EXPECT_THAT(pending(), IsEmpty());
  EXPECT_EQ(ReadServedModels(store_)->labels, registry()->labels());
}

TEST_F(PendingLabelsTest, AreTakenBackBySettingThem) {
  ASSERT_TRUE(Set("stable", 1).ok());
  EXPECT_THAT(pending(), IsEmpty());
  EXPECT_THAT(ReadServedModels(store_)->labels.at("m").pending, IsEmpty());
}

TEST_F(PendingLabelsTest, HoldTheVersionThatTheyWaitFor) {
  ExpectRefused(Unload(2), absl::StatusCode::kFailedPrecondition,
                "labels that point to it: stable, which waits");
  ASSERT_TRUE(Set("stable", 1).ok());
  EXPECT_TRUE(Unload(2, /*validate_only=*/true).ok());
}

// It was covered, and that could not be remembered before the end.
TEST_F(PendingLabelsTest, SurviveARestart) {
  store_.before_append = [](absl::Span<const UserAppend>) {
    return absl::UnavailableError("the disk is full");
  };
  GoOn();
  while (metrics_.migration.done.Value() == 0) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  pipeline_ = nullptr;
  store_.before_append = nullptr;
  EXPECT_THAT(ReadServedModels(store_)->labels.at("m").pending,
              ElementsAre(Pair("stable", PendingMove{2, 0.99})));
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  AwaitUsual(2);
}

TEST_F(PendingLabelsTest, WaitOnWhenTheMigrationFails) {
  store_.before_get_head = [](absl::string_view) {
    return absl::UnavailableError("the disk fails");
  };
  GoOn();
  while (metrics_.migration.failed.Value() == 0) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(Usual(), 1);
  EXPECT_THAT(pending(), ElementsAre(Pair("stable", PendingMove{2, 0.99})));
  pipeline_ = nullptr;
  store_.before_get_head = nullptr;
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  AwaitUsual(2);
}

// The bundle is gone at a restart: nothing moves to it, and nothing else is
// kept from being served.
TEST_F(PendingLabelsTest, WaitForAVersionThatDoesNotLoad) {
  GoOn();
  pipeline_ = nullptr;
  ServedModels served = *ReadServedModels(store_);
  served.labels["m"].versions.clear();
  served.labels["m"].pending = {{"stable", {2, 0.99}}};
  ASSERT_TRUE(WriteServedModels(served, store_).ok());
  std::filesystem::rename(base() + "/m/2", base() + "/m/.2");
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
  EXPECT_EQ(Usual(), 1);
  std::filesystem::rename(base() + "/m/.2", base() + "/m/2");
  ASSERT_TRUE(Load(2).ok());
  AwaitUsual(2);
}

}  // namespace
}  // namespace qlarank::testing
