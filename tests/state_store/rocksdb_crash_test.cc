// Processes that die and disks that fill up.
#include <signal.h>
#include <sys/resource.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/state_store/helper_process.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// What a user may look like, by what the churning process said before it died.
struct Expectation {
  uint64_t incarnation = 0;
  uint64_t acknowledged_sequence = 0;
  uint64_t attempted_sequence = 0;
  bool deletion_attempted = false;
};

void Note(const std::string& line, std::map<std::string, Expectation>& users) {
  std::istringstream words(line);
  std::string verb, user;
  uint64_t incarnation = 0, sequence = 0;
  words >> verb >> user >> incarnation >> sequence;
  ASSERT_NE(verb, "error") << line;
  Expectation& expectation = users[user];
  expectation.incarnation = incarnation;
  if (verb == "append") expectation.attempted_sequence = sequence;
  if (verb == "appended") expectation.acknowledged_sequence = sequence;
  if (verb == "delete") expectation.deletion_attempted = true;
  if (verb == "deleted") expectation = Expectation();
}

void Check(StateStore& store, const std::string& user,
           const Expectation& expected) {
  const auto head = store.GetHead(user);
  ASSERT_THAT(head, IsOk());
  const auto events = store.ReadEvents(user, 1, kNoLimit);
  ASSERT_THAT(events, IsOk());
  const auto snapshot = store.GetSnapshot("f", user);
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_EQ(events->size(), head->last_sequence);
  EXPECT_EQ(*events, MakeAppend(user, 1, head->last_sequence).events);
  if (head->incarnation == 0) {
    EXPECT_TRUE(expected.acknowledged_sequence == 0 ||
                expected.deletion_attempted);
    EXPECT_FALSE(snapshot->has_value()) << "of an erased user";
    return;
  }
  EXPECT_EQ(head->incarnation, expected.incarnation);
  EXPECT_GE(head->last_sequence, expected.acknowledged_sequence);
  EXPECT_LE(head->last_sequence, expected.attempted_sequence);
  if (snapshot->has_value()) {
    EXPECT_EQ((*snapshot)->incarnation, head->incarnation);
    EXPECT_LE((*snapshot)->folded_sequence, head->last_sequence);
  }
}

TEST(RocksDbCrashTest, KilledProcessesLoseNothingAndBringNobodyBack) {
  TempFolder folder;
  const std::string path = folder / "store";
  std::map<std::string, Expectation> users;
  for (uint64_t round = 1; round <= 8; ++round) {
    SCOPED_TRACE(round);
    {
      HelperProcess churn({"churn", path, absl::StrCat(round)});
      for (uint64_t i = 0; i < 150 + 97 * round; ++i) {
        const auto line = churn.ReadLine();
        ASSERT_TRUE(line.has_value());
        Note(*line, users);
      }
      churn.Kill();
      while (const auto line = churn.ReadLine()) Note(*line, users);
    }
    auto store = OpenRocksDbStateStore(SmallOptions(path));
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->OpenFingerprint("f"), IsOk());
    for (const auto& [user, expected] : users) {
      SCOPED_TRACE(user);
      Check(**store, user, expected);
      if (HasFatalFailure()) return;
    }
    // The next process starts from what is there.
    for (auto& [user, expected] : users) {
      const UserHead head = *(*store)->GetHead(user);
      expected = {head.incarnation, head.last_sequence, head.last_sequence,
                  false};
    }
  }
}

// A limit on the size of files stands in for a full disk.
TEST(RocksDbCrashTest, AFullDiskIsReportedAndLosesNothing) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  uint64_t acknowledged = 0;
  {
    auto store = OpenRocksDbStateStore(options);
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT((*store)->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
    acknowledged = 10;

    signal(SIGXFSZ, SIG_IGN);
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit small = before;
    small.rlim_cur = 40'000;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    absl::Cleanup restore = [&] { setrlimit(RLIMIT_FSIZE, &before); };

    absl::Status status;
    for (uint64_t i = 11; i < 10'000; i += 10) {
      status = (*store)->AppendEvents({MakeAppend("u", i, i + 9)});
      if (!status.ok()) break;
      acknowledged = i + 9;
    }
    EXPECT_THAT(status,
                IsStatus(absl::StatusCode::kUnavailable, "appending events"));
    // Reads go on, and what failed is not seen.
    EXPECT_THAT((*store)->ReadEvents("u", 1, kNoLimit),
                IsOkAndHolds(MakeAppend("u", 1, acknowledged).events));
    EXPECT_THAT((*store)->AppendEvents(
                    {MakeAppend("u", acknowledged + 1, acknowledged + 10)}),
                IsStatus(absl::StatusCode::kUnavailable, "appending events"));
  }
  EXPECT_GT(acknowledged, 10u);
  auto store = OpenRocksDbStateStore(options);
  ASSERT_THAT(store, IsOk());
  const auto events = (*store)->ReadEvents("u", 1, kNoLimit);
  ASSERT_THAT(events, IsOk());
  EXPECT_GE(events->size(), acknowledged);
  EXPECT_EQ(*events, MakeAppend("u", 1, events->size()).events);
  EXPECT_THAT((*store)->AppendEvents(
                  {MakeAppend("u", events->size() + 1, events->size() + 1)}),
              IsOk());
}

}  // namespace
}  // namespace qlarank
