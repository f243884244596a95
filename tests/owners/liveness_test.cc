// After any burst, with no look-up and no further event, every state reaches the
// end of its log: 10,000 users, bursts of 1 to 5,000 events about the bounds of
// rounds, from several threads at once and more behind them, two models.
//
// What is looked at is what is published, not what a reader makes of it.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/states/fold_queue.h"
#include "tests/owners/serving.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr int kUsers = 10'000;
constexpr int kThreads = 4;
constexpr int kModels = 2;
constexpr absl::Duration kPatience = absl::Seconds(90);

std::string UserName(int user) { return absl::StrCat("user-", user); }

// Most of a few events, some about a round's chunk, some of very many.
uint64_t BurstOf(int user) {
  constexpr uint64_t kOdd[] = {FoldQueue::kChunk - 1, FoldQueue::kChunk,
                               FoldQueue::kChunk + 1, 2 * FoldQueue::kChunk};
  if (user % 1000 == 7) return 5'000;
  if (user % 500 == 8) return 1'000;
  if (user % 50 == 9) return kOdd[user / 50 % 4];
  return 1 + user % 4;
}

// Behind the burst.
uint64_t MoreOf(int user) { return user % 5 == 2 || user % 10 >= 7 ? 2 : 0; }

class LivenessTest : public ::testing::Test {
 protected:
  // With a cache of so many bytes for each model.
  void Start(size_t cache_bytes) {
    options_ = TinyOptions(folder_.path(), kModels);
    options_.store.user_cache_bytes = kModels * cache_bytes;
    options_.ingest.shards = 2;
    serving_.emplace(options_, store_);
  }

  // One event after another, of some users; those of each are in order.
  void Append(std::vector<v1::AppendEventsRequest> requests) {
    absl::BlockingCounter answered(static_cast<int>(requests.size()));
    for (const v1::AppendEventsRequest& request : requests) {
      serving_->pipeline().ingest().Append(
          request, absl::Now(), {request.source()},
          IngestPipeline::OnFull::kWait, [&](const AppendResult& result) {
            EXPECT_EQ(result.response.applied(), request.events_size())
                << result.status;
            answered.DecrementCount();
          });
    }
    answered.Wait();
  }

