#include "server/upkeep/retention.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/logging.h"
#include "server/pipeline.h"
#include "server/states/state_rebuild.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// When the n-th event of MakeAppend happened.
absl::Time TimeOfEvent(uint64_t n) {
  return absl::FromUnixMicros(kEpochUs) + absl::Minutes(n);
}

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() { Start(GoldenModel()); }

  // A server's insides over the store, which stays.
  void Start(const ModelOptions& model) { Start(TestOptions(model)); }
  void Start(const ServerOptions& options) {
    pipeline_ = nullptr;
    pipeline_ = *Pipeline::Create(options, *store_, metrics_);
  }

  void Append(const std::string& user, uint64_t first, uint64_t last) {
    const auto request = MakeAppend(*bundle_, user, first, last);
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {},
                               IngestPipeline::OnFull::kWait,
                               [&](const AppendResult& result) {
                                 EXPECT_TRUE(result.status.ok())
                                     << result.status;
                                 done.Notify();
                               });
    done.WaitForNotification();
    ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  }

  void Sweep(const RetentionOptions& options, absl::Time now) {
    Retention retention(*store_, pipeline_->partitions(), pipeline_->models(),
                        metrics_, options);
    retention.Sweep(now);
  }

  // Those of somebody who knows what they do.
  static RetentionOptions WithoutBounds() {
    RetentionOptions options;
    options.allow_idle_store = true;
    options.max_daily_share = 1;
    return options;
  }

  double Refused(const std::string& reason) {
    return reason == "clock" ? metrics_.retention.refused_for_clock.Value()
                             : metrics_.retention.refused_for_share.Value();
  }

  uint64_t CountUsers() {
    uint64_t users = 0;
    EXPECT_TRUE(store_
                    ->ForEachUser([&](auto, auto&) {
                      ++users;
                      return true;
                    })
                    .ok());
    return users;
  }

  const RankModel& model() const {
    return *pipeline_->rank_models().Of(
        pipeline_->models().Current()->models()[0]);
  }

  // The state that requests are served from, with what the log has after it.
  absl::StatusOr<std::string> ServedState(const std::string& user) {
    auto lookup = model().memory->Find(user);
    if (!lookup.ok()) return lookup.status();
    auto fold = model().memory->ReadTail(user, *lookup, kNoLimit);
    if (!fold.ok()) return fold.status();
    const auto scratch = model().engine().NewScratch();
    model().memory->RunFolds(absl::MakeSpan(&*fold, 1), *scratch);
    return model().engine().SerializeState(*fold->after().state);
  }

  // What it must be: of the same events, in a store that nobody trims.
  std::string FreshState(const std::string& user, uint64_t last) {
    const auto store = NewMemoryStateStore();
    Metrics metrics;
    auto pipeline = *Pipeline::Create(TestOptions(), *store, metrics);
    std::swap(pipeline, pipeline_);
    Append(user, 1, last);
    std::swap(pipeline, pipeline_);
    return *FreshFold(*engine_, *store, user);
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  const std::unique_ptr<FaultyStateStore> store_ =
      std::make_unique<FaultyStateStore>();
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(RetentionTest, ErasesIdleUsersAndNobodyElse) {
  Append("idle", 1, 5);
  Append("busy", 1, 100);
  RetentionOptions options;
  options.idle_user_ttl = absl::Minutes(50);
  Sweep(options, TimeOfEvent(5) + absl::Minutes(50));
  EXPECT_EQ(store_->GetHead("idle")->last_sequence, 5u);  // not yet
  Sweep(options, TimeOfEvent(5) + absl::Minutes(51));
  EXPECT_EQ(*store_->GetHead("idle"), UserHead());
  EXPECT_EQ(model().memory->Find("idle")->known.folded_sequence(), 0u);
  EXPECT_EQ(store_->GetHead("busy")->last_sequence, 100u);
  const auto erasures = *store_->ListErasures("", kNoLimit);
  ASSERT_EQ(erasures.size(), 1u);
  EXPECT_EQ(erasures[0].user_digest, store_->DigestOfUser("idle"));
  EXPECT_EQ(erasures[0].note.reason, "idle");
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 1);
}

