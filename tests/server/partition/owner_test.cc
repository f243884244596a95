// Owners, the threads that they share, and what they divide.
#include "server/partition/owner.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/partition/partitions.h"
#include "server/pipeline.h"
#include "server/work/proto_time.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

// What Kafka's own tests hold its clients to (UtilsTest.testMurmur2).
TEST(PartitionHashTest, IsThatOfKafkasClients) {
  const auto hash = [](absl::string_view text) {
    return static_cast<int32_t>(Murmur2(text));
  };
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"),
            -58897971);
  EXPECT_EQ(hash("abc"), 479470107);
}

TEST(PartitionHashTest, DividesUsersEvenly) {
  std::vector<int> users(16);
  for (int i = 0; i < 16'000; ++i) {
    ++users[PartitionOf("user-" + std::to_string(i), users.size())];
  }
  const auto [least, most] = std::minmax_element(users.begin(), users.end());
  EXPECT_GT(*least, 850);
  EXPECT_LT(*most, 1150);
}

// Counts mail and folds, and notices when two threads do the same at once, or
// anything beside what needs it to itself: every third mail.
class CountingMember final : public OwnerPool::Member {
 public:
  explicit CountingMember(std::atomic<int>* folding = nullptr)
      : folding_(folding) {}

  bool has_mail() const override { return mail_ > 0; }
  bool mail_is_exclusive() const override { return taken_ % 3 == 0; }
  bool has_folds() const override { return folds_ > 0; }
  void TakeMail() override {
    const bool exclusive = mail_is_exclusive();
    if (taking_mail_.exchange(true)) overlapped_ = true;
    if (exclusive && folds_at_work_) overlapped_ = true;
    exclusive_ = exclusive;
    absl::SleepFor(absl::Microseconds(50));  // so that others have the time
    ++folds_;
    exclusive_ = false;
    taking_mail_ = false;
    ++taken_;
    --mail_;
  }
  void Fold(size_t /*slot*/) override {
    if (folds_at_work_.exchange(true)) overlapped_ = true;
    if (exclusive_) overlapped_ = true;
    if (folding_ != nullptr) {
      most_folding_ = std::max(most_folding_.load(), ++*folding_);
      absl::SleepFor(absl::Microseconds(300));
      --*folding_;
    }
    --folds_;
    ++folded_;
    folds_at_work_ = false;
  }
  void AddMail() { ++mail_; }

  int taken() const { return taken_; }
  int folded() const { return folded_; }
  int most_folding() const { return most_folding_; }
  bool overlapped() const { return overlapped_; }

 private:
  std::atomic<int>* const folding_;
  std::atomic<int> mail_ = 0, folds_ = 0, taken_ = 0, folded_ = 0;
  std::atomic<int> most_folding_ = 0;
  std::atomic<bool> taking_mail_ = false, folds_at_work_ = false;
  std::atomic<bool> exclusive_ = false, overlapped_ = false;
};

