#include "server/pipeline/state_reader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/pipeline/proto_time.h"
#include "tests/server/pipeline/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

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
    // The folder waits in the middle of whatever it has to fold, so that only
    // readers catch states up.
    store_.after_read_events = [this, test = std::this_thread::get_id()] {
      if (std::this_thread::get_id() != test) go_.load()->WaitForNotification();
    };
    Restart();
  }
  ~StateReaderTest() override { go_.load()->Notify(); }

  // Another life over the same store: nothing is cached.
  void Restart() {
    go_.load()->Notify();
    models_ = nullptr;
    go_ = &rounds_.emplace_back();
    ModelRegistry::Environment environment{store_, locks_, metrics_};
    environment.snapshot_interval = 2;
    models_ = *ModelRegistry::Load(options_.models, environment);
    model_ = models_->models()[0].get();
    scratch_ = model_->engine->NewScratch();
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
    StateReader reader(*model_, "user", demand);
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
  std::deque<absl::Notification> rounds_{1};
  std::atomic<absl::Notification*> go_{&rounds_.front()};
  FaultyStateStore store_;
  UserLocks locks_;
  Metrics metrics_;
  std::unique_ptr<ModelRegistry> models_;
  ServedModel* model_ = nullptr;
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
  Read(AtLeast(3));
  for (const int64_t minute : {20, 95}) Append(minute);
  const StateReader behind = Read({});
  EXPECT_EQ(behind.lookup().events_behind(), 2);
  EXPECT_EQ(Newest(behind), 40);
  // Too old: so it is caught up.
  EXPECT_EQ(Newest(Read(NewerThan(absl::Minutes(10)))), 95);
}

TEST_F(StateReaderTest, ASnapshotKeepsTheTimeOfItsNewestEvent) {
  for (const bool known : {true, false}) {
    for (const int64_t minute : {10, 90, 30}) Append(minute);
    Read(AtLeast(store_.GetHead("user")->last_sequence));
    ASSERT_TRUE(model_->memory->WriteSnapshots().ok());
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
    const auto behind = model_->memory->Find("user");
    ASSERT_TRUE(behind.ok());
    EXPECT_EQ(behind->events_behind(), 1);
    EXPECT_EQ((behind->newest_event_time_us() - kEpochUs) / kMinuteUs,
              known ? 90 : 30);
    EXPECT_EQ(Newest(Read(AtLeast(4))), 90);
  }
}

TEST_F(StateReaderTest, AStateThatIsTooFarBehindIsCaughtUp) {
  for (const int64_t minute : {1, 2, 3}) Append(minute);
  Read(AtLeast(3));
  for (const int64_t minute : {4, 5}) Append(minute);
  EXPECT_EQ(Read({}).lookup().events_behind(), 2);
  EXPECT_EQ(Read(Behind(2)).lookup().events_behind(), 2);
  EXPECT_EQ(Read(Behind(1)).lookup().events_behind(), 0);
  EXPECT_EQ(Read(Behind(0)).lookup().known.folded_sequence(), 5);
}

}  // namespace
}  // namespace qlarank::testing
