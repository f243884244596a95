#include "server/states/user_states.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/partition/commit_group.h"
#include "server/states/fold_queue.h"
#include "tests/testing/failing_products.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using Origin = UserMemory::Origin;

class UserMemoryTest : public ::testing::Test {
 protected:
  explicit UserMemoryTest(const ModelOptions& model = GoldenModel())
      : bundle_(LoadGolden(model)) {
    EXPECT_TRUE(store_.OpenFingerprint(engine_->state_fingerprint()).ok());
    Restart();
  }

  // Another memory over the same store: an empty cache.
  void Restart() {
    states_ = std::make_unique<UserStates>(store_, metrics_, options_);
    memory_ = states_->Of(model_);
  }

  // Events first ... last, as the ingest pipeline writes them.
  void Append(const std::string& user_id, uint64_t first, uint64_t last) {
    const auto load = [this](absl::string_view user) {
      return store_.GetHeadToExtend(user);
    };
    CommitGroup group(64, marks_, fence_, load, positions_);
    const auto request = MakeAppend(*bundle_, user_id, first, last);
    std::vector<uint32_t> indexes;
    for (int i = 0; i < request.events_size(); ++i) indexes.push_back(i);
    ASSERT_TRUE(group.Admit(request, indexes, {}).refusals.empty());
    ASSERT_TRUE(store_.AppendEvents(std::move(group).Take()).ok());
  }

  // Folds what waits, `limit` events at most.
  KnownState Fold(const std::string& user_id, size_t limit = 1000) {
    LogTail none;
    auto fold = memory_->BeginFold(user_id, none, limit);
    EXPECT_TRUE(fold.ok()) << fold.status();
    memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
    return fold->after();
  }
  void FoldAndPublish(const std::string& user_id) {
    memory_->Publish(user_id, Fold(user_id));
    ASSERT_TRUE(states_->AwaitSnapshots().ok());
  }

  void Erase(const std::string& user_id) {
    ASSERT_TRUE(store_.DeleteUser(user_id).ok());
    memory_->Forget(user_id);
  }

  std::string Bytes(const KnownState& known) {
    return engine_->SerializeState(*known.state);
  }
  absl::StatusOr<std::optional<Snapshot>> StoredSnapshot() {
    return store_.GetSnapshot(engine_->state_fingerprint(), "user");
  }

  const std::shared_ptr<const Bundle> bundle_;
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  const LoadedModelPtr model_ = AsLoaded(engine_);
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
  FaultyStateStore store_;
  Metrics metrics_;
  SourceMarks marks_{store_, metrics_.ingest.source_marks};
  GapFence fence_{metrics_.ingest};
  PartitionPositions positions_{0, 1, 16};
  UserStates::Options options_{.cache_bytes = 1 << 20, .snapshot_interval = 8};
  std::unique_ptr<UserStates> states_;
  std::shared_ptr<UserMemory> memory_;
};

TEST_F(UserMemoryTest, AnUnknownUserHasTheEmptyState) {
  const auto lookup = memory_->Find("user");
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  EXPECT_FALSE(lookup->known.state->found());
  EXPECT_EQ(lookup->events_behind(), 0);
  memory_->CountLookup(*lookup);
  EXPECT_EQ(metrics_.state.lookups_empty.Value(), 1);
}

TEST_F(UserMemoryTest, FindsTheCachedStateAndHowFarTheLogIsAhead) {
  Append("user", 1, 5);
  FoldAndPublish("user");
  Append("user", 6, 7);
  const auto lookup = memory_->Find("user");
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  EXPECT_EQ(lookup->origin, Origin::kCache);
  EXPECT_EQ(lookup->known.folded_sequence(), 5);
  EXPECT_EQ(lookup->events_behind(), 2);
}

