#include "server/rank/state_reader.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/work/proto_time.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;
using Origin = UserMemory::Origin;

constexpr int64_t kMinuteUs = 60'000'000;

StateDemand AtLeast(uint64_t events) {
  StateDemand demand;
  demand.min_event_count = events;
  return demand;
}
StateDemand Behind(uint64_t events) {
  StateDemand demand;
  demand.max_events_behind = events;
  return demand;
}
StateDemand NewerThan(absl::Duration age) {
  StateDemand demand;
  demand.max_age = age;
  return demand;
}

class StateReaderTest : public ::testing::Test {
 protected:
  StateReaderTest() {
    // Owners wait at their first look at the log: only readers catch states up, each for itself, until FoldNow.
    store_.after_read_events = [this, test = std::this_thread::get_id()] {
      if (std::this_thread::get_id() == test) {
        if (on_read_ != nullptr) std::exchange(on_read_, nullptr)();
        return;
      }
      const auto open = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return open_;
      };
      absl::MutexLock lock(&mutex_, absl::Condition(&open));
    };
    Restart();
  }
  ~StateReaderTest() override {
    SetOpen(true);
    partitions_ = nullptr;
  }

  void SetOpen(bool open) {
    absl::MutexLock lock(&mutex_);
    open_ = open;
  }

  // Another life over the same store: nothing is cached.
  void Restart(size_t cache_bytes = size_t{1} << 20) {
    SetOpen(true);
    partitions_ = nullptr;
    memory_ = nullptr;
    SetOpen(false);
    const auto registry =
        *Registry::Load(options_.models, store_, metrics_.info);
    model_ = registry->models()[0];
    states_ = std::make_unique<UserStates>(
        store_, metrics_,
        UserStates::Options{.cache_bytes = cache_bytes,
                            .snapshot_interval = 2});
    memory_ = states_->Of(model_);
    partitions_ = *Partitions::Create(store_, *registry, *states_, metrics_, {});
    scratch_ = model_->engine->NewScratch();
  }

  // Folds all that the user has, and waits for their snapshot.
  void FoldNow() {
    SetOpen(true);
    partitions_->CatchUp(*model_, "user");
    ASSERT_TRUE(partitions_->WaitUntilFolded(absl::Seconds(60)));
    ASSERT_TRUE(states_->AwaitSnapshots().ok());
    SetOpen(false);
  }

  // The user's next event, so many minutes after the epoch, in the log alone:
  // nobody folds it before it is asked for.
  void Append(int64_t minute) {
    UserAppend append;
    append.user_id = "user";
    append.head_after = *store_.GetHead("user");
    UserHead& head = append.head_after;
    head.incarnation = 7;
    const uint64_t n = ++head.last_sequence;
    const v1::Event event = MakeEvent(model_->bundle(), "user", n);
    LoggedEvent& logged = append.events.emplace_back();
    logged.item_id = event.item_id();
    logged.action = event.action();
    logged.time_us = kEpochUs + minute * kMinuteUs;
    logged.features.assign(event.features().begin(), event.features().end());
    head.last_event_time_us = n == 1 ? logged.time_us
                                     : std::max(head.last_event_time_us,
                                                logged.time_us);
    ASSERT_TRUE(store_.AppendEvents(absl::MakeConstSpan(&append, 1)).ok());
  }

  StateReader Read(StateDemand demand) {
    demand.time_us = kEpochUs + 100 * kMinuteUs;
    StateReader reader(*memory_, *partitions_, "user", demand);
    while (!reader.done()) reader.Step(*scratch_);
    return reader;
  }
  // The newest event, by what the API says, in minutes.
  int64_t Newest(const StateReader& reader) {
    return (ToMicros(DescribeState(reader.lookup()).last_event_time()) -
            kEpochUs) /
           kMinuteUs;
  }

  const ServerOptions options_ = TestOptions();
  // Called once, when a reader has read events and not folded them yet.
  std::function<void()> on_read_;
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  FaultyStateStore store_;
  Metrics metrics_;
  std::unique_ptr<UserStates> states_;
  std::unique_ptr<Partitions> partitions_;
  LoadedModelPtr model_;
  std::shared_ptr<UserMemory> memory_;
  std::unique_ptr<EngineScratch> scratch_;
};

TEST_F(StateReaderTest, TheNewestEventIsNewestByTimeWhicheverCameLast) {
  for (const int64_t minute : {10, 90, 30}) Append(minute);
  EXPECT_EQ(Newest(Read(AtLeast(3))), 90);
  EXPECT_TRUE(Read(NewerThan(absl::Minutes(10))).status().ok());
  const absl::Status status = Read(NewerThan(absl::Minutes(9))).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no event after 2023-11-14T23:43:20"));
}

// Of the events in it, not of those that wait.
TEST_F(StateReaderTest, TheNewestEventOfAStateThatIsBehindIsOneThatItHas) {
  for (const int64_t minute : {10, 40, 30}) Append(minute);
  FoldNow();
  for (const int64_t minute : {20, 95}) Append(minute);
  const StateReader behind = Read({});
  EXPECT_EQ(behind.lookup().events_behind(), 2);
  EXPECT_EQ(Newest(behind), 40);
  // Too old: so it is caught up.
  EXPECT_EQ(Newest(Read(NewerThan(absl::Minutes(10)))), 95);
}