  // What one thread sends: bursts, and what comes behind each, after some more
  // bursts or after all of them.
  std::vector<v1::AppendEventsRequest> Bursts(int thread, size_t bursts_before) {
    std::vector<int> users;
    for (int user = thread; user < kUsers; user += kThreads) {
      users.push_back(user);
    }
    std::shuffle(users.begin(), users.end(), std::mt19937(thread));
    std::vector<v1::AppendEventsRequest> requests(1), behind;
    const auto send_behind = [&] {
      std::move(behind.begin(), behind.end(), std::back_inserter(requests));
      behind.clear();
      requests.emplace_back();
    };
    for (const int user : users) {
      const uint64_t burst = BurstOf(user);
      if (requests.back().events_size() + burst > 5'000) requests.emplace_back();
      Add(user, 1, burst, thread, requests.back());
      if (MoreOf(user) == 0) continue;
      Add(user, burst + 1, burst + MoreOf(user), thread, behind.emplace_back());
      if (behind.size() == bursts_before) send_behind();
    }
    send_behind();
    std::erase_if(requests, [](const auto& request) {
      return request.events_size() == 0;
    });
    return requests;
  }

  void Add(int user, uint64_t first, uint64_t last, int source,
           v1::AppendEventsRequest& request) {
    request.set_source(absl::StrCat("source-", source));
    for (uint64_t n = first; n <= last; ++n) {
      AddEvent(serving_->engine().bundle(), UserName(user), n, request);
    }
  }

  void AppendAll(size_t bursts_before = 20) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back(
          [=, this] { Append(Bursts(thread, bursts_before)); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  // One of whom the log is read as soon as they are caught up: nothing of theirs
  // is at hand.
  void AppendUnseen(const std::string& user_id) {
    UserAppend append;
    append.user_id = user_id;
    append.head_after.incarnation = 7;
    append.head_after.last_sequence = 1;
    append.events.resize(1);
    append.events[0].features.resize(
        serving_->engine().bundle().spec().event_features_size());
    ASSERT_TRUE(store_.AppendEvents(absl::MakeConstSpan(&append, 1)).ok());
  }
  void CatchUp(const std::string& user_id) {
    Pipeline& pipeline = serving_->pipeline();
    const auto registry = pipeline.models().Current();
    for (const auto& model : registry->models()) {
      pipeline.partitions().CatchUp(*model, user_id);
    }
  }

  // What is published is the log's end; how many are, of each model.
  std::vector<int> ExpectLogsEnds(const std::vector<uint64_t>& later = {}) {
    std::vector<int> published(kModels), behind(kModels);
    for (int model = 0; model < kModels; ++model) {
      for (int user = 0; user < kUsers; ++user) {
        const uint64_t end = BurstOf(user) + MoreOf(user) +
                             (later.empty() ? 0 : later[user]);
        EXPECT_EQ(store_.GetHead(UserName(user))->last_sequence, end);
        const auto state = *serving_->Published(UserName(user), model);
        if (!state.has_value()) continue;
        ++published[model];
        if (*state == end) continue;
        EXPECT_GT(++behind[model], 3)
            << UserName(user) << ", model " << model << ": " << *state
            << " of " << end;
      }
    }
    EXPECT_EQ(behind, std::vector<int>(kModels));
    EXPECT_EQ(serving_->metrics().ingest.fold_backlog_users.Value(), 0);
    return published;
  }

  TempDir folder_;
  ServerOptions options_;
  FaultyStateStore store_;
  std::optional<Serving> serving_;
};

TEST_F(LivenessTest, EveryStateReachesItsLogsEnd) {
  Start(size_t{1} << 30);
  AppendAll();
  ASSERT_TRUE(serving_->pipeline().WaitUntilFolded(kPatience));
  EXPECT_EQ(ExpectLogsEnds(), std::vector<int>(kModels, kUsers));
  for (int model = 0; model < kModels; ++model) {
    const Engine& engine = serving_->engine(model);
    const auto scratch = engine.NewScratch();
    for (int user = 0; user < kUsers; user += 501) {
      const auto sight = serving_->Read(UserName(user), {}, *scratch, model);
      EXPECT_EQ(sight->digest,
                DigestOf(*FreshFold(engine, store_, UserName(user))));
    }
  }
}

// States leave the cache while more of their events wait.
TEST_F(LivenessTest, SoDoThoseThatACacheForSomeHolds) {
  Start(size_t{1} << 20);
  AppendAll();
  ASSERT_TRUE(serving_->pipeline().WaitUntilFolded(kPatience));
  for (const int published : ExpectLogsEnds()) {
    EXPECT_GT(published, 100);
    EXPECT_LT(published, kUsers / 2);
  }
}

// In the middle of rounds, more of those comes of whom each leaves a rest: while
// the log of somebody else in the round is read.
TEST_F(LivenessTest, SoDoThoseOfWhomMoreComesDuringARound) {
  Start(size_t{1} << 30);
  constexpr int kTimes = 40, kStep = 2'000;
  std::vector<uint64_t> later(kUsers);
  absl::Mutex mutex;
  int times = 0;
  store_.after_read_events = [&] {
    absl::MutexLock lock(&mutex);
    if (times == kModels * kTimes) return;
    ++times;
    std::vector<v1::AppendEventsRequest> requests(1);
    for (int user = 7; user < kUsers; user += kStep) {
      const uint64_t end = BurstOf(user) + MoreOf(user) + later[user];
      if (store_.GetHead(UserName(user))->last_sequence < end) continue;
      Add(user, end + 1, end + 1, user % kThreads, requests[0]);
      ++later[user];
    }
    if (requests[0].events_size() > 0) Append(std::move(requests));
  };
  for (int i = 0; i < kTimes; ++i) AppendUnseen(absl::StrCat("unseen-", i));
  AppendAll();
  for (int i = 0; i < kTimes; ++i) {
    // Those of whom more comes have a burst behind them again.
    std::vector<v1::AppendEventsRequest> requests(1);
    {
      absl::MutexLock lock(&mutex);
      for (int user = 7; user < kUsers; user += kStep) {
        const uint64_t end = BurstOf(user) + MoreOf(user) + later[user];
        Add(user, end + 1, end + 3 * FoldQueue::kChunk, user % kThreads,
            requests[0]);
        later[user] += 3 * FoldQueue::kChunk;
      }
    }
    Append(std::move(requests));
    CatchUp(absl::StrCat("unseen-", i));  // and in a round with some of them
  }
  ASSERT_TRUE(serving_->pipeline().WaitUntilFolded(kPatience));
  EXPECT_EQ(times, kModels * kTimes);
  EXPECT_EQ(ExpectLogsEnds(later), std::vector<int>(kModels, kUsers));
}

// Folding waits until all is appended: more than is kept at hand.
TEST_F(LivenessTest, AndWhenMoreWaitsThanIsKeptAtHand) {
  Start(size_t{1} << 30);
  absl::Notification reached, go;
  store_.after_read_events = [&] {
    if (!reached.HasBeenNotified()) reached.Notify();
    go.WaitForNotification();
  };
  AppendUnseen("gate");  // there is one fold slot
  CatchUp("gate");
  reached.WaitForNotification();

  uint64_t events = 0;
  for (int user = 0; user < kUsers; ++user) {
    events += BurstOf(user) + MoreOf(user);
  }
  EXPECT_GT(events, 2 * FoldQueue::kMaxHeldEvents);  // of each of two owners
  AppendAll(/*bursts_before=*/kUsers);
  go.Notify();
  ASSERT_TRUE(serving_->pipeline().WaitUntilFolded(kPatience));
  EXPECT_EQ(ExpectLogsEnds(), std::vector<int>(kModels, kUsers));
}

}  // namespace
}  // namespace qlarank::testing