TEST_F(UserMemoryTest, CountsWhatTheModelMissesOfEvents) {
  const auto& features = bundle_->spec().event_features();
  const EventFeatures::Names names = {features.begin(), features.end()};
  const std::vector<EventFeatures::Names> schemas = {{"price"}, names};
  const LoadedModelPtr model =
      MakeLoadedModel("model", 2, engine_, EventFeatures(schemas, names),
                      absl::UnixEpoch());
  UserAppend append;
  append.user_id = "user";
  append.head_after.incarnation = 1;
  for (const auto& [action, schema] :
       std::vector<std::pair<std::string, uint32_t>>{
           {"buy", 2}, {"like", 2}, {"like", 1}, {"view", 1}, {"", 0}}) {
    LoggedEvent& event = append.events.emplace_back();
    event.action = action;
    event.schema = schema;
  }
  append.head_after.last_sequence = append.events.size();
  ASSERT_TRUE(store_.AppendEvents({append}).ok());

  memory_ = states_->Of(model);
  EXPECT_EQ(Fold("user").folded_sequence(), append.events.size());
  const ModelFoldMetrics counted = metrics_.ingest.ForModel("model", 2);
  EXPECT_EQ(counted.unknown_actions.Value(), 2);
  EXPECT_EQ(counted.missing_features.Value(), 3);
  const ModelFoldMetrics other = metrics_.ingest.ForModel("model", 1);
  EXPECT_EQ(other.unknown_actions.Value(), 0);
  EXPECT_EQ(other.missing_features.Value(), 0);
}

TEST_F(UserMemoryTest, SnapshotsEverySoManyEvents) {
  Append("user", 1, 7);
  FoldAndPublish("user");
  EXPECT_EQ(*StoredSnapshot(), std::nullopt);
  Append("user", 8, 9);
  FoldAndPublish("user");
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 9);
  Append("user", 10, 16);
  FoldAndPublish("user");
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 9);
}

// They were erased and came back between the reading of head and snapshot.
TEST_F(UserMemoryTest, ASnapshotOfAnotherLifeIsNotUsed) {
  Append("user", 1, 9);
  FoldAndPublish("user");
  Restart();
  store_.spoil_snapshot = [](Snapshot& snapshot) { ++snapshot.incarnation; };
  const auto lookup = memory_->Find("user");
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  EXPECT_EQ(lookup->origin, Origin::kNothing);
  EXPECT_EQ(lookup->known.folded_sequence(), 0);
  EXPECT_EQ(lookup->events_behind(), 9);
  EXPECT_EQ(metrics_.state.lookups_version_mismatch.Value(), 1);
}

// Evicted at 9 events, on its way back from none, and then 1 to 8 were trimmed:
// the log is of no use to it any more, its snapshot is.
TEST_F(UserMemoryTest, AStateBehindATrimmedLogIsNotUsed) {
  Append("user", 1, 12);
  const KnownState on_its_way = Fold("user", 5);
  memory_->Publish("user", Fold("user", 9));
  ASSERT_TRUE(states_->AwaitSnapshots().ok());
  memory_->Forget("user");
  memory_->Publish("user", on_its_way);
  ASSERT_TRUE(
      store_.TrimLog("user", 9, {engine_->state_fingerprint()}).ok());
  const auto lookup = memory_->Find("user");
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  EXPECT_EQ(lookup->known.folded_sequence(), 9);
  FoldAndPublish("user");
  EXPECT_EQ(memory_->Find("user")->known.folded_sequence(), 12);
}

// The head of a look-up may be newer than the state that was found for it.
TEST_F(UserMemoryTest, ALookUpThatATrimOvertookIsMadeAgain) {
  Append("user", 1, 5);
  auto lookup = *memory_->Find("user");
  Append("user", 6, 9);
  FoldAndPublish("user");
  ASSERT_TRUE(
      store_.TrimLog("user", 9, {engine_->state_fingerprint()}).ok());
  lookup.head = *store_.GetHead("user");
  const auto tail = memory_->ReadTail("user", lookup, 100).status();
  EXPECT_TRUE(absl::IsAborted(tail)) << tail;
}

