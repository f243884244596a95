// The same events in the same order make the same bytes, whoever takes them,
// however they are grouped, and whatever comes in between.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "server/pipeline.h"
#include "state_store/keys.h"
#include "state_store/partition_position.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr int kUsers = 30;

// By column family and key.
using Contents = std::map<std::string, std::map<std::string, std::string>>;

// Everything but what is a store's own: its digest key, and when and under which
// digest somebody was erased.
Contents ContentsOf(const std::string& path) {
  std::vector<std::string> names;
  EXPECT_TRUE(
      rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), path, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  EXPECT_TRUE(rocksdb::DB::OpenForReadOnly(rocksdb::DBOptions(), path, families,
                                           &handles, &opened)
                  .ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  Contents contents;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    const std::unique_ptr<rocksdb::Iterator> it(
        db->NewIterator(rocksdb::ReadOptions(), handle));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const std::string key = it->key().ToString();
      if (key == "qlarank digest key" || NumberOfErasureKey(key).has_value()) {
        continue;
      }
      contents[handle->GetName()][key] = it->value().ToString();
    }
    EXPECT_TRUE(it->status().ok());
    delete handle;
  }
  return contents;
}

class Life {
 public:
  explicit Life(const std::string& path, uint32_t shards) {
    options_.ingest.shards = shards;
    options_.store.snapshot_interval_events = 8;
    rocksdb_.path = path;
    Start();
  }
  // All that it was told is in the store.
  ~Life() { Stop(); }

  void Restart() {
    Stop();
    Start();
  }

  // The next `num_events` of a user, in one request.
  void Append(const std::string& user_id, uint64_t num_events) {
    uint64_t& sent = sent_[user_id];
    const auto request = MakeAppend(*bundle_, user_id, sent + 1,
                                    sent + num_events);
    sent += num_events;
    absl::Notification done;
    pipeline_->ingest().Append(
        request, absl::Now(), {"client"}, IngestPipeline::OnFull::kWait,
        [&](const AppendResult& result) {
          EXPECT_EQ(result.response.applied(), num_events) << result.status;
          done.Notify();
        });
    done.WaitForNotification();
  }
  void Erase(const std::string& user_id) {
    absl::Notification done;
    pipeline_->ingest().DeleteUser(
        user_id, {}, [&](const absl::StatusOr<uint64_t>& removed) {
          EXPECT_GT(*removed, 0u);
          done.Notify();
        });
    done.WaitForNotification();
  }

  StateStore& store() { return *store_; }

 private:
  void Start() {
    store_ = *OpenRocksDbStateStore(rocksdb_);
    pipeline_ = *Pipeline::Create(options_, *store_, metrics_);
  }
  void Stop() {
    EXPECT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
    EXPECT_TRUE(pipeline_->Flush().ok());
    pipeline_ = nullptr;
    store_ = nullptr;
  }

  ServerOptions options_ = TestOptions();
  RocksDbOptions rocksdb_;
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  Metrics metrics_;
  std::map<std::string, uint64_t> sent_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
};

std::string User(int i) { return absl::StrCat("user-", i); }

// `chunk` events of a user at a time; `meanwhile` is called here and there.
void Live(Life& life, uint64_t chunk, const std::function<void()>& meanwhile) {
  const auto append = [&](const std::string& user, uint64_t num_events) {
    for (uint64_t n = 0; n < num_events; n += chunk) {
      life.Append(user, std::min(chunk, num_events - n));
    }
  };
  for (int i = 0; i < kUsers; ++i) append(User(i), 1 + i % 23);
  meanwhile();
  for (int i = 0; i < kUsers; i += 3) life.Erase(User(i));
  for (int i = 0; i < kUsers; i += 2) append(User(i), 5 + i % 11);
  meanwhile();
  for (int i = 0; i < kUsers; i += 5) append(User(i), 2);
}

TEST(ReplayTest, TheSameEventsMakeTheSameBytes) {
  TempDir dir;
  {
    Life life(dir.Path("one"), /*shards=*/1);
    Live(life, /*chunk=*/100, [] {});
  }
  const Contents one = ContentsOf(dir.Path("one"));
  EXPECT_GT(one.at("log").size(), 300u);
  EXPECT_GT(one.at("heads").size(), 20u);
  {
    Life life(dir.Path("other"), /*shards=*/3);
    Live(life, /*chunk=*/2, [&] { life.Restart(); });
  }
  const Contents other = ContentsOf(dir.Path("other"));
  ASSERT_EQ(one.size(), other.size());
  for (const auto& [family, records] : one) {
    EXPECT_TRUE(records == other.at(family)) << family;
  }
}

