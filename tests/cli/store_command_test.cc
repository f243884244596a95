// qlarank store, on real stores.
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "state_store/rocksdb_state_store.h"
#include "tests/cli/run_cli.h"
#include "tests/state_store/format1_store.h"
#include "tests/testing/temp_dir.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

class StoreCommandTest : public ::testing::Test {
 protected:
  StoreCommandTest() {
    const auto store = Open(dir_.Path("store"));
    EXPECT_TRUE(store->OpenFingerprint("f1").ok());
    for (const std::string user : {"ann", "bob"}) {
      UserAppend append;
      append.user_id = user;
      append.head_after.incarnation = 1;
      append.head_after.last_sequence = 2;
      append.head_after.watermarks["s"] = 2;
      append.events.resize(2);
      for (uint64_t i = 0; i < 2; ++i) {
        append.events[i].source = "s";
        append.events[i].source_sequence = i + 1;
      }
      EXPECT_TRUE(store->AppendEvents({append}).ok());
      Snapshot snapshot;
      snapshot.incarnation = 1;
      snapshot.folded_sequence = 2;
      EXPECT_TRUE(store->PutSnapshot("f1", user, snapshot).ok());
    }
    EXPECT_TRUE(store->Flush().ok());
  }

  static std::unique_ptr<StateStore> Open(const std::string& path) {
    RocksDbOptions options;
    options.path = path;
    auto store = OpenRocksDbStateStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  // Breaks a byte in the middle of the first block of every table file.
  void DamageTableFiles() {
    for (const auto& entry :
         std::filesystem::directory_iterator(dir_.Path("store"))) {
      if (entry.path().extension() != ".sst") continue;
      std::fstream file(entry.path(),
                        std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(10);
      file.put('\x7f');
    }
  }

  testing::TempDir dir_;
};

TEST_F(StoreCommandTest, BacksUpListsAndRestores) {
  const std::string store = dir_.Path("store");
  const std::string backups = dir_.Path("backups");
  CliResult result = RunCli({"store", "backup", store, backups});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("backup 1: "));
  result = RunCli({"store", "backup", store, backups, "--keep", "1", "--json"});
  EXPECT_EQ(nlohmann::json::parse(result.out)["id"], 2);

  const auto listed =
      nlohmann::json::parse(RunCli({"store", "backups", backups, "--json"}).out);
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["id"], 2);

  const std::string restored = dir_.Path("restored");
  EXPECT_EQ(RunCli({"store", "restore", backups, restored}).code,
            ExitCode::kOk);
  EXPECT_EQ(Open(restored)->GetHead("ann")->last_sequence, 2u);
  result = RunCli({"store", "restore", backups, restored});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("something is there"));
  result = RunCli({"store", "restore", backups, dir_.Path("r"), "--backup",
                   "1"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("has no backup 1"));
  EXPECT_EQ(RunCli({"store", "backup", dir_.Path("nothing"), backups}).code,
            ExitCode::kBadInput);
  EXPECT_FALSE(std::filesystem::exists(dir_.Path("nothing")));
}

TEST_F(StoreCommandTest, VerifySaysWhatIsWrongAndRepairWhatItDid) {
  const std::string store = dir_.Path("store");
  CliResult result = RunCli({"store", "verify", store});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_THAT(result.out, HasSubstr("2 users, 4 events, 2 snapshots"));
  EXPECT_THAT(result.out, HasSubstr("16 partitions: 0 problems"));

  DamageTableFiles();
  result = RunCli({"store", "verify", store});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.out, HasSubstr("state-f1: table file"));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr("ann")));
  const auto json =
      nlohmann::json::parse(RunCli({"store", "verify", store, "--json"}).out);
  EXPECT_GT(json["problems"].size(), 2u);

  const std::string repaired = dir_.Path("repaired");
  result = RunCli({"store", "repair", store, repaired});
  EXPECT_EQ(result.code, ExitCode::kNegative) << result.err;
  EXPECT_THAT(result.out, HasSubstr("may be missing"));
  EXPECT_TRUE(std::filesystem::exists(repaired));

  result = RunCli({"store", "verify", dir_.Path("nothing")});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
}

TEST_F(StoreCommandTest, UpgradesAStoreOfTheFormatBefore) {
  const std::string old_store = dir_.Path("old");
  {
    Format1Store old(old_store, {"f1"});
    UserHead head;
    head.incarnation = 7;
    head.last_sequence = 2;
    head.watermarks["s"] = 2;
    LoggedEvent event;
    event.source = "s";
    event.source_sequence = 2;
    old.PutUser("ann", head, {event, event});
    old.PutSourceMark("t", {9, "digest"});
    old.PutSchema(1, {"price"});
  }
  CliResult result = RunCli({"store", "verify", old_store});
  EXPECT_EQ(result.code, ExitCode::kRpcError);
  EXPECT_THAT(result.err, HasSubstr("qlarank store upgrade " + old_store));

  const std::string upgraded = dir_.Path("new");
  result = RunCli({"store", "upgrade", old_store, upgraded});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("of 16 partitions: 1 users, 2 events, 0 snapshots (0 "
                        "of no use left out), records of 0 erasures, 1 marks "
                        "of sources, 1 schemas"));
  EXPECT_THAT(RunCli({"store", "verify", upgraded}).out,
              HasSubstr("16 partitions: 0 problems"));
  EXPECT_EQ(Open(upgraded)->GetHead("ann")->incarnation, 1u);

  result = RunCli({"store", "upgrade", old_store, dir_.Path("few"),
                   "--partitions", "4", "--json"});
  EXPECT_EQ(nlohmann::json::parse(result.out)["partitions"], 4);
  EXPECT_EQ(Open(dir_.Path("few"))->num_partitions(), 4u);

  for (const std::string partitions : {"0", "4097", "-1"}) {
    EXPECT_EQ(RunCli({"store", "upgrade", old_store, dir_.Path("x"),
                      "--partitions", partitions})
                  .code,
              ExitCode::kBadInput)
        << partitions;
  }
  result = RunCli({"store", "upgrade", old_store, upgraded});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("something is there"));
  result = RunCli({"store", "upgrade", upgraded, dir_.Path("x")});
  EXPECT_EQ(result.code, ExitCode::kRpcError);
  EXPECT_THAT(result.err, HasSubstr("there is nothing to upgrade"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Path("x")));
}

TEST_F(StoreCommandTest, DoesNotTouchAStoreInUse) {
  const auto in_use = Open(dir_.Path("store"));
  for (const std::string command : {"verify", "repair", "backup",
                                    "upgrade"}) {
    std::vector<std::string> words = {"store", command, dir_.Path("store")};
    if (command != "verify") words.push_back(dir_.Path("to"));
    const CliResult result = RunCli(words);
    EXPECT_EQ(result.code, ExitCode::kRpcError) << command;
    EXPECT_THAT(result.err, HasSubstr("is open in"));
  }
  EXPECT_FALSE(std::filesystem::exists(dir_.Path("to")));
}

}  // namespace
}  // namespace qlarank
