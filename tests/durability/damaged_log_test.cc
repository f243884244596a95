// A damaged record of one user's log stops that user alone: DATA_LOSS that
// names it, a metric, and everybody else is served. A damaged snapshot stops
// nobody.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "state_store/keys.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kDamaged = 1;  // of users 0 to 3

class DamagedLogTest : public ::testing::Test {
 protected:
  DamagedLogTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    TestServer server(options_);
    for (int user = 0; user < users_.size(); ++user) {
      EXPECT_TRUE(users_.Append(server, user, 20).ok());
    }
    right_ = users_.States(server);
    EXPECT_TRUE(server.Shutdown().ok());
  }

  using Handle = std::unique_ptr<rocksdb::ColumnFamilyHandle>;

  // Lets `change` at the store's database.
  void Damage(const std::function<void(rocksdb::DB&,
                                       std::map<std::string, Handle>&)>&
                  change) {
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, options_.store.path, &names)
                    .ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) {
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, options_.store.path, families, &handles,
                                  &opened)
                    .ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    std::map<std::string, Handle> by_name;
    for (size_t i = 0; i < names.size(); ++i) {
      const bool states = names[i].find("state-") == 0;
      by_name[states ? "states" : names[i]].reset(handles[i]);
    }
    change(*db, by_name);
  }

  // Flips a bit of one record.
  void Flip(const std::string& family, const std::string& key) {
    Damage([&](rocksdb::DB& db, auto& families) {
      std::string value;
      ASSERT_TRUE(db.Get({}, families[family].get(), key, &value).ok());
      value[value.size() / 2] ^= 0x10;
      ASSERT_TRUE(db.Put({}, families[family].get(), key, value).ok());
    });
  }

  void DropSnapshot() {
    Damage([&](rocksdb::DB& db, auto& families) {
      ASSERT_TRUE(db.Delete({}, families["states"].get(),
                            UserKey(users_.Name(kDamaged)))
                      .ok());
    });
  }

  absl::Status RankDamaged(TestServer& server) {
    v1::RankRequest request = MakeRank(*bundle_, users_.Name(kDamaged),
                                       CatalogueItems(*bundle_, 5));
    return server.Rank(request).status();
  }

  // Everybody else is as before, and has new events.
  void ExpectOthersServed(TestServer& server) {
    const std::vector<std::string> states = StatesOfOthers(server);
    for (int user = 0; user < users_.size(); ++user) {
      if (user == kDamaged) continue;
      EXPECT_TRUE(states[user] == right_[user]);
      const absl::Status status = users_.Append(server, user, 5);
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_TRUE(
          server.GetState(users_.Name(user), users_.acknowledged(user)).ok());
    }
  }

  std::vector<std::string> StatesOfOthers(TestServer& server) {
    std::vector<std::string> states(users_.size());
    for (int user = 0; user < users_.size(); ++user) {
      if (user == kDamaged) continue;
      const auto state =
          server.GetState(users_.Name(user), users_.acknowledged(user));
      EXPECT_TRUE(state.ok()) << state.status();
      if (state.ok()) states[user] = state->serialized_state();
    }
    return states;
  }

  TempDir dir_;
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  AcknowledgedUsers users_{bundle_, 4};
  std::vector<std::string> right_;
};

TEST_F(DamagedLogTest, ADamagedEventStopsItsUserAlone) {
  Flip("log", LogKey(users_.Name(kDamaged), 7));
  DropSnapshot();
  TestServer server(options_);
  EXPECT_EQ(MetricValue(server, "qlarank_damaged_logs_total"), 0);
  const auto state = server.GetState(users_.Name(kDamaged), 20);
  EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(state.status().message()),
              HasSubstr("event 7 of user \"user1\": checksum mismatch"));
  EXPECT_EQ(RankDamaged(server).code(), absl::StatusCode::kDataLoss);
  EXPECT_GE(MetricValue(server, "qlarank_damaged_logs_total"), 2);
  ExpectOthersServed(server);
  // Their events are kept, too: their log is whole again once event 7 is.
  const absl::Status appended = users_.Append(server, kDamaged, 3);
  EXPECT_TRUE(appended.ok()) << appended;

  // Erased, they begin anew.
  ASSERT_TRUE(server.Delete(users_.Name(kDamaged)).ok());
  ASSERT_TRUE(
      server.Append(MakeAppend(*bundle_, users_.Name(kDamaged), 1, 9)).ok());
  const auto anew = server.GetState(users_.Name(kDamaged), 9);
  ASSERT_TRUE(anew.ok()) << anew.status();
  EXPECT_EQ(anew->state().event_count(), 9);
}

// The state comes from a snapshot that the damage did not reach.
TEST_F(DamagedLogTest, ADamagedEventBelowASnapshotStopsNobody) {
  Flip("log", LogKey(users_.Name(kDamaged), 7));
  TestServer server(options_);
  EXPECT_TRUE(users_.States(server) == right_);
}

TEST_F(DamagedLogTest, ADamagedHeadStopsItsUserAlone) {
  Flip("heads", UserKey(users_.Name(kDamaged)));
  TestServer server(options_);
  const absl::Status appended = users_.Append(server, kDamaged, 3);
  EXPECT_EQ(appended.code(), absl::StatusCode::kDataLoss) << appended;
  EXPECT_THAT(std::string(appended.message()),
              HasSubstr("head of user \"user1\": checksum mismatch"));
  EXPECT_EQ(RankDamaged(server).code(), absl::StatusCode::kDataLoss);
  EXPECT_GE(MetricValue(server, "qlarank_damaged_logs_total"), 2);
  ExpectOthersServed(server);
}

TEST_F(DamagedLogTest, ADamagedSnapshotIsRebuiltFromTheLog) {
  Flip("states", UserKey(users_.Name(kDamaged)));
  TestServer server(options_);
  EXPECT_TRUE(users_.States(server) == right_);
  // By the reader, and perhaps by the owner, whom it asks to make another.
  EXPECT_GE(
      MetricValue(server, "qlarank_state_lookups_total{result=\"corrupt\"}"),
      1);
  EXPECT_EQ(MetricValue(server, "qlarank_damaged_logs_total"), 0);
}

}  // namespace
}  // namespace qlarank::testing