// Their life after an erasure has an incarnation that nobody in the partition
// has had.
TEST(ReplayTest, WhoReturnsIsAnother) {
  TempDir dir;
  Life life(dir.Path("store"), /*shards=*/2);
  life.Append("ann", 3);
  EXPECT_EQ(life.store().GetHead("ann")->incarnation, 1u);
  life.Erase("ann");
  life.Append("ann", 1);
  EXPECT_EQ(life.store().GetHead("ann")->incarnation, 4u);
  life.Erase("ann");
  life.Restart();
  life.Append("ann", 1);
  EXPECT_EQ(life.store().GetHead("ann")->incarnation, 5u);
  const auto marks = life.store().ListMarks();
  ASSERT_TRUE(marks.ok());
  ASSERT_EQ(marks->size(), 1u);
  EXPECT_EQ(marks->front().value, "5");
}

// A group that the store did not take leaves no gap behind.
TEST(ReplayTest, WhatWasNotWrittenTakesNoPosition) {
  FaultyStateStore store;
  std::atomic<bool> fail = true;
  store.before_append = [&](absl::Span<const UserAppend>) {
    return fail.exchange(false) ? absl::UnavailableError("disk on fire")
                                : absl::OkStatus();
  };
  Metrics metrics;
  const auto pipeline = *Pipeline::Create(TestOptions(), store, metrics);
  const auto request =
      MakeAppend(*LoadGolden(GoldenModel()), "ann", 1, 3);
  for (const uint64_t applied : {0, 3}) {
    absl::Notification done;
    pipeline->ingest().Append(
        request, absl::Now(), {"client"}, IngestPipeline::OnFull::kWait,
        [&](const AppendResult& result) {
          EXPECT_EQ(result.response.applied(), applied) << result.status;
          done.Notify();
        });
    done.WaitForNotification();
  }
  EXPECT_EQ(store.GetHead("ann")->incarnation, 1u);
  const auto marks = store.ListMarks();
  ASSERT_EQ(marks->size(), 1u);
  EXPECT_EQ(marks->front().value, "3");
}

TEST(ReplayTest, EveryEventNamesItsSchemaAndCatalogue) {
  TempDir dir;
  Life life(dir.Path("store"), /*shards=*/2);
  life.Append("ann", 3);
  const auto events = life.store().ReadEvents("ann", 1, 10);
  ASSERT_EQ(events->size(), 3u);
  for (const LoggedEvent& event : *events) {
    EXPECT_EQ(event.schema, 1u);
    EXPECT_EQ(event.catalogue_version, 0u);
  }
}

TEST(ReplayTest, MoreOwnersThanPartitionsAreRefused) {
  TempDir dir;
  RocksDbOptions rocksdb;
  rocksdb.path = dir.Path("store");
  rocksdb.partitions = 4;
  const auto store = *OpenRocksDbStateStore(rocksdb);
  Metrics metrics;
  ServerOptions options = TestOptions();
  options.ingest.shards = 5;
  const auto refused = Pipeline::Create(options, *store, metrics).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_TRUE(absl::StrContains(
      refused.message(),
      "ingest.shards: 5; must be at most the 4 partitions"))
      << refused;
  options.ingest.shards = 4;
  EXPECT_TRUE(Pipeline::Create(options, *store, metrics).ok());
}

// Whoever begins anew with a position that is not known might give an
// incarnation twice.
TEST(ReplayTest, ADamagedPositionKeepsTheServerFromStarting) {
  TempDir dir;
  RocksDbOptions rocksdb;
  rocksdb.path = dir.Path("store");
  const auto store = *OpenRocksDbStateStore(rocksdb);
  ASSERT_TRUE(
      store->AppendEvents({}, {{PositionMarkName(7, 16), "spoilt"}}).ok());
  Metrics metrics;
  const auto refused =
      Pipeline::Create(TestOptions(), *store, metrics).status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "partition 7 of 16"));
}

}  // namespace
}  // namespace qlarank::testing