// By a clock that is months ahead everybody has been idle for months.
TEST_F(RetentionTest, AWrongClockErasesNobody) {
  for (int user = 0; user < 20; ++user) {
    Append(absl::StrCat("user", user), 1, 5);
  }
  RetentionOptions options;
  options.idle_user_ttl = absl::Hours(24 * 30);
  const absl::Time wrong = TimeOfEvent(5) + 9 * options.idle_user_ttl;
  std::ostringstream log;
  InitLogging(LogOptions(), log);
  Sweep(options, wrong);
  InitLogging(LogOptions());
  EXPECT_EQ(CountUsers(), 20u);
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 0);
  EXPECT_EQ(metrics_.retention.failures.Value(), 1);
  EXPECT_EQ(Refused("clock"), 1);
  const auto text = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  };
  EXPECT_THAT(log.str(),
              AllOf(HasSubstr("ERROR"), HasSubstr(text(wrong)),
                    HasSubstr(text(TimeOfEvent(5))),
                    HasSubstr("retention.allow_idle_store")));
  // Nor does it once one user writes by that clock, as all the others go at
  // once.
  Append("new", 9 * 30 * 24 * 60, 9 * 30 * 24 * 60);
  Sweep(options, wrong);
  EXPECT_EQ(CountUsers(), 21u);
  EXPECT_EQ(Refused("clock"), 0);
  EXPECT_EQ(Refused("share"), 1);
  // Somebody has looked.
  options.max_daily_share = 1;
  log.str("");
  InitLogging(LogOptions(), log);
  Sweep(options, wrong);
  InitLogging(LogOptions());
  EXPECT_EQ(CountUsers(), 1u);
  EXPECT_EQ(Refused("share"), 0);
  EXPECT_THAT(log.str(), HasSubstr("retention has removed idle_users=20 "
                                   "of_users=21 events=0 of_events=101"));
}

TEST_F(RetentionTest, AnIdleStoreIsSweptWhenItIsAllowed) {
  Append("ann", 1, 5);
  RetentionOptions options;
  options.idle_user_ttl = absl::Hours(24 * 365);
  options.allow_idle_store = true;
  Sweep(options, TimeOfEvent(5) + 2 * options.idle_user_ttl);
  EXPECT_EQ(CountUsers(), 0u);
}

// A few every hour are many in a day.
TEST_F(RetentionTest, TheShareIsThatOfADay) {
  for (int user = 0; user < 3 * int{kLeastErasedUsers}; ++user) {
    const int minutes = user < 6 ? 1 : user < 12 ? 60 : 10'000;
    Append(absl::StrCat("user", user), minutes, minutes);
  }
  RetentionOptions options;
  options.idle_user_ttl = absl::Hours(24 * 365);
  Retention retention(*store_, pipeline_->partitions(), pipeline_->models(),
                      metrics_, options);
  const absl::Time first = TimeOfEvent(2) + options.idle_user_ttl;
  retention.Sweep(first);  // refused: nobody has written for a year
  Append("new", 365 * 24 * 60, 365 * 24 * 60);
  retention.Sweep(first);
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 6);
  retention.Sweep(first + absl::Hours(23));
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 6);
  EXPECT_EQ(Refused("share"), 1);
  retention.Sweep(first + absl::Hours(24));
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 12);
  EXPECT_EQ(Refused("share"), 0);
}

TEST_F(RetentionTest, AWrongClockTrimsNothingForItsAge) {
  Append("ann", 1, 300);
  ASSERT_TRUE(pipeline_->Flush().ok());
  RetentionOptions options;
  options.max_event_age = absl::Hours(24);
  Sweep(options, TimeOfEvent(300) + absl::Hours(24 * 365));
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 1u);
  EXPECT_EQ(Refused("clock"), 1);
  // What does not go by the clock goes on.
  options.max_events_per_user = 200;
  Sweep(options, TimeOfEvent(300) + absl::Hours(24 * 365));
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 101u);
}

TEST_F(RetentionTest, TrimsNoMoreThanTheShareOfADay) {
  constexpr uint64_t kEvents = kLeastTrimmedEvents / 2 + 100;
  for (const char* user : {"ann", "bob", "cid"}) {
    for (uint64_t first = 1; first <= kEvents; first += 500) {
      Append(user, first, std::min(first + 499, kEvents));
    }
  }
  ASSERT_TRUE(pipeline_->Flush().ok());
  const auto trimmed = [&] {
    int users = 0;
    for (const char* user : {"ann", "bob", "cid"}) {
      users += store_->GetHead(user)->first_sequence > 1;
    }
    return users;
  };
  RetentionOptions options;
  options.max_event_age = absl::Hours(24 * 365);
  Append("new", 365 * 24 * 60, 365 * 24 * 60);
  const absl::Time now = TimeOfEvent(kEvents) + options.max_event_age;
  {
    Retention retention(*store_, pipeline_->partitions(), pipeline_->models(),
                        metrics_, options);
    retention.Sweep(now);
    EXPECT_EQ(trimmed(), 1);
    EXPECT_EQ(Refused("share"), 1);
    retention.Sweep(now + absl::Hours(1));
    EXPECT_EQ(trimmed(), 1);
    retention.Sweep(now + absl::Hours(24));
    EXPECT_EQ(trimmed(), 2);
  }
  options.max_daily_share = 1;
  Sweep(options, now);
  EXPECT_EQ(trimmed(), 3);
  EXPECT_EQ(Refused("share"), 0);
}