// Looking again would find the same: whoever folds must not go on trying.
TEST_F(UserMemoryTest, ATrimmedLogWhoseSnapshotIsNoStateIsNotLookedAtAgain) {
  Append("user", 1, 9);
  FoldAndPublish("user");
  Append("user", 10, 12);
  ASSERT_TRUE(
      store_.TrimLog("user", 5, {engine_->state_fingerprint()}).ok());
  store_.spoil_snapshot = [](Snapshot& snapshot) { snapshot.state.pop_back(); };
  Restart();
  for (const size_t tail_limit : {0, 100}) {
    auto lookup = memory_->Find("user", tail_limit);
    ASSERT_TRUE(lookup.ok()) << lookup.status();
    EXPECT_EQ(lookup->known.folded_sequence(), 0);
    const auto tail = memory_->ReadTail("user", *lookup, 100).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(tail)) << tail;
  }
}

TEST_F(UserMemoryTest, PostponedSnapshotsAreWrittenAfterSixteenIntervals) {
  const auto publish = [&] {
    memory_->Publish("user", Fold("user"), UserMemory::Snapshots::kPostponed);
    ASSERT_TRUE(states_->AwaitSnapshots().ok());
  };
  Append("user", 1, 127);
  publish();
  EXPECT_EQ(*StoredSnapshot(), std::nullopt);
  Append("user", 128, 128);
  publish();
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 128);
}

TEST_F(UserMemoryTest, AnOwnerThatIsBehindPostponesSnapshots) {
  const auto fold = [&](absl::Time arrival) {
    FoldQueue folds(*memory_, metrics_);
    folds.Mark("user", arrival);
    while (folds.has_work()) folds.FoldRound(*scratch_);
    ASSERT_TRUE(states_->AwaitSnapshots().ok());
  };
  Append("user", 1, 9);
  fold(absl::Now() - 2 * FoldQueue::kBehind);
  EXPECT_EQ(memory_->Find("user")->events_behind(), 0);
  EXPECT_EQ(*StoredSnapshot(), std::nullopt);
  Append("user", 10, 10);
  fold(absl::Now() + absl::Hours(1));  // never late
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 10);
}

TEST_F(UserMemoryTest, FromCacheSnapshotOrLogTheBitsAreTheSame) {
  Append("user", 1, 30);
  const std::string expected = *FreshFold(*engine_, store_, "user");
  // From the log, in chunks.
  for (int chunk = 0; chunk < 5; ++chunk) {
    memory_->Publish("user", Fold("user", 7));
  }
  EXPECT_EQ(Bytes(memory_->Find("user")->known), expected);
  // From the last snapshot, of event 28, and the log.
  Restart();
  const auto lookup = memory_->Find("user");
  EXPECT_EQ(lookup->origin, Origin::kSnapshot);
  EXPECT_EQ(lookup->known.folded_sequence(), 28);
  EXPECT_EQ(Bytes(Fold("user")), expected);
}

TEST_F(UserMemoryTest, WritesSnapshotsAtTheEnd) {
  Append("user", 1, 3);
  FoldAndPublish("user");
  ASSERT_TRUE(states_->WriteSnapshots().ok());
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 3);
}

TEST_F(UserMemoryTest, EvictedStatesAreSaved) {
  options_.cache_bytes = 30'000;  // for about one
  Restart();
  Append("user", 1, 3);
  FoldAndPublish("user");
  for (int other = 0; other < 10; ++other) {
    const std::string user_id = "other" + std::to_string(other);
    Append(user_id, 1, 3);
    FoldAndPublish(user_id);
  }
  const auto lookup = memory_->Find("user");
  EXPECT_EQ(lookup->origin, Origin::kSnapshot);
  EXPECT_EQ(lookup->events_behind(), 0);
}

// Out of the cache after each round, long before a snapshot is due.
TEST_F(UserMemoryTest, WhoIsEvictedBetweenRoundsGetsOn) {
  options_.cache_bytes = 0;
  options_.snapshot_interval = 100'000;
  Restart();
  Append("user", 1, 4 * FoldQueue::kChunk);
  FoldQueue folds(*memory_, metrics_);
  folds.Mark("user", absl::Now());
  for (int round = 0; folds.has_work(); ++round) {
    ASSERT_LT(round, 100);
    folds.FoldRound(*scratch_);
    ASSERT_TRUE(states_->AwaitSnapshots().ok());
  }
  EXPECT_EQ((*StoredSnapshot())->folded_sequence, 4 * FoldQueue::kChunk);
}

