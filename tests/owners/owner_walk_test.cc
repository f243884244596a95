// A random walk of the owners, over both stores: walkers (walker.h) do whatever
// can be done to users, readers look at the same users beside them, life after
// life of the process, which end in a crash, or are stopped with snapshots or
// without. Oracles (user_oracle.h) hold
//
//   - every answer to what must become of each event;
//   - every log to what was acknowledged, event by event;
//   - every state and every snapshot, whoever reads it, whenever, to a fold of
//     one event after the other, bit for bit;
//   - readers to each other: one who begins after another has ended sees no
//     fewer events, and of a user's lives none that is over;
//   - what goes forward only to that; and at the end of each life the store to
//     what `store verify` looks at.
//
// A crash is what the files are while they are written, opened as another store:
// snapshots that no flush has made durable are gone.
//
// QLARANK_WALK_OPERATIONS (some seconds' worth) and QLARANK_WALK_SEED (a fixed
// one and a fresh one) may be set in the environment; ./run walk takes a million.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "state_store/memory_state_store.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_check.h"
#include "tests/owners/crash_copy.h"
#include "tests/owners/serving.h"
#include "tests/owners/walker.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr uint64_t kOperationsOnDisk = 8'000, kOperationsInMemory = 24'000;
constexpr uint64_t kFixedSeed = 16;
constexpr size_t kWalkers = 3;
constexpr size_t kUsersOfWalker = 12;
constexpr size_t kReaders = 2;
constexpr uint64_t kLookUpsAnOperation = 2;  // of all readers