TEST_F(RetentionTest, AUserWhoComesBackBeforeTheirTurnStays) {
  Append("ann", 1, 5);
  IngestPipeline::ErasureOrder order;
  order.only_if = [](const UserHead& head) { return head.last_sequence < 5; };
  absl::Notification done;
  pipeline_->ingest().DeleteUser("ann", std::move(order), [&](auto removed) {
    EXPECT_EQ(*removed, 0u);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_EQ(store_->GetHead("ann")->last_sequence, 5u);
  EXPECT_TRUE(store_->ListErasures("", kNoLimit)->empty());
}

// They are listed as idle, and have events again when their turn comes.
TEST_F(RetentionTest, AUserWhoComesBackWhileUsersAreLookedAtStays) {
  Append("ann", 1, 5);
  store_->before_visit = [&](absl::string_view) { Append("ann", 100, 100); };
  RetentionOptions options;
  options.idle_user_ttl = absl::Minutes(50);
  Sweep(options, TimeOfEvent(100));
  EXPECT_EQ(store_->GetHead("ann")->last_sequence, 6u);
  EXPECT_EQ(metrics_.retention.idle_users_erased.Value(), 0);
}

TEST_F(RetentionTest, TrimmedStatesKeepTheirBits) {
  Append("ann", 1, 300);
  ASSERT_TRUE(pipeline_->Flush().ok());  // snapshots of all
  RetentionOptions options;
  options.max_events_per_user = 100;
  Sweep(options, absl::Now());
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 201u);
  EXPECT_EQ(metrics_.retention.events_trimmed.Value(), 200);
  EXPECT_EQ(*ServedState("ann"), FreshState("ann", 300));
  Append("ann", 301, 350);
  const std::string fresh = FreshState("ann", 350);
  EXPECT_EQ(*ServedState("ann"), fresh);
  Start(GoldenModel());  // nothing is cached: snapshot and log
  EXPECT_EQ(*ServedState("ann"), fresh);
  EXPECT_EQ(metrics_.retention.failures.Value(), 0);
}

TEST_F(RetentionTest, TrimsWhatIsOldInTheOrderOfTheLog) {
  Append("ann", 1, 300);
  ASSERT_TRUE(pipeline_->Flush().ok());
  RetentionOptions options = WithoutBounds();
  options.max_event_age = absl::Hours(1);
  // Too few to be worth it.
  Sweep(options, TimeOfEvent(63) + absl::Hours(1) + absl::Seconds(1));
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 1u);
  Sweep(options, TimeOfEvent(120) + absl::Hours(1) + absl::Seconds(1));
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 121u);
  EXPECT_EQ(*ServedState("ann"), FreshState("ann", 300));
  // The newest stays, however old it is.
  Sweep(options, TimeOfEvent(1000));
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 300u);
  EXPECT_EQ(*ServedState("ann"), FreshState("ann", 300));
}

TEST_F(RetentionTest, TrimsNothingWithoutASnapshot) {
  ServerOptions served = TestOptions(GoldenModel());
  served.store.snapshot_interval_events = 1000;  // only Flush writes one
  Start(served);
  Append("ann", 1, 300);
  ASSERT_TRUE(pipeline_->Flush().ok());
  Append("ann", 301, 310);
  RetentionOptions options;
  options.max_events_per_user = 1;
  Sweep(options, absl::Now());
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 301u);
  EXPECT_EQ(metrics_.retention.failures.Value(), 0);
  EXPECT_EQ(*ServedState("ann"), FreshState("ann", 310));
}

