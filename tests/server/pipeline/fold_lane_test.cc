#include "server/pipeline/fold_lane.h"

#include <atomic>
#include <functional>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/pipeline/proto_time.h"
#include "tests/server/pipeline/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

class FoldLaneTest : public ::testing::Test {
 protected:
  FoldLaneTest() {
    EXPECT_TRUE(store_.OpenFingerprint(engine_->state_fingerprint()).ok());
  }

  // Events first ... last in the log, and as a writer marks them.
  UserAppend Append(const std::string& user_id, uint64_t first, uint64_t last) {
    UserAppend append;
    append.user_id = user_id;
    append.head_after = *store_.GetHead(user_id);
    append.head_after.incarnation = 7;
    append.head_after.last_sequence = last;
    for (uint64_t n = first; n <= last; ++n) {
      const v1::Event event = MakeEvent(*bundle_, user_id, n);
      LoggedEvent& logged = append.events.emplace_back();
      logged.item_id = event.item_id();
      logged.action = event.action();
      logged.time_us = ToMicros(event.time());
      logged.features.assign(event.features().begin(), event.features().end());
    }
    EXPECT_TRUE(store_.AppendEvents(absl::MakeConstSpan(&append, 1)).ok());
    return append;
  }

  void Mark(std::vector<const UserAppend*> appends) {
    lane_.MarkDirty(appends, absl::Now());
  }

  uint64_t Folded(const std::string& user_id) {
    return memory_.Find(user_id)->known.folded_sequence();
  }

  // Marks `bystander` and `user` for one round, and calls `meanwhile` while
  // that is under way: before it has folded anything.
  void InARound(const UserAppend& user, const std::function<void()>& meanwhile) {
    absl::Notification begun, go;
    std::atomic<int> reads{0};
    store_.after_read_events = [&] {
      if (++reads > 1) return;
      begun.Notify();
      go.WaitForNotification();
    };
    Append("bystander", 1, 1);
    const UserAppend second = Append("bystander", 2, 2);  // reads the log
    Mark({&second, &user});
    begun.WaitForNotification();
    meanwhile();
    go.Notify();
    ASSERT_TRUE(lane_.WaitIdle(absl::Now() + absl::Seconds(60)));
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::unique_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  FaultyStateStore store_;
  UserLocks locks_;
  Metrics metrics_;
  UserMemory memory_{*engine_, store_, locks_, metrics_, {}};
  FoldLane lane_{memory_, metrics_};
};

// A burst is folded in several rounds: what is left of one does not take the
// place of what was appended during it.
TEST_F(FoldLaneTest, EventsThatComeDuringARoundOfABurstAreFolded) {
  const UserAppend burst = Append("user", 1, FoldLane::kChunk + 44);
  UserAppend last;
  InARound(burst, [&] {
    last = Append("user", FoldLane::kChunk + 45, FoldLane::kChunk + 46);
    Mark({&last});
  });
  EXPECT_EQ(Folded("user"), FoldLane::kChunk + 46);
  EXPECT_EQ(metrics_.ingest.fold_backlog_users.Value(), 0);
}

// Nor does it when some of what was appended is not at hand.
TEST_F(FoldLaneTest, AGapBehindWhatIsLeftIsReadFromTheLog) {
  const UserAppend burst = Append("user", 1, FoldLane::kChunk + 44);
  UserAppend last;
  InARound(burst, [&] {
    Append("user", FoldLane::kChunk + 45, FoldLane::kChunk + 45);
    last = Append("user", FoldLane::kChunk + 46, FoldLane::kChunk + 46);
    Mark({&last});
  });
  EXPECT_EQ(Folded("user"), FoldLane::kChunk + 46);
}

}  // namespace
}  // namespace qlarank::testing