// One who asks for more than is published folds it by themselves; whoever comes
// after them, and asks for nothing, sees as much, and not what is published.
TEST_F(StateReaderTest, NobodySeesLessThanAReaderBeforeThem) {
  for (const int64_t minute : {10, 20, 30}) Append(minute);
  FoldNow();
  for (const int64_t minute : {40, 50}) Append(minute);
  EXPECT_EQ(Read({}).lookup().known.folded_sequence(), 3);
  EXPECT_EQ(Read(AtLeast(5)).lookup().known.folded_sequence(), 5);
  EXPECT_EQ(Read({}).lookup().known.folded_sequence(), 5);
  Append(60);
  EXPECT_EQ(Read({}).lookup().known.folded_sequence(), 6);
  // Until as much is published.
  FoldNow();
  Append(70);
  const StateReader published = Read({});
  EXPECT_EQ(published.lookup().origin, Origin::kCache);
  EXPECT_EQ(published.lookup().known.folded_sequence(), 6);
}

TEST_F(StateReaderTest, ASnapshotKeepsTheTimeOfItsNewestEvent) {
  for (const bool known : {true, false}) {
    for (const int64_t minute : {10, 90, 30}) Append(minute);
    FoldNow();
    ASSERT_TRUE(states_->WriteSnapshots().ok());
    // One that a binary wrote which did not know of it.
    if (!known) {
      store_.spoil_snapshot = [](Snapshot& snapshot) {
        snapshot.newest_event_time_us = std::nullopt;
      };
    }
    Restart();
    EXPECT_EQ(Newest(Read({})), 90) << known;
    Append(20);
    Restart();
    const auto behind = memory_->Find("user");
    ASSERT_TRUE(behind.ok());
    EXPECT_EQ(behind->events_behind(), 1);
    EXPECT_EQ((behind->newest_event_time_us() - kEpochUs) / kMinuteUs,
              known ? 90 : 30);
    EXPECT_EQ(Newest(Read(AtLeast(4))), 90);
  }
}

TEST_F(StateReaderTest, AStateThatIsTooFarBehindIsCaughtUp) {
  for (const int64_t minute : {1, 2, 3}) Append(minute);
  FoldNow();
  for (const int64_t minute : {4, 5}) Append(minute);
  EXPECT_EQ(Read({}).lookup().events_behind(), 2);
  EXPECT_EQ(Read(Behind(2)).lookup().events_behind(), 2);
  EXPECT_EQ(Read(Behind(1)).lookup().events_behind(), 0);
  EXPECT_EQ(Read(Behind(0)).lookup().known.folded_sequence(), 5);
}

TEST_F(StateReaderTest, AReaderPublishesNothing) {
  for (const int64_t minute : {1, 2, 3}) Append(minute);
  EXPECT_EQ(Read(AtLeast(3)).lookup().known.folded_sequence(), 3);
  EXPECT_EQ(memory_->Find("user")->origin, Origin::kNothing);
  // The owner was asked to.
  SetOpen(true);
  ASSERT_TRUE(partitions_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(memory_->Find("user")->origin, Origin::kCache);
  EXPECT_EQ(memory_->Find("user")->known.folded_sequence(), 3);
  // Of what is in a snapshot, too.
  ASSERT_TRUE(states_->WriteSnapshots().ok());
  Restart();
  EXPECT_EQ(Read({}).lookup().known.folded_sequence(), 3);
  SetOpen(true);
  ASSERT_TRUE(partitions_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(memory_->Find("user")->origin, Origin::kCache);
}

// A reader is held up for long behind its look at the log: meanwhile more was
// folded, a snapshot of it written, the state evicted and the log trimmed.
TEST_F(StateReaderTest, AReaderThatIsHeldUpTurnsNothingBack) {
  Restart(/*cache_bytes=*/0);
  const std::string fingerprint = model_->engine->state_fingerprint();
  for (int minute = 1; minute <= 8; ++minute) Append(minute);
  on_read_ = [&] {
    for (int minute = 9; minute <= 20; ++minute) Append(minute);
    FoldNow();
    ASSERT_TRUE(store_.TrimLog("user", 15, {fingerprint}).ok());
  };
  const StateReader held_up = Read({});
  EXPECT_EQ(on_read_, nullptr);
  EXPECT_EQ(held_up.lookup().known.folded_sequence(), 8);
  ASSERT_TRUE(states_->AwaitSnapshots().ok());
  const auto snapshot = store_.GetSnapshot(fingerprint, "user");
  ASSERT_TRUE(snapshot.ok() && snapshot->has_value());
  EXPECT_EQ((*snapshot)->folded_sequence, 20);
  EXPECT_EQ(Read({}).lookup().known.folded_sequence(), 20);
}

TEST_F(StateReaderTest, AStateOnItsWayBackIsCaughtUp) {
  for (size_t n = 1; n <= 3 * FoldQueue::kChunk; ++n) Append(1);
  SetOpen(true);
  auto fold = [&] {
    LogTail none;
    return memory_->BeginFold("user", none, 2);
  }();
  ASSERT_TRUE(fold.ok());
  memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
  memory_->Publish("user", fold->after());
  SetOpen(false);
  EXPECT_EQ(memory_->Find("user")->known.folded_sequence(), 2);
  EXPECT_EQ(Read({}).lookup().events_behind(), 0);
}

}  // namespace
}  // namespace qlarank::testing