// The snapshot writer waits for the disk, and nobody for the snapshot writer.
TEST_F(UserMemoryTest, AnEvictionWaitsForNoSnapshot) {
  options_.cache_bytes = 30'000;  // for about one
  Restart();
  absl::Notification go;
  store_.before_put_snapshots = [&] { go.WaitForNotification(); };
  constexpr int kUsers = SnapshotWriter::kMaxQueued + SnapshotWriter::kMaxBatch;
  absl::Notification done;
  std::thread folding([&] {
    for (int i = 0; i <= kUsers; ++i) {
      const std::string user_id = "user" + std::to_string(i);
      Append(user_id, 1, 3);
      memory_->Publish(user_id, Fold(user_id));
    }
    done.Notify();
  });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(60)));
  go.Notify();
  folding.join();
  // And its writer, which `go` is for.
  memory_ = nullptr;
  states_ = nullptr;
}

// A state that fell out of the cache is folded again from an older snapshot, a
// step at a time. Until it is where it was, nobody is given less than before.
TEST_F(UserMemoryTest, NobodySeesAStateOnItsWayBack) {
  Append("user", 1, 9);
  FoldAndPublish("user");  // with a snapshot
  Append("user", 10, 14);
  FoldAndPublish("user");
  EXPECT_TRUE(memory_->Find("user")->is_newest_seen());
  Restart();
  memory_->Publish("user", Fold("user", 3));
  EXPECT_EQ(memory_->Find("user")->known.folded_sequence(), 12);
  EXPECT_FALSE(memory_->Find("user")->is_newest_seen());
  memory_->Publish("user", Fold("user", 3));
  EXPECT_TRUE(memory_->Find("user")->is_newest_seen());
  Append("user", 15, 15);
  EXPECT_TRUE(memory_->Find("user")->is_newest_seen());
}

// What is appended after a look-up is not in what the look-up counts.
TEST_F(UserMemoryTest, ReadsNoFurtherThanTheLookUpSaw) {
  Append("user", 1, 5);
  auto lookup = memory_->Find("user");
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  Append("user", 6, 8);
  auto fold = memory_->ReadTail("user", *lookup, 100);
  ASSERT_TRUE(fold.ok()) << fold.status();
  memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
  lookup->known = fold->after();
  EXPECT_EQ(lookup->known.folded_sequence(), 5);
  EXPECT_EQ(lookup->events_behind(), 0);
}

// Events first ... last of a user as the owner holds them.
LogTail TailOf(const StateStore& store, const std::string& user_id,
               uint64_t first, uint64_t last) {
  return {store.GetHead(user_id)->incarnation, first,
          *store.ReadEvents(user_id, first, last - first + 1)};
}

TEST_F(UserMemoryTest, FoldsTheEventsAtHandWithoutALookAtTheLog) {
  Append("user", 1, 12);
  LogTail first = TailOf(store_, "user", 1, 5);
  LogTail second = TailOf(store_, "user", 4, 12);  // 4 and 5 once more
  bool read = false;
  store_.after_read_events = [&] { read = true; };
  for (LogTail* tail : {&first, &second}) {
    auto fold = memory_->BeginFold("user", *tail, 1000);
    ASSERT_TRUE(fold.ok()) << fold.status();
    memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
    EXPECT_TRUE(fold->complete());
    memory_->Publish("user", fold->after());
  }
  EXPECT_FALSE(read);
  EXPECT_EQ(Bytes(memory_->Find("user")->known),
            *FreshFold(*engine_, store_, "user"));
}

TEST_F(UserMemoryTest, ReadsTheLogWhenWhatIsAtHandDoesNotContinueTheState) {
  Append("user", 1, 5);
  FoldAndPublish("user");
  Append("user", 6, 9);
  LogTail gap = TailOf(store_, "user", 8, 9);
  LogTail other_life = TailOf(store_, "user", 6, 9);
  ++other_life.incarnation;
  for (LogTail* tail : {&gap, &other_life}) {
    auto fold = memory_->BeginFold("user", *tail, 1000);
    ASSERT_TRUE(fold.ok()) << fold.status();
    EXPECT_EQ(fold->size(), 4);
    memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
    EXPECT_EQ(Bytes(fold->after()), *FreshFold(*engine_, store_, "user"));
  }
}