TEST_F(RetentionTest, TrimsNothingThatOneOfTheModelsHasNoSnapshotOf) {
  ServerOptions served = TestOptions(GoldenModel("dot_l1_plain"));
  served.models.push_back(GoldenModel("dot_l4_silu"));
  served.models[1].default_model = false;
  Start(served);
  const std::string other =
      pipeline_->models().Current()->models()[1]->engine->state_fingerprint();
  const auto request =
      MakeAppend(*LoadGolden(served.models[0]), "ann", 1, 300);
  absl::Notification appended, trimmed;
  pipeline_->ingest().Append(request, absl::Now(), {},
                             IngestPipeline::OnFull::kWait,
                             [&](const AppendResult& result) {
                               EXPECT_TRUE(result.status.ok())
                                   << result.status;
                               appended.Notify();
                             });
  appended.WaitForNotification();
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  ASSERT_TRUE(pipeline_->Flush().ok());
  ASSERT_TRUE(store_->DropFingerprint(other).ok());  // with its snapshots
  ASSERT_TRUE(store_->OpenFingerprint(other).ok());
  RetentionOptions options;
  options.max_events_per_user = 1;
  Sweep(options, absl::Now());
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 1u);
  EXPECT_EQ(metrics_.retention.failures.Value(), 0);
  // Nor when it is asked for all the same.
  pipeline_->partitions().OwnerOf("ann").Trim("ann", 100, [&](const absl::Status& status) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    trimmed.Notify();
  });
  trimmed.WaitForNotification();
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 1u);
}

// It is not served because its bundle is damaged: that will be mended.
TEST_F(RetentionTest, TrimsNothingThatAVersionThatDidNotLoadNeeds) {
  Append("ann", 1, 300);
  ASSERT_TRUE(pipeline_->Flush().ok());
  ASSERT_TRUE(store_->OpenFingerprint("ofwhatdidnotload").ok());
  RetentionOptions options;
  options.max_events_per_user = 1;
  const auto registry = pipeline_->models().Current();
  pipeline_->models().Replace(registry->WithUnserved(
      {"m", 7, v1::MODEL_STATE_FAILED, "damaged", absl::Now(),
       "ofwhatdidnotload"}));
  Sweep(options, absl::Now());
  EXPECT_EQ(store_->GetHead("ann")->first_sequence, 1u);
  EXPECT_EQ(metrics_.retention.failures.Value(), 0);
  // Once it is given up, nothing is kept for it.
  pipeline_->models().Replace(registry);
  Sweep(options, absl::Now());
  EXPECT_GT(store_->GetHead("ann")->first_sequence, 1u);
}

TEST_F(RetentionTest, AnotherModelRefusesRatherThanBeWrong) {
  Append("ann", 1, 300);
  Append("bob", 1, 70);
  ASSERT_TRUE(pipeline_->Flush().ok());
  RetentionOptions options;
  options.max_events_per_user = 100;
  Sweep(options, absl::Now());

  // Made anew, the same model's states must not take the place of better ones.
  RebuildOptions rebuild;
  const std::string fingerprint = engine_->state_fingerprint();
  const auto before = *store_->GetSnapshot(fingerprint, "ann");
  auto totals = RebuildStates(engine_, *store_, metrics_, rebuild);
  ASSERT_TRUE(totals.ok());
  EXPECT_EQ(totals->users, 1u);
  EXPECT_EQ(totals->kept_users, 1u);
  EXPECT_EQ(totals->trimmed_users, 0u);
  EXPECT_EQ(totals->failed_users, 0u);
  EXPECT_EQ(*store_->GetSnapshot(fingerprint, "ann"), before);

  const ModelOptions other = GoldenModel("block_l1_silu_features");
  Start(other);
  const auto state = ServedState("ann");
  EXPECT_EQ(state.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(state.status().message()),
              ::testing::HasSubstr("trimmed, the log begins at 201"));
  EXPECT_TRUE(ServedState("bob").ok());
  const std::shared_ptr<const Engine> other_engine =
      *Engine::Create(LoadGolden(other));
  totals = RebuildStates(other_engine, *store_, metrics_, rebuild);
  ASSERT_TRUE(totals.ok());
  EXPECT_EQ(totals->users, 1u);
  EXPECT_EQ(totals->kept_users, 0u);
  EXPECT_EQ(totals->trimmed_users, 1u);
  EXPECT_FALSE(
      store_->GetSnapshot(other_engine->state_fingerprint(), "ann")
          ->has_value());
}

TEST(RetentionClockTest, AClockThatJumpedIsNoticed) {
  const absl::Time start = TimeOfEvent(0);
  const absl::Duration year = absl::Hours(24 * 365);
  EXPECT_TRUE(Retention::ClockIsSane(start, year, start + year));
  EXPECT_TRUE(
      Retention::ClockIsSane(start, year, start + year + absl::Minutes(9)));
  EXPECT_FALSE(
      Retention::ClockIsSane(start, year, start + year + absl::Minutes(11)));
  EXPECT_FALSE(Retention::ClockIsSane(start, year, start));
}

}  // namespace
}  // namespace qlarank::testing
