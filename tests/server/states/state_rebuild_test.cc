#include "server/states/state_rebuild.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/pipeline.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

// Histories of 1 to some hundred events, through the ingest pipeline.
class StateRebuildTest : public ::testing::Test {
 protected:
  static constexpr int kUsers = 60;

  static std::string User(int i) { return absl::StrCat("user-", i); }
  static uint64_t NumEvents(int i) { return 1 + (i * 37) % 290; }

  // Live: in pieces, with several folding threads.
  void IngestAndFold() {
    ServerOptions options = TestOptions();
    options.ingest.fold_threads = 3;
    auto pipeline = *Pipeline::Create(options, store_, metrics_);
    for (uint64_t first = 1; first <= 290; first += 29) {
      for (int i = 0; i < kUsers; ++i) {
        const uint64_t last = std::min(NumEvents(i), first + 28);
        if (first <= last) Append(*pipeline, User(i), first, last);
      }
    }
    ASSERT_TRUE(pipeline->WaitUntilFolded(absl::Seconds(60)));
    ASSERT_TRUE(pipeline->Flush().ok());
  }

  void Append(Pipeline& pipeline, const std::string& user, uint64_t first,
              uint64_t last) {
    const auto request = MakeAppend(*bundle_, user, first, last);
    absl::Notification done;
    pipeline.ingest().Append(request, absl::Now(), {},
                             IngestPipeline::OnFull::kWait,
                             [&](const AppendResult& result) {
                               EXPECT_TRUE(result.status.ok())
                                   << result.status;
                               done.Notify();
                             });
    done.WaitForNotification();
  }

  std::string StoredState(const std::string& user) {
    const auto snapshot =
        store_.GetSnapshot(engine_->state_fingerprint(), user);
    return snapshot.ok() && snapshot->has_value() ? (*snapshot)->state : "";
  }

  absl::StatusOr<RebuildTotals> Rebuild(size_t num_threads) {
    const std::string fingerprint = engine_->state_fingerprint();
    EXPECT_TRUE(store_.DropFingerprint(fingerprint).ok());
    EXPECT_TRUE(store_.OpenFingerprint(fingerprint).ok());
    RebuildOptions options;
    options.num_threads = num_threads;
    options.on_progress = [this](const RebuildTotals&) { ++reports_; };
    options.progress_interval = absl::ZeroDuration();
    return RebuildStates(engine_, store_, metrics_, options);
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  FaultyStateStore store_;
  Metrics metrics_;
  std::atomic<int> reports_ = 0;
};

TEST_F(StateRebuildTest, RebuiltStatesHaveTheBitsOfLiveFolding) {
  IngestAndFold();
  std::vector<std::string> live;
  for (int i = 0; i < kUsers; ++i) {
    live.push_back(StoredState(User(i)));
    ASSERT_EQ(live.back(), *FreshFold(*engine_, store_, User(i))) << User(i);
  }
  for (const size_t num_threads : {1, 3}) {
    const auto totals = Rebuild(num_threads);
    ASSERT_TRUE(totals.ok()) << totals.status();
    EXPECT_EQ(totals->users, kUsers);
    EXPECT_EQ(totals->failed_users, 0);
    uint64_t events = 0;
    for (int i = 0; i < kUsers; ++i) {
      events += NumEvents(i);
      EXPECT_EQ(StoredState(User(i)), live[i]) << User(i);
    }
    EXPECT_EQ(totals->events, events);
  }
  EXPECT_GT(reports_, 0);
}

TEST_F(StateRebuildTest, AnEmptyStoreIsRebuiltAtOnce) {
  const auto totals = Rebuild(2);
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->users, 0);
}

}  // namespace
}  // namespace qlarank::testing