enum class StoreKind { kRocksDb, kMemory };
enum class Seed { kFixed, kFresh };

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// Keeps readers from doing all the work there is. Thread-safe.
class Pace {
 public:
  void Add(uint64_t steps) {
    absl::MutexLock lock(&mutex_);
    steps_ += steps;
  }
  void End() {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }
  // Waits for a step, and takes it; false at the end.
  bool Go() {
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return steps_ > 0 || ended_;
    };
    absl::MutexLock lock(&mutex_, absl::Condition(&ready));
    if (ended_) return false;
    --steps_;
    return true;
  }

 private:
  absl::Mutex mutex_;
  uint64_t steps_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class OwnerWalkTest
    : public ::testing::TestWithParam<std::tuple<StoreKind, Seed>> {
 protected:
  OwnerWalkTest()
      : rocksdb_(std::get<0>(GetParam()) == StoreKind::kRocksDb),
        seed_(FromEnvironment("QLARANK_WALK_SEED",
                              std::get<1>(GetParam()) == Seed::kFixed
                                  ? kFixedSeed
                                  : std::random_device()())),
        operations_(FromEnvironment("QLARANK_WALK_OPERATIONS",
                                    rocksdb_ ? kOperationsOnDisk
                                             : kOperationsInMemory)),
        random_(seed_),
        options_(TinyOptions(folder_.path())),
        engine_(*Engine::Create(*Bundle::Load(options_.models[0].path))),
        store_path_(folder_.Path("store-0")) {
    std::cout << "QLARANK_WALK_SEED=" << seed_ << std::endl;
    for (size_t i = 0; i < kWalkers; ++i) {
      walkers_.push_back(std::make_unique<Walker>(i, kUsersOfWalker, random_(),
                                                  *engine_, findings_));
    }
  }

  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool wrong() const { return findings_.any() || HasFailure(); }

  // Another life: other threads, intervals of snapshots and sizes of the cache,
  // which holds all states or a few, and logs trimmed by a policy or not.
  void Start() {
    options_.ingest.shards = 1 + Below(3);
    options_.ingest.max_group_events = OneIn(2) ? 4096 : 32;
    options_.ingest.fold_threads = 1 + Below(2);
    constexpr uint32_t kIntervals[] = {1, 4, 16, 64, 2000};
    options_.store.snapshot_interval_events = kIntervals[Below(5)];
    constexpr uint64_t kCaches[] = {1 << 30, 20'000, 60'000, 0};
    options_.store.user_cache_bytes = kCaches[Below(4)];
    const bool by_policy = OneIn(3);
    options_.retention.max_events_per_user = by_policy ? 80 : 0;
    options_.retention.sweep_interval = absl::Milliseconds(50);
    if (rocksdb_ || store_ == nullptr) store_ = OpenStore();
    const std::string& fingerprint = engine_->state_fingerprint();
    ASSERT_TRUE(store_->OpenFingerprint(fingerprint).ok());
    for (const auto& walker : walkers_) {
      walker->Restart(*store_, fingerprint, by_policy);
    }
    serving_.emplace(options_, *store_);
  }

  std::unique_ptr<StateStore> OpenStore() {
    if (!rocksdb_) return NewMemoryStateStore();
    RocksDbOptions options;
    options.path = store_path_;
    options.block_cache_bytes = 8 << 20;
    // So little that RocksDB flushes and compacts by itself as well, or so much
    // that only Walker::Flush does.
    options.memtable_bytes = OneIn(2) ? 1 << 20 : 256 << 20;
    options.head_cache_bytes = OneIn(2) ? 4'000 : 32 << 20;
    // What is in the files' copy is there without a sync as well.
    options.sync_log = OneIn(8);
    auto store = OpenRocksDbStateStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  // So many operations of all walkers together, and readers beside them.
  void Walk(uint64_t operations) {
    std::vector<std::thread> readers, threads;
    Pace pace;
    for (size_t i = 0; i < kReaders; ++i) {
      readers.emplace_back([&, i, seed = random_()] {
        std::mt19937_64 random(seed);
        const auto scratch = serving_->engine().NewScratch();
        for (uint64_t n = 1; pace.Go() && !findings_.any(); ++n) {
          const auto& users = walkers_[random() % kWalkers]->users();
          LookUp(*users[random() % users.size()], *serving_, random, *scratch,
                 absl::StrCat("reader ", i, ", look-up ", n), findings_);
        }
      });
    }
    for (const auto& walker : walkers_) {
      threads.emplace_back([&, operations] {
        walker->Walk(*serving_, operations / kWalkers + 1,
                     [&pace] { pace.Add(kLookUpsAnOperation); });
      });
    }
    for (std::thread& thread : threads) thread.join();
    pace.End();
    for (std::thread& reader : readers) reader.join();
  }

  // The process is gone in the middle of what it did.
  void Crash() {
    findings_.Count("crashes");
    for (const auto& walker : walkers_) walker->Crash();
    const std::string next = folder_.Path(absl::StrCat("store-", ++stores_));
    if (rocksdb_) {
      ASSERT_TRUE(CopyAsCrashed(store_path_, next));
    }
    serving_.reset();
    if (!rocksdb_) return;
    store_ = nullptr;
    std::filesystem::remove_all(store_path_);
    store_path_ = next;
  }

  void Stop() {
    findings_.Count("stops");
    size_t with_events = 0;
    for (const auto& walker : walkers_) {
      walker->Settle(*serving_);
      for (const auto& user : walker->users()) {
        with_events += user->issued().events > 0;
      }
    }
    const double cached = serving_->metrics().state.cached_users.Value();
    if (cached > with_events && !wrong()) {
      findings_.Report(absl::StrCat(cached, " states are kept in memory, ",
                                    with_events, " users have events"));
    }
    if (OneIn(2)) {
      ASSERT_TRUE(serving_->pipeline().Flush().ok());
    }
    serving_.reset();
    if (rocksdb_) store_ = nullptr;
  }

  void Verify() {
    if (!rocksdb_) return;
    std::string problems;
    const auto totals =
        VerifyStore(store_path_, [&](const StoreProblem& problem) {
          absl::StrAppend(&problems, problem.column_family, ": ", problem.what,
                          "\n");
        });
    if (!totals.ok()) problems = totals.status().ToString();
    if (!problems.empty()) {
      findings_.Report(absl::StrCat("store verify: ", problems));
    }
  }

  uint64_t WalkersOperations() const {
    uint64_t operations = 0;
    for (const auto& walker : walkers_) operations += walker->operations();
    return operations;
  }

  void Say(absl::Time begin) const {
    std::cout << WalkersOperations() << " operations in "
              << absl::FormatDuration(absl::Trunc(absl::Now() - begin,
                                                  absl::Milliseconds(10)))
              << "\n";
    for (const auto& [kind, times] : findings_.counts()) {
      std::cout << "  " << kind << ": " << times << "\n";
    }
  }

  const bool rocksdb_;
  const uint64_t seed_;
  const uint64_t operations_;
  std::mt19937_64 random_;
  TempDir folder_;
  ServerOptions options_;
  const std::unique_ptr<const Engine> engine_;
  std::string store_path_;
  int stores_ = 0;
  Findings findings_;
  std::vector<std::unique_ptr<Walker>> walkers_;
  std::unique_ptr<StateStore> store_;
  std::optional<Serving> serving_;
};

TEST_P(OwnerWalkTest, NothingIsLostAndNothingGoesBack) {
  const absl::Time begin = absl::Now();
  while (WalkersOperations() < operations_ && !wrong()) {
    ASSERT_NO_FATAL_FAILURE(Start());
    if (wrong()) break;
    Walk(std::min(operations_ - WalkersOperations(), 200 + Below(2'000)));
    if (wrong()) break;
    if (OneIn(3)) {
      ASSERT_NO_FATAL_FAILURE(Stop());
    } else {
      ASSERT_NO_FATAL_FAILURE(Crash());
    }
    Verify();
  }
  if (!wrong()) {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_NO_FATAL_FAILURE(Stop());
    Verify();
  }
  Say(begin);
  if (findings_.any()) {
    FAIL() << "QLARANK_WALK_SEED=" << seed_ << ", after "
           << WalkersOperations() << " operations: " << findings_.first();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Stores, OwnerWalkTest,
    ::testing::Combine(::testing::Values(StoreKind::kRocksDb,
                                         StoreKind::kMemory),
                       ::testing::Values(Seed::kFixed, Seed::kFresh)),
    [](const auto& info) {
      return absl::StrCat(
          std::get<0>(info.param) == StoreKind::kRocksDb ? "RocksDb" : "Memory",
          std::get<1>(info.param) == Seed::kFixed ? "FixedSeed" : "FreshSeed");
    });

}  // namespace
}  // namespace qlarank::testing