TEST(OwnerPoolTest, NothingOfAnOwnerOverlapsThatMustNot) {
  constexpr int kMembers = 9, kMails = 1'000, kSlots = 2;
  std::atomic<int> folding = 0;
  std::deque<CountingMember> members;
  OwnerPool pool(/*num_threads=*/5, kSlots);
  for (int i = 0; i < kMembers; ++i) pool.Add(members.emplace_back(&folding));
  std::vector<std::thread> senders;
  for (int sender = 0; sender < 3; ++sender) {
    senders.emplace_back([&, sender] {
      std::mt19937_64 random(sender);
      for (int i = 0; i < kMails; ++i) {
        members[random() % kMembers].AddMail();
        pool.Wake();
        // Slow enough for folds to come in between.
        absl::SleepFor(absl::Microseconds(200));
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  // Nothing more comes that would wake anybody.
  const auto folded = [&] {
    int sum = 0;
    for (const CountingMember& member : members) sum += member.folded();
    return sum;
  };
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (folded() < 3 * kMails && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(folded(), 3 * kMails);
  for (const CountingMember& member : members) {
    EXPECT_FALSE(member.overlapped());
    EXPECT_LE(member.most_folding(), kSlots);
  }
}

TEST(OwnerPoolTest, TakesAllMailBeforeItStops) {
  CountingMember member;
  {
    OwnerPool pool(2, 1);
    pool.Add(member);
    for (int i = 0; i < 100; ++i) member.AddMail();
    pool.Wake();
  }
  EXPECT_EQ(member.taken(), 100);
}

class FoldQueueTest : public ::testing::Test {
 protected:
  FoldQueueTest() {
    EXPECT_TRUE(store_.OpenFingerprint(engine_->state_fingerprint()).ok());
  }

  // Events first ... last in the log, and as an owner hands them on.
  std::vector<UserAppend> Append(const std::string& user_id, uint64_t first,
                                 uint64_t last) {
    std::vector<UserAppend> appends(1);
    UserAppend& append = appends.front();
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
    EXPECT_TRUE(store_.AppendEvents(appends).ok());
    return appends;
  }

  // Folds `user` in rounds to the end, and calls `meanwhile` within the first
  // one, before anything is folded.
  void FoldAll(std::vector<UserAppend> user,
               const std::function<void()>& meanwhile) {
    folds_.Append(std::move(user), absl::Now());
    Append("bystander", 1, 1);
    // Not at hand as a whole: the log is read, and its reader held up.
    folds_.Append(Append("bystander", 2, 2), absl::Now());
    store_.after_read_events = [&] {
      const auto& act = meanwhile;
      store_.after_read_events = nullptr;  // and this is gone
      act();
    };
    while (folds_.has_work()) folds_.FoldRound(*scratch_);
    EXPECT_EQ(store_.after_read_events, nullptr);
  }

  uint64_t Folded(const std::string& user_id) {
    return memory_->Find(user_id)->known.folded_sequence();
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
  FaultyStateStore store_;
  Metrics metrics_;
  UserStates states_{store_, metrics_, {}};
  const std::shared_ptr<UserMemory> memory_ =
      states_.Of(AsLoaded(engine_));
  FoldQueue folds_{*memory_, metrics_};
};

// A burst is folded in several rounds: what is left of one does not take the
// place of what was appended during it.
TEST_F(FoldQueueTest, EventsThatComeDuringARoundOfABurstAreFolded) {
  FoldAll(Append("user", 1, FoldQueue::kChunk + 44), [&] {
    folds_.Append(
        Append("user", FoldQueue::kChunk + 45, FoldQueue::kChunk + 46),
        absl::Now());
  });
  EXPECT_EQ(Folded("user"), FoldQueue::kChunk + 46);
  EXPECT_EQ(metrics_.ingest.fold_backlog_users.Value(), 0);
}

// Nor does it when some of what was appended is not at hand.
TEST_F(FoldQueueTest, AGapBehindWhatIsLeftIsReadFromTheLog) {
  FoldAll(Append("user", 1, FoldQueue::kChunk + 44), [&] {
    Append("user", FoldQueue::kChunk + 45, FoldQueue::kChunk + 45);
    folds_.Append(
        Append("user", FoldQueue::kChunk + 46, FoldQueue::kChunk + 46),
        absl::Now());
  });
  EXPECT_EQ(Folded("user"), FoldQueue::kChunk + 46);
}

class PartitionsTest : public ::testing::Test {
 protected:
  PartitionsTest() { Start(); }

  void Start() { pipeline_ = *Pipeline::Create(options_, store_, metrics_); }
  RankModel& model() {
    return *pipeline_->rank_models().Of(
        pipeline_->models().Current()->models()[0]);
  }

  void Append(const std::string& user_id, uint64_t first, uint64_t last) {
    constexpr uint64_t kAtATime = 1000;
    for (; first <= last; first += kAtATime) {
      const auto request =
          MakeAppend(model().bundle(), user_id, first,
                     std::min(last, first + kAtATime - 1));
      absl::Notification done;
      pipeline_->ingest().Append(
          request, absl::Now(), {"client"}, IngestPipeline::OnFull::kWait,
          [&](const AppendResult& result) {
            EXPECT_TRUE(result.status.ok()) << result.status;
            done.Notify();
          });
      done.WaitForNotification();
    }
  }
  uint64_t Published(const std::string& user_id) {
    const auto lookup = model().memory->Find(user_id);
    EXPECT_TRUE(lookup.ok()) << lookup.status();
    return lookup->origin == UserMemory::Origin::kCache
               ? lookup->known.folded_sequence()
               : 0;
  }

  ServerOptions options_ = TestOptions();
  FaultyStateStore store_;
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(PartitionsTest, AnErasedUserDoesNotComeBackWithWhatWaits) {
  // Appended, and not folded before the erasure.
  absl::Notification begun, go;
  pipeline_->partitions().OwnerOf("user").Trim("user", 1, [&](const absl::Status&) {
    begun.Notify();
    go.WaitForNotification();
  });
  begun.WaitForNotification();
  const auto request = MakeAppend(model().bundle(), "user", 1, 600);
  absl::Notification appended, erased;
  pipeline_->ingest().Append(request, absl::Now(), {"client"},
                             IngestPipeline::OnFull::kWait,
                             [&](const AppendResult&) { appended.Notify(); });
  pipeline_->ingest().DeleteUser(
      "user", {}, [&](const absl::StatusOr<uint64_t>& removed) {
        EXPECT_EQ(*removed, 600);
        erased.Notify();
      });
  go.Notify();
  appended.WaitForNotification();
  erased.WaitForNotification();
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(Published("user"), 0);
  EXPECT_EQ(metrics_.state.cached_users.Value(), 0);
  Append("user", 1, 3);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(Published("user"), 3);
}

// A state that fell out of the cache is brought back by the owner.
TEST_F(PartitionsTest, CatchesUpWhomAReaderAsksFor) {
  Append("user", 1, 3 * FoldQueue::kChunk);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  ASSERT_TRUE(pipeline_->Flush().ok());
  pipeline_ = nullptr;
  Start();
  EXPECT_EQ(Published("user"), 0);
  pipeline_->partitions().CatchUp(*model().loaded, "user");
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(Published("user"), 3 * FoldQueue::kChunk);
  const auto known = model().memory->Find("user")->known;
  EXPECT_EQ(model().engine().SerializeState(*known.state),
            *FreshFold(model().engine(), store_, "user"));
}

// A model that owners fold for is added and removed while others' events come.
class ChangingModelsTest : public PartitionsTest {
 protected:
  ChangingModelsTest() {
    pipeline_ = nullptr;
    options_ = TestOptions(GoldenModel("dot_l1_plain"));
    Start();
  }

  // Of another bundle that takes the same events.
  LoadedModelPtr Load() {
    LoadedModelPtr model =
        AsLoaded(*Engine::Create(LoadGolden(GoldenModel("all_l1_plain"))));
    EXPECT_TRUE(
        store_.OpenFingerprint(model->engine->state_fingerprint()).ok());
    return model;
  }
  uint64_t PublishedOf(const LoadedModelPtr& model,
                       const std::string& user_id) {
    const auto lookup = pipeline_->states().Of(model)->Find(user_id);
    return lookup->origin == UserMemory::Origin::kCache
               ? lookup->known.folded_sequence()
               : 0;
  }
  void Unload(const LoadedModelPtr& model) {
    pipeline_->partitions().RemoveModel(*model);
    pipeline_->states().LetGo(*model);
  }
};

TEST_F(ChangingModelsTest, NobodyFoldsForAModelBeforeItIsAdded) {
  const LoadedModelPtr model = Load();
  pipeline_->partitions().CatchUp(*model, "user");
  Append("user", 1, 3);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(PublishedOf(model, "user"), 0);
}

TEST_F(ChangingModelsTest, OneThatIsAddedFoldsWhatComesAndWhoIsAskedFor) {
  const LoadedModelPtr model = Load();
  Append("asked for", 1, 300);
  Append("appended to", 1, 300);
  pipeline_->partitions().AddModel(model);
  Append("appended to", 301, 310);
  pipeline_->partitions().CatchUp(*model, "asked for");
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(PublishedOf(model, "asked for"), 300);
  EXPECT_EQ(PublishedOf(model, "appended to"), 310);
  const auto known = pipeline_->states().Of(model)->Find("appended to")->known;
  EXPECT_EQ(model->engine->SerializeState(*known.state),
            *FreshFold(*model->engine, store_, "appended to"));
}

TEST_F(ChangingModelsTest, NothingIsLeftOfOneThatIsRemoved) {
  LoadedModelPtr model = Load();
  pipeline_->partitions().AddModel(model);
  for (int i = 0; i < 20; ++i) Append("user-" + std::to_string(i), 1, 10);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(metrics_.state.cached_users.Value(), 40);

  Unload(model);
  EXPECT_EQ(metrics_.state.cached_users.Value(), 20);
  pipeline_->partitions().CatchUp(*model, "user-1");
  Append("user-1", 11, 12);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(metrics_.state.cached_users.Value(), 20);
  ASSERT_TRUE(pipeline_->Flush().ok());
  // A straggler is served, and leaves nothing behind.
  EXPECT_EQ(pipeline_->states().Of(model)->Find("user-1")->head.last_sequence,
            12);
  const std::weak_ptr<const LoadedModel> last = model;
  model = nullptr;
  EXPECT_TRUE(last.expired());
}

// Who loads it again need not fold everything again.
TEST_F(ChangingModelsTest, StatesOfOneThatIsRemovedAreInSnapshots) {
  const LoadedModelPtr model = Load();
  pipeline_->partitions().AddModel(model);
  Append("user", 1, 7);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  Unload(model);
  ASSERT_TRUE(pipeline_->states().AwaitSnapshots().ok());
  const auto snapshot =
      store_.GetSnapshot(model->engine->state_fingerprint(), "user");
  ASSERT_TRUE(snapshot.ok() && snapshot->has_value());
  EXPECT_EQ((*snapshot)->folded_sequence, 7);
}

// Every loaded model has a say in what may be trimmed, and no other.
TEST_F(ChangingModelsTest, LogsAreTrimmedWhenEveryModelThatIsThereAllowsIt) {
  const auto trim = [&] {
    absl::Status result;
    absl::Notification done;
    pipeline_->partitions().OwnerOf("user").Trim(
        "user", 50, [&](absl::Status status) {
          result = std::move(status);
          done.Notify();
        });
    done.WaitForNotification();
    return result;
  };
  Append("user", 1, 100);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  ASSERT_TRUE(pipeline_->Flush().ok());
  const LoadedModelPtr model = Load();
  pipeline_->partitions().AddModel(model);
  EXPECT_FALSE(trim().ok());
  Unload(model);
  EXPECT_TRUE(trim().ok());
}

TEST_F(ChangingModelsTest, ModelsComeAndGoUnderLoad) {
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      pipeline_->partitions().CatchUp(*model().loaded, "user-0");
    }
  });
  std::thread writer([&] {
    for (uint64_t n = 1; !stop; ++n) {
      Append("user-" + std::to_string(n % 7), n, n);
    }
  });
  for (int i = 0; i < 10; ++i) {
    LoadedModelPtr model = Load();
    pipeline_->partitions().AddModel(model);
    for (int user = 0; user < 7; ++user) {
      pipeline_->partitions().CatchUp(*model, "user-" + std::to_string(user));
    }
    absl::SleepFor(absl::Milliseconds(5));
    Unload(model);
    const std::weak_ptr<const LoadedModel> last = model;
    model = nullptr;
    // The reader may look at the set that it was in.
    const absl::Time end = absl::Now() + absl::Seconds(10);
    while (!last.expired() && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_TRUE(last.expired());
  }
  stop = true;
  reader.join();
  writer.join();
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  const auto known = model().memory->Find("user-3")->known;
  EXPECT_EQ(model().engine().SerializeState(*known.state),
            *FreshFold(model().engine(), store_, "user-3"));
  EXPECT_EQ(metrics_.ingest.fold_backlog_users.Value(), 0);
}

}  // namespace
}  // namespace qlarank::testing
