#include "state_store/user_cache.h"

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::Pointee;

using Cache = UserCache<int>;

std::shared_ptr<const int> Make(int value) {
  return std::make_shared<const int>(value);
}

// Room for exactly `entries` of one-letter users with a charge of 100, in one
// shard.
UserCacheOptions RoomFor(size_t entries) {
  UserCacheOptions options;
  options.budget_bytes = entries * (100 + 1 + kUserCacheEntryBytes);
  options.max_shards = 1;
  return options;
}

// A cache that writes down what it evicts.
class UserCacheTest : public testing::Test {
 protected:
  Cache::OnEvict Record() {
    return [this](const UserCacheKey& key, Cache::Value value) {
      evicted_.emplace_back(key.user_id, *value);
    };
  }

  std::vector<std::pair<std::string, int>> evicted_;
};

TEST_F(UserCacheTest, FindsWhatWasInserted) {
  Cache cache(RoomFor(2));
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  cache.Insert("a", Make(1), 100);
  EXPECT_THAT(cache.Lookup("a"), Pointee(1));
  EXPECT_EQ(cache.Lookup("b"), nullptr);
  const UserCacheStats stats = cache.Stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.bytes, 100 + 1 + kUserCacheEntryBytes);
}

TEST_F(UserCacheTest, EvictsLeastRecentlyUsed) {
  Cache cache(RoomFor(3), Record());
  cache.Insert("a", Make(1), 100);
  cache.Insert("b", Make(2), 100);
  cache.Insert("c", Make(3), 100);
  EXPECT_THAT(evicted_, IsEmpty());
  cache.Lookup("a");
  cache.Insert("d", Make(4), 100);
  EXPECT_THAT(evicted_, ElementsAre(Pair("b", 2)));
  cache.Insert("e", Make(5), 200);  // needs the room of two
  EXPECT_THAT(evicted_, ElementsAre(Pair("b", 2), Pair("c", 3), Pair("a", 1)));
  EXPECT_EQ(cache.Stats().evictions, 3u);
  EXPECT_THAT(cache.Lookup("d"), Pointee(4));
  EXPECT_THAT(cache.Lookup("e"), Pointee(5));
}

TEST_F(UserCacheTest, ReplacesWithoutEvicting) {
  Cache cache(RoomFor(2), Record());
  cache.Insert("a", Make(1), 100);
  cache.Insert("b", Make(2), 100);
  cache.Insert("a", Make(3), 100);
  EXPECT_THAT(evicted_, IsEmpty());
  EXPECT_THAT(cache.Lookup("a"), Pointee(3));
  EXPECT_EQ(cache.Stats().entries, 2u);
}

TEST_F(UserCacheTest, PublishesOnlyWhatReplaces) {
  Cache cache(RoomFor(2));
  const auto newer_than = [](int value) {
    return [value](const int* old) { return old == nullptr || *old < value; };
  };
  EXPECT_TRUE(cache.InsertIf("a", Make(5), 100, newer_than(5)));
  EXPECT_FALSE(cache.InsertIf("a", Make(4), 100, newer_than(4)));
  EXPECT_FALSE(cache.InsertIf("a", Make(5), 100, newer_than(5)));
  EXPECT_THAT(cache.Lookup("a"), Pointee(5));
  EXPECT_TRUE(cache.InsertIf("a", Make(6), 100, newer_than(6)));
  EXPECT_THAT(cache.Lookup("a"), Pointee(6));
  EXPECT_FALSE(
      cache.InsertIf("b", Make(1), 100, [](const int*) { return false; }));
  EXPECT_EQ(cache.Lookup("b"), nullptr);
}

TEST_F(UserCacheTest, EraseReturnsTheValueAndEvictsNothing) {
  Cache cache(RoomFor(2), Record());
  cache.Insert("a", Make(1), 100);
  EXPECT_THAT(cache.Erase("a"), Pointee(1));
  EXPECT_EQ(cache.Erase("a"), nullptr);
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  EXPECT_EQ(cache.Stats().bytes, 0u);
  EXPECT_THAT(evicted_, IsEmpty());
}