// The rest stays at hand for the next round.
TEST_F(UserMemoryTest, TakesNoMoreOfTheEventsAtHandThanTheLimit) {
  Append("user", 1, 10);
  LogTail tail = TailOf(store_, "user", 1, 10);
  const auto fold = memory_->BeginFold("user", tail, 4);
  ASSERT_TRUE(fold.ok()) << fold.status();
  EXPECT_EQ(fold->size(), 4);
  EXPECT_FALSE(fold->complete());
  EXPECT_EQ(tail.first_sequence, 5);
  EXPECT_EQ(tail.events.size(), 6);
}

TEST_F(UserMemoryTest, AnOlderStateDoesNotReplaceANewerOne) {
  Append("user", 1, 5);
  const KnownState older = Fold("user", 3);
  ASSERT_EQ(older.folded_sequence(), 3);
  FoldAndPublish("user");
  memory_->Publish("user", older);
  EXPECT_EQ(memory_->Find("user")->known.folded_sequence(), 5);
}

TEST_F(UserMemoryTest, ATailReadAcrossAnErasureIsNotFolded) {
  Append("user", 1, 5);
  auto lookup = memory_->Find("user");
  Erase("user");
  Append("user", 1, 5);
  const auto fold = memory_->ReadTail("user", *lookup, 100);
  EXPECT_TRUE(absl::IsAborted(fold.status())) << fold.status();
}

// It is of the moment of the look-up, whatever comes after it.
TEST_F(UserMemoryTest, ATailThatWasReadWithTheStateNeedsNoSecondLook) {
  Append("user", 1, 9);
  FoldAndPublish("user");  // with a snapshot
  Append("user", 10, 14);
  const std::string expected = *FreshFold(*engine_, store_, "user");
  Restart();
  auto lookup = memory_->Find("user", 100);
  EXPECT_EQ(lookup->known.folded_sequence(), 9);
  Erase("user");
  Append("user", 1, 2);
  auto fold = memory_->ReadTail("user", *lookup, 100);
  ASSERT_TRUE(fold.ok()) << fold.status();
  memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
  EXPECT_TRUE(fold->complete());
  EXPECT_EQ(Bytes(fold->after()), expected);
}

// A step at a time, what is at hand first, then what the store has.
TEST_F(UserMemoryTest, GoesOnBehindTheTailOfTheLookUp) {
  Append("user", 1, 10);
  const std::string expected = *FreshFold(*engine_, store_, "user");
  auto lookup = memory_->Find("user", 4);
  for (const uint64_t folded : {3, 6, 9, 10}) {
    auto fold = memory_->ReadTail("user", *lookup, 3);
    ASSERT_TRUE(fold.ok()) << fold.status();
    memory_->RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
    lookup->known = fold->after();
    EXPECT_EQ(lookup->known.folded_sequence(), folded);
  }
  EXPECT_EQ(Bytes(lookup->known), expected);
}

TEST_F(UserMemoryTest, ALogTrimmedBehindTheLookUpIsLookedAtAgain) {
  Append("user", 1, 9);
  auto lookup = memory_->Find("user");
  FoldAndPublish("user");  // with a snapshot
  ASSERT_TRUE(
      store_.TrimLog("user", 5, {engine_->state_fingerprint()}).ok());
  EXPECT_TRUE(absl::IsAborted(
      memory_->ReadTail("user", *lookup, 100).status()));
}

class ReadingTest : public UserMemoryTest {
 protected:
  ReadingTest() {
    Append("user", 1, 5);
    FoldAndPublish("user");
  }
  ~ReadingTest() override { products_fail = false; }

  std::shared_ptr<const Reading> Read(const RequestView& request) {
    return memory_->Read(memory_->Find("user")->known, request, *scratch_);
  }
  double kept_bytes() { return metrics_.state.cached_reading_bytes.Value(); }

  static constexpr int64_t kHourUs = 3'600'000'000;
  const RequestView request_{kEpochUs + 24 * kHourUs, {}, {}};
};

