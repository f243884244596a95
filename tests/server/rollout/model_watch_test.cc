#include "server/rollout/model_watch.h"

#include <filesystem>
#include <string>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;

class ModelWatchTest : public ModelRolloutTest {
 protected:
  ModelWatchTest() {
    for (const char* version : {"2", "3", "4"}) Hide(version);
    options_.model_watch.interval = absl::Milliseconds(2);
    Start();
  }

  // Bundles come and go by renaming, as they are to.
  void Hide(const std::string& version) {
    fs::rename(base() + "/m/" + version, base() + "/m/." + version);
  }
  void Bring(const std::string& version) {
    fs::rename(base() + "/m/." + version, base() + "/m/" + version);
  }
  void AwaitListed(const std::string& listed) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (Listed() != listed && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(Listed(), listed);
  }
  // Returns when it has looked, from its beginning to its end, twice at what
  // there is now.
  void AwaitLooks() {
    const double enough = metrics_.models.watch_looks.Value() + 3;
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (metrics_.models.watch_looks.Value() < enough && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_GE(metrics_.models.watch_looks.Value(), enough);
  }
  void AwaitUsual(uint64_t version) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (Usual() != version && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(Usual(), version);
  }
  // As the configuration says it now.
  void Restart() {
    Start();
    ASSERT_TRUE(start_.ok()) << start_;
  }
};

TEST_F(ModelWatchTest, VersionsComeAndGoWithTheirFolders) {
  EXPECT_EQ(Listed(), "1 SERVING");
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  EXPECT_EQ(Usual(), 1);
  Bring("3");
  AwaitListed("1 SERVING, 2 SERVING, 3 SERVING");
  Hide("2");
  AwaitListed("1 SERVING, 3 SERVING");
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING, 3 SERVING");
  AwaitLooks();
  EXPECT_EQ(metrics_.models.watch_loaded.Value(), 3);
  EXPECT_EQ(metrics_.models.watch_unloaded.Value(), 1);
}

TEST_F(ModelWatchTest, AFailureIsTriedAgainWhenItsFolderChanges) {
  Bring("4");
  AwaitListed("1 SERVING, 4 FAILED");
  AwaitLooks();
  EXPECT_EQ(metrics_.models.watch_failed.Value(), 1);
  fs::copy(base() + "/m/.3/golden.textproto", base() + "/m/4/.golden");
  fs::copy(base() + "/m/.3/model.textproto", base() + "/m/4/.model");
  fs::rename(base() + "/m/4/.golden", base() + "/m/4/golden.textproto");
  fs::rename(base() + "/m/4/.model", base() + "/m/4/model.textproto");
  AwaitListed("1 SERVING, 4 SERVING");
}

TEST_F(ModelWatchTest, AFailureIsForgottenWithItsFolder) {
  Bring("4");
  AwaitListed("1 SERVING, 4 FAILED");
  Hide("4");
  AwaitListed("1 SERVING");
}

TEST_F(ModelWatchTest, ALinkThatLeadsElsewhereFails) {
  fs::create_directory_symlink(GoldenModel("all_l1_plain").path,
                               base() + "/m/5");
  AwaitListed("1 SERVING, 5 FAILED");
  EXPECT_NE(registry()->FindUnserved("m", 5)->error.find(
                "must lie below model_base_path"),
            std::string::npos);
}

TEST_F(ModelWatchTest, WhatALabelPointsToStaysWithoutItsFolder) {
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  ASSERT_TRUE(Set("stable", 2).ok());
  Hide("2");
  AwaitLooks();
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
  ASSERT_TRUE(Set("stable", 1).ok());
  AwaitListed("1 SERVING");
}

TEST_F(ModelWatchTest, WhatAnOperatorUnloadedStaysSo) {
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  AwaitLooks();
  ASSERT_TRUE(Unload(2).ok());
  AwaitLooks();
  EXPECT_EQ(Listed(), "1 SERVING");
}

TEST_F(ModelWatchTest, WhatAnOperatorLoadedFromElsewhereIsTheirs) {
  ASSERT_TRUE(Load(7, /*validate_only=*/false, "m/.2").ok());
  AwaitLooks();
  EXPECT_EQ(Listed(), "1 SERVING, 7 SERVING");
}

TEST_F(ModelWatchTest, OnlyTheNewestAreKept) {
  options_.model_watch.keep_versions = 1;
  Start();
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  Bring("3");
  AwaitListed("1 SERVING, 3 SERVING");
}

TEST_F(ModelWatchTest, OnlyThoseAreLoadedThatAreChosen) {
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  options_.model_watch.versions = {{"m", 3}, {"other", 2}};
  Restart();
  AwaitListed("1 SERVING");
  Bring("3");
  AwaitListed("1 SERVING, 3 SERVING");
}

TEST_F(ModelWatchTest, TheLabelMovesToTheNewestWhenItIsCovered) {
  options_.model_watch.label = "stable";
  Restart();
  Append("user", 80);
  absl::Notification go_on;
  store_.before_visit = [&](absl::string_view) {
    go_on.WaitForNotification();
  };
  Bring("3");
  AwaitListed("1 SERVING, 3 SERVING");
  EXPECT_EQ(Usual(), 1);
  EXPECT_EQ(registry()->LabelsOf("m").pending.at("stable"),
            (PendingMove{3, .99}));
  // In the record that says that it is loaded: no crash comes between.
  EXPECT_EQ(ReadServedModels(store_)->labels.at("m").pending.at("stable"),
            (PendingMove{3, .99}));
  go_on.Notify();
  AwaitUsual(3);
  // An older one that comes late is loaded and not gone to.
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING, 3 SERVING");
  EXPECT_TRUE(registry()->LabelsOf("m").pending.empty());
  EXPECT_EQ(Usual(), 3);
  pipeline_ = nullptr;  // it uses go_on
  store_.before_visit = nullptr;
}

TEST_F(ModelWatchTest, WhatWasRolledBackFromIsNotGoneToAgain) {
  options_.model_watch.label = "stable";
  Restart();
  ASSERT_TRUE(Set("stable", 1).ok());
  Bring("2");
  AwaitUsual(2);
  v1::RollbackRequest rollback;
  rollback.set_model_name("m");
  v1::RollbackResponse response;
  ASSERT_TRUE(Call(rollback, response).ok());
  ASSERT_TRUE(Unload(2).ok());
  Restart();  // who unloaded it is forgotten
  AwaitListed("1 SERVING, 2 SERVING");
  EXPECT_TRUE(registry()->LabelsOf("m").pending.empty());
  EXPECT_EQ(Usual(), 1);
  Bring("3");
  AwaitUsual(3);
}

TEST_F(ModelWatchTest, OthersModelsAreNotLookedAt) {
  options_.model_watch.models = {"other"};
  Start();
  Bring("2");
  AwaitLooks();
  EXPECT_EQ(Listed(), "1 SERVING");
}

// As when a file system is not mounted any more.
TEST_F(ModelWatchTest, NothingGoesWithTheFolderOfAll) {
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  fs::rename(base() + "/m", dir_.Path("away"));
  AwaitLooks();
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
  fs::rename(base(), dir_.Path("base-away"));
  const double before = metrics_.models.watch_unlisted.Value();
  while (metrics_.models.watch_unlisted.Value() < before + 3) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
}

TEST_F(ModelWatchTest, ARestartFindsWhatChangedMeanwhile) {
  Bring("2");
  AwaitListed("1 SERVING, 2 SERVING");
  pipeline_ = nullptr;
  Hide("2");
  Bring("3");
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  AwaitListed("1 SERVING, 3 SERVING");
}

}  // namespace
}  // namespace qlarank::testing