TEST_F(UserCacheTest, DoesNotKeepWhatIsLargerThanItsShare) {
  Cache cache(RoomFor(2), Record());
  cache.Insert("a", Make(1), 100);
  cache.Insert("b", Make(2), 10'000);
  EXPECT_THAT(evicted_, ElementsAre(Pair("b", 2)));
  EXPECT_EQ(cache.Lookup("b"), nullptr);
  EXPECT_THAT(cache.Lookup("a"), Pointee(1)) << "made room in vain";
  // It takes the old one's place: nobody may go on reading that.
  cache.Insert("a", Make(3), 10'000);
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  EXPECT_EQ(cache.Stats().bytes, 0u);
}

TEST_F(UserCacheTest, ABudgetThatShrinksEvictsTheLeastRecentlyUsed) {
  int64_t reported = 0;
  UserCacheOptions options = RoomFor(3);
  options.on_change = [&](int64_t entries, int64_t /*bytes*/) {
    reported += entries;
  };
  Cache cache(options, Record());
  cache.Insert("a", Make(1), 100);
  cache.Insert("b", Make(2), 100);
  cache.Insert("c", Make(3), 100);
  cache.Lookup("a");
  cache.SetBudget(RoomFor(1).budget_bytes);
  EXPECT_THAT(evicted_, ElementsAre(Pair("b", 2), Pair("c", 3)));
  EXPECT_THAT(cache.Lookup("a"), Pointee(1));
  EXPECT_EQ(cache.Stats().evictions, 2u);
  EXPECT_EQ(reported, 1);
  cache.Insert("d", Make(4), 100);
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  cache.SetBudget(RoomFor(2).budget_bytes);
  cache.Insert("e", Make(5), 100);
  EXPECT_THAT(cache.Lookup("d"), Pointee(4));
}

TEST_F(UserCacheTest, KeepsNothingWithoutABudget) {
  UserCacheOptions options;
  options.budget_bytes = 0;
  Cache cache(options, Record());
  cache.Insert("a", Make(1), 0);
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  EXPECT_THAT(evicted_, ElementsAre(Pair("a", 1)));
}

TEST_F(UserCacheTest, ASmallBudgetIsNotSplit) {
  UserCacheOptions options;  // 16 shards, but not of a few KB each
  options.budget_bytes = 100'000;
  Cache cache(options, Record());
  cache.Insert("a", Make(1), 60'000);
  EXPECT_THAT(cache.Lookup("a"), Pointee(1));
  cache.Insert("b", Make(2), 60'000);
  EXPECT_THAT(evicted_, ElementsAre(Pair("a", 1)));
}

TEST_F(UserCacheTest, AReaderKeepsWhatIsEvicted) {
  Cache cache(RoomFor(1));
  cache.Insert("a", Make(1), 100);
  const Cache::Value held = cache.Lookup("a");
  cache.Insert("b", Make(2), 100);
  EXPECT_EQ(cache.Lookup("a"), nullptr);
  EXPECT_THAT(held, Pointee(1));
}

TEST_F(UserCacheTest, CallbackMayCallTheCache) {
  Cache* cache_ptr = nullptr;
  Cache cache(RoomFor(1), [&](const UserCacheKey& key, Cache::Value) {
    EXPECT_EQ(cache_ptr->Lookup(key), nullptr);
    cache_ptr->Stats();
    cache_ptr->Erase("z");
  });
  cache_ptr = &cache;
  cache.Insert("a", Make(1), 100);
  cache.Insert("b", Make(2), 100);
  EXPECT_THAT(cache.Lookup("b"), Pointee(2));
}

TEST_F(UserCacheTest, ForEachVisitsEveryEntryAndMayCallTheCache) {
  UserCacheOptions options;
  options.min_share_bytes = 1 << 10;
  options.budget_bytes = 1 << 20;
  Cache cache(options);
  std::map<std::string, int> inserted, seen;
  for (int i = 0; i < 100; ++i) {
    const std::string user = absl::StrCat("user-", i);
    inserted[user] = i;
    cache.Insert(user, Make(i), 10);
  }
  cache.ForEach([&](const UserCacheKey& key, const Cache::Value& value) {
    seen[std::string(key.user_id)] = *value;
    cache.Erase(key);
  });
  EXPECT_EQ(seen, inserted);
  EXPECT_EQ(cache.Stats().entries, 0u);
}

// One user's values in two spaces are strangers, but for the budget.
TEST_F(UserCacheTest, SpacesShareTheBudgetAsTheyNeedIt) {
  Cache cache(RoomFor(3), Record());
  cache.Insert({"a", 1}, Make(1), 100);
  cache.Insert({"a", 2}, Make(2), 100);
  cache.Insert({"b", 2}, Make(3), 100);
  EXPECT_THAT(cache.Lookup({"a", 1}), Pointee(1));
  EXPECT_THAT(cache.Lookup({"a", 2}), Pointee(2));
  EXPECT_EQ(cache.Lookup({"b", 1}), nullptr);
  cache.Insert({"c", 2}, Make(4), 100);  // the least recently used one goes
  EXPECT_THAT(evicted_, ElementsAre(Pair("b", 3)));
  EXPECT_THAT(cache.Erase({"a", 2}), Pointee(2));
  EXPECT_THAT(cache.Lookup({"a", 1}), Pointee(1));
}

// Against a model: every value inserted is in the cache, evicted, replaced or
// erased, and the bytes are those of the entries and never over the budget.
TEST_F(UserCacheTest, HoldsItsBudgetWhateverHappens) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    std::mt19937_64 random(seed);
    UserCacheOptions options;
    options.budget_bytes = 20'000 + random() % 80'000;
    options.max_shards = 1 + random() % 8;
    options.min_share_bytes = 2'000;
    std::map<std::string, std::pair<int, size_t>> model;  // value, bytes
    Cache cache(options, [&](const UserCacheKey& key, Cache::Value value) {
      const std::string user(key.user_id);
      ASSERT_EQ(model.at(user).first, *value);
      model.erase(user);
    });
    for (int step = 0; step < 20'000; ++step) {
      const std::string user(1 + random() % 3, 'a' + random() % 26);
      const auto known = model.find(user);
      switch (random() % 4) {
        case 0: {
          const Cache::Value value = cache.Lookup(user);
          ASSERT_EQ(value != nullptr, known != model.end());
          if (value != nullptr) {
            ASSERT_EQ(*value, known->second.first);
          }
          break;
        }
        case 1: {
          const Cache::Value value = cache.Erase(user);
          ASSERT_EQ(value != nullptr, known != model.end());
          model.erase(user);
          break;
        }
        default: {
          const size_t charge = random() % 5'000;
          model[user] = {step, charge + user.size() + kUserCacheEntryBytes};
          cache.Insert(user, Make(step), charge);
        }
      }
      const UserCacheStats stats = cache.Stats();
      size_t bytes = 0;
      for (const auto& [unused, entry] : model) bytes += entry.second;
      ASSERT_EQ(stats.bytes, bytes);
      ASSERT_EQ(stats.entries, model.size());
      ASSERT_LE(stats.bytes, options.budget_bytes);
    }
    EXPECT_GT(cache.Stats().evictions, 100u);
  }
}

// Each thread inserts ever newer values, and only over older ones. With nothing
// evicted or erased, nobody ever sees a user's value go back, and the newest
// stays.
TEST_F(UserCacheTest, ThreadsNeverPublishBackwards) {
  constexpr int kUsers = 4, kThreads = 4;
  Cache cache(UserCacheOptions{});
  std::atomic<int> clock = 0;
  std::vector<std::vector<int>> newest(kThreads, std::vector<int>(kUsers));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<int> seen(kUsers);
      for (int i = 0; i < 20'000; ++i) {
        const int user = random() % kUsers;
        const std::string user_id = absl::StrCat("user-", user);
        if (random() % 2 == 0) {
          const int now = ++clock;
          // Others overtake it here.
          if (random() % 8 == 0) std::this_thread::yield();
          cache.InsertIf(
              user_id, Make(now), 1,
              [&](const int* old) { return old == nullptr || *old < now; });
          newest[t][user] = now;
        } else if (const Cache::Value value = cache.Lookup(user_id)) {
          EXPECT_GE(*value, seen[user]);
          seen[user] = *value;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int user = 0; user < kUsers; ++user) {
    int most = 0;
    for (const auto& of_thread : newest) most = std::max(most, of_thread[user]);
    EXPECT_EQ(*cache.Lookup(absl::StrCat("user-", user)), most);
  }
  EXPECT_EQ(cache.Stats().evictions, 0u);
}

TEST_F(UserCacheTest, ThreadsNeverOverspend) {
  UserCacheOptions options;
  options.budget_bytes = 40'000;
  options.min_share_bytes = 5'000;
  std::atomic<uint64_t> evictions = 0;
  Cache cache(options, [&](const UserCacheKey&, Cache::Value) { ++evictions; });
  std::atomic<int> clock = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 5'000; ++i) {
        const std::string user = absl::StrCat("user-", random() % 64);
        const int now = ++clock;
        if (random() % 2 == 0) {
          cache.InsertIf(
              user, Make(now), random() % 2'000,
              [&](const int* old) { return old == nullptr || *old < now; });
        } else if (random() % 16 == 0) {
          cache.Erase(user);
        } else {
          cache.Lookup(user);
        }
        EXPECT_LE(cache.Stats().bytes, options.budget_bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.Stats().evictions, evictions.load());
  EXPECT_GT(evictions.load(), 0u);
}

TEST_F(UserCacheTest, ChangesAddUpToWhatIsThere) {
  UserCacheOptions options;
  options.budget_bytes = 40'000;
  options.min_share_bytes = 5'000;
  std::atomic<int64_t> entries = 0, bytes = 0;
  options.on_change = [&](int64_t more_entries, int64_t more_bytes) {
    entries += more_entries;
    bytes += more_bytes;
  };
  Cache cache(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 5'000; ++i) {
        const std::string user = absl::StrCat("user-", random() % 64);
        if (random() % 4 == 0) {
          cache.Erase(user);
        } else {  // now and then one that is too large to be kept
          cache.Insert(user, Make(i), random() % 6'000);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const UserCacheStats stats = cache.Stats();
  EXPECT_GT(stats.evictions, 0u);
  EXPECT_EQ(static_cast<size_t>(entries), stats.entries);
  EXPECT_EQ(static_cast<size_t>(bytes), stats.bytes);
}

TEST_F(UserCacheTest, ASpaceIsErasedWholeAndNoOther) {
  UserCacheOptions options;
  int64_t entries = 0, bytes = 0;
  options.on_change = [&](int64_t more_entries, int64_t more_bytes) {
    entries += more_entries;
    bytes += more_bytes;
  };
  Cache cache(options);
  for (int i = 0; i < 100; ++i) {
    const std::string user = absl::StrCat("user-", i);
    cache.Insert({user, 1}, Make(i), 10);
    cache.Insert({user, 2}, Make(i), 10);
  }
  size_t visited = 0;
  cache.EraseSpace(1, [&](const UserCacheKey& key, const Cache::Value& value) {
    EXPECT_EQ(key.space, 1u);
    EXPECT_NE(value, nullptr);
    EXPECT_EQ(cache.Lookup(key), nullptr);  // nobody holds a lock
    ++visited;
  });
  EXPECT_EQ(visited, 100u);
  EXPECT_EQ(cache.Stats().entries, 100u);
  EXPECT_EQ(entries, 100);
  EXPECT_EQ(static_cast<size_t>(bytes), cache.Stats().bytes);
  for (int i = 0; i < 100; ++i) {
    const std::string user = absl::StrCat("user-", i);
    EXPECT_EQ(cache.Lookup({user, 1}), nullptr);
    EXPECT_NE(cache.Lookup({user, 2}), nullptr);
  }
}

}  // namespace
}  // namespace qlarank