TEST_F(ReadingTest, IsMadeOnceForEqualRequestsAndCounted) {
  const auto reading = Read(request_);
  EXPECT_EQ(Read(request_), reading);
  // The same bucket.
  EXPECT_EQ(Read({request_.time_us + 1, {}, {}}), reading);
  EXPECT_EQ(metrics_.state.readings_computed.Value(), 1);
  EXPECT_EQ(metrics_.state.readings_hit.Value(), 2);
  EXPECT_GE(kept_bytes(), reading->size_bytes());
}

// What is kept scores as what is made for the request.
TEST_F(ReadingTest, AnotherRequestHasItsOwnReading) {
  const auto state = memory_->Find("user")->known.state;
  const size_t num_context =
      bundle_->spec().context_features_size();
  const std::vector<uint32_t> context(num_context, 1);
  const std::vector<float> features(bundle_->spec().event_features_size(), .5f);
  const std::vector<ModelEvent> recent = {
      {3, 0, kEpochUs + kHourUs, features}};
  const std::vector<RequestView> requests = {
      request_,
      {request_.time_us + 1000 * kHourUs, {}, {}},
      {request_.time_us, {}, context},
      {request_.time_us, recent, context}};
  const std::vector<uint32_t> rows = {1, 2, 3};
  const std::vector<float> candidate_features(
      rows.size() * bundle_->spec().candidate_features_size(), .5f);
  const auto score = [&](const Reading& reading) {
    std::vector<float> scores(rows.size() * engine_->num_tasks());
    engine_->Score(reading, rows, candidate_features, absl::MakeSpan(scores),
                   *scratch_);
    return scores;
  };
  for (int times = 0; times < 3; ++times) {
    for (const RequestView& request : requests) {
      EXPECT_EQ(score(*Read(request)),
                score(*engine_->Read(*state, request, *scratch_)));
    }
  }
  EXPECT_EQ(metrics_.state.readings_computed.Value(), requests.size());
}

TEST_F(ReadingTest, GoesWithItsState) {
  const auto before = Read(request_);
  Append("user", 6, 7);
  FoldAndPublish("user");
  EXPECT_EQ(kept_bytes(), 0);
  EXPECT_NE(Read(request_), before);
  EXPECT_GT(kept_bytes(), 0);
  Erase("user");
  EXPECT_EQ(kept_bytes(), 0);
  EXPECT_EQ(metrics_.state.readings_computed.Value(), 2);
}

// That of a reader's own state is the reader's own.
TEST_F(ReadingTest, OnlyOfWhatIsPublishedIsKept) {
  Append("user", 6, 7);
  const KnownState own = Fold("user");
  const auto reading = memory_->Read(own, request_, *scratch_);
  EXPECT_NE(memory_->Read(own, request_, *scratch_), reading);
  EXPECT_EQ(kept_bytes(), 0);
  EXPECT_EQ(metrics_.state.readings_computed.Value(), 2);
  EXPECT_EQ(metrics_.state.readings_hit.Value(), 0);
}

// One product that fails does not make the next request fail, too.
TEST_F(ReadingTest, IsNotKeptUnlessItIsFinite) {
  products_fail = true;
  EXPECT_FALSE(Read(request_)->finite());
  products_fail = false;
  EXPECT_EQ(kept_bytes(), 0);
  EXPECT_TRUE(Read(request_)->finite());
}

TEST_F(ReadingTest, TwoAtOnceGetTheSameBits) {
  const auto known = memory_->Find("user")->known;
  std::vector<std::vector<float>> users(4);
  std::vector<std::thread> threads;
  for (auto& user : users) {
    threads.emplace_back([&] {
      const auto scratch = engine_->NewScratch();
      for (int i = 0; i < 200; ++i) {
        const auto reading = memory_->Read(
            known, {request_.time_us + (i % 9) * 99 * kHourUs, {}, {}},
            *scratch);
        user.insert(user.end(), reading->user_vector().begin(),
                    reading->user_vector().end());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& user : users) EXPECT_EQ(user, users[0]);
}

class SummaryTest : public UserMemoryTest {
 protected:
  SummaryTest() : UserMemoryTest(GoldenModel("seeds_block_l2_attended")) {}

  std::shared_ptr<const UserSummary> Summarize() {
    return memory_->Summarize(memory_->Find("user")->known, *scratch_);
  }
};

TEST_F(SummaryTest, IsMadeOnceForAStateAndCounted) {
  Append("user", 1, 5);
  FoldAndPublish("user");
  const double bytes = metrics_.state.cached_state_bytes.Value();
  const auto summary = Summarize();
  EXPECT_EQ(summary->values,
            engine_->Summarize(*Fold("user").state, *scratch_)->values);
  EXPECT_EQ(Summarize(), summary);
  EXPECT_EQ(metrics_.state.summaries_computed.Value(), 1);
  EXPECT_EQ(metrics_.state.summaries_hit.Value(), 1);
  // Its room was counted before.
  EXPECT_EQ(metrics_.state.cached_state_bytes.Value(), bytes);
  EXPECT_GT(bytes, memory_->Find("user")->known.state->size_bytes() +
                       summary->size_bytes());
}

TEST_F(SummaryTest, ANewStateHasANewSummary) {
  Append("user", 1, 5);
  FoldAndPublish("user");
  const auto before = Summarize();
  Append("user", 6, 7);
  FoldAndPublish("user");
  const auto after = Summarize();
  EXPECT_NE(after->values, before->values);
  EXPECT_EQ(after->values,
            engine_->Summarize(*Fold("user").state, *scratch_)->values);
}

// That of a reader's own state is the reader's own.
TEST_F(SummaryTest, ChangesNothingThatIsPublished) {
  Append("user", 1, 5);
  const KnownState own = Fold("user");
  const auto summary = memory_->Summarize(own, *scratch_);
  EXPECT_EQ(memory_->Find("user")->origin, Origin::kNothing);
  FoldAndPublish("user");
  EXPECT_EQ(memory_->Find("user")->known.summary->Get(), nullptr);
  EXPECT_EQ(Summarize()->values, summary->values);
  EXPECT_EQ(metrics_.state.summaries_computed.Value(), 2);
}

TEST_F(SummaryTest, OfAnUnknownUserIsOfTheEmptyState) {
  EXPECT_EQ(Summarize()->values,
            engine_->Summarize(*engine_->empty_state(), *scratch_)->values);
  EXPECT_EQ(metrics_.state.cached_users.Value(), 0);
}

class BadSnapshotTest : public UserMemoryTest {
 protected:
  // Writes the snapshot of a user with 20 events, spoilt; it must be ignored.
  void ExpectIgnored(const std::function<void(Snapshot&)>& spoil,
                     prometheus::Counter& counter) {
    Append("user", 1, 20);
    FoldAndPublish("user");
    store_.spoil_snapshot = spoil;
    Restart();
    const auto lookup = memory_->Find("user");
    ASSERT_TRUE(lookup.ok()) << lookup.status();
    EXPECT_EQ(lookup->origin, Origin::kNothing);
    EXPECT_EQ(lookup->events_behind(), 20);
    EXPECT_EQ(counter.Value(), 1);
    EXPECT_EQ(Bytes(Fold("user")), *FreshFold(*engine_, store_, "user"));
  }
};

TEST_F(BadSnapshotTest, Truncated) {
  ExpectIgnored([](Snapshot& s) { s.state.resize(s.state.size() - 1); },
                metrics_.state.lookups_corrupt);
}

TEST_F(BadSnapshotTest, OfAnotherPointOfTheLogThanItSays) {
  ExpectIgnored([](Snapshot& s) { s.folded_sequence = 19; },
                metrics_.state.lookups_corrupt);
}

TEST_F(BadSnapshotTest, OfAnErasedUser) {
  ExpectIgnored([](Snapshot& s) { ++s.incarnation; },
                metrics_.state.lookups_version_mismatch);
}

TEST_F(BadSnapshotTest, AheadOfTheLog) {
  Append("longer", 1, 21);
  const KnownState ahead = Fold("longer");
  ExpectIgnored(
      [&](Snapshot& s) {
        s.folded_sequence = 21;
        s.state = Bytes(ahead);
      },
      metrics_.state.lookups_corrupt);
}

}  // namespace
}  // namespace qlarank::testing
