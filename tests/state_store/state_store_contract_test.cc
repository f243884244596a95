// What holds for every StateStore, run over each implementation.
#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/state_store.h"
#include "tests/state_store/implementations.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3-avx2";
constexpr char kG[] = "a0b1c2-avx2";

// Ids that a careless key would mix up.
const std::vector<std::string>& AwkwardUsers() {
  static const auto& users =
      *new std::vector<std::string>{"u",
                                    "us",
                                    "user",
                                    "user\0"s,
                                    "user\0\0"s,
                                    "\0"s,
                                    "\0\0"s,
                                    "\xff"s,
                                    "\xff\xff"s,
                                    "käse",
                                    "用户",
                                    "a/b|c",
                                    "user\0\0\0\0\0\0\0\1"s,
                                    "\n\"'\\",
                                    std::string(kMaxUserIdBytes, 'x'),
                                    std::string(kMaxUserIdBytes - 1, 'x')};
  return users;
}

std::vector<LoggedEvent> Events(absl::string_view user_id, uint64_t first,
                                uint64_t last) {
  return MakeAppend(user_id, first, last).events;
}

class StateStoreTest : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(folder_);
    ASSERT_NE(store_, nullptr);
    ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
  }

  void Append(absl::string_view user_id, uint64_t first, uint64_t last,
              uint64_t incarnation = 7) {
    ASSERT_THAT(
        store_->AppendEvents({MakeAppend(user_id, first, last, incarnation)}),
        IsOk());
  }

  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(All, StateStoreTest, Implementations(),
                         ImplementationName);

TEST_P(StateStoreTest, KnowsNothingOfAnUnknownUser) {
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(UserHead()));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->DeleteUser("u"), IsOkAndHolds(0u));
}

TEST_P(StateStoreTest, ReadsWhatWasAppended) {
  Append("u", 1, 3);
  Append("u", 4, 4);
  EXPECT_THAT(store_->GetHead("u"),
              IsOkAndHolds(MakeAppend("u", 4, 4).head_after));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(Events("u", 1, 4)));
}

TEST_P(StateStoreTest, ReadsFromASequenceUpToALimit) {
  Append("u", 1, 300);
  EXPECT_THAT(store_->ReadEvents("u", 250, 10),
              IsOkAndHolds(Events("u", 250, 259)));
  EXPECT_THAT(store_->ReadEvents("u", 300, 10),
              IsOkAndHolds(Events("u", 300, 300)));
  EXPECT_THAT(store_->ReadEvents("u", 301, 10),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(store_->ReadEvents("u", 1, 0),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(
      store_->ReadEvents("u", std::numeric_limits<uint64_t>::max(), kNoLimit),
      IsOkAndHolds(std::vector<LoggedEvent>()));
}

TEST_P(StateStoreTest, KeepsEveryWatermark) {
  UserAppend append = MakeAppend("u", 1, 1);
  append.head_after.watermarks = {
      {"", 1}, {"nul\0"s, 2}, {"käse", std::numeric_limits<uint64_t>::max()}};
  ASSERT_THAT(store_->AppendEvents({append}), IsOk());
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(append.head_after));
}

TEST_P(StateStoreTest, ReplacesTheHeadAlone) {
  Append("u", 1, 2);
  UserAppend append = MakeAppend("u", 3, 2);  // no events
  append.head_after.watermarks["other"] = 9;
  ASSERT_THAT(store_->AppendEvents({append}), IsOk());
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(append.head_after));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(Events("u", 1, 2)));
}

TEST_P(StateStoreTest, RefusesAnAppendThatDoesNotContinueTheLog) {
  Append("u", 1, 5);
  for (const UserAppend& bad :
       {MakeAppend("u", 5, 5), MakeAppend("u", 7, 7), MakeAppend("u", 1, 1),
        MakeAppend("u", 6, 6, /*incarnation=*/8), MakeAppend("new", 2, 2)}) {
    EXPECT_THAT(store_->AppendEvents({bad}),
                IsStatus(absl::StatusCode::kFailedPrecondition,
                         "\"" + bad.user_id + "\""));
  }
  EXPECT_THAT(store_->GetHead("u"),
              IsOkAndHolds(MakeAppend("u", 5, 5).head_after));
  EXPECT_THAT(store_->GetHead("new"), IsOkAndHolds(UserHead()));
}

// With the head that the writer has at hand.
TEST_P(StateStoreTest, AnAppendContinuesTheHeadThatItComesWith) {
  for (uint64_t n = 1; n <= 3; ++n) {
    UserAppend append = MakeAppend("u", n, n);
    append.head_before = *store_->GetHeadToExtend("u");
    EXPECT_EQ(append.head_before->last_sequence, n - 1);
    ASSERT_THAT(store_->AppendEvents({append}), IsOk());
  }
  EXPECT_THAT(store_->ReadEvents("u", 1, 9), IsOkAndHolds(Events("u", 1, 3)));
  UserAppend skips = MakeAppend("u", 5, 5);
  skips.head_before = *store_->GetHeadToExtend("u");
  EXPECT_THAT(store_->AppendEvents({skips}),
              IsStatus(absl::StatusCode::kFailedPrecondition, "\"u\""));
}

TEST_P(StateStoreTest, AppendsAllUsersOfABatchOrNone) {
  Append("b", 1, 1);
  EXPECT_THAT(store_->AppendEvents({MakeAppend("a", 1, 2),
                                    MakeAppend("b", 9, 9),  // skips 2 to 8
                                    MakeAppend("c", 1, 2)}),
              IsStatus(absl::StatusCode::kFailedPrecondition, "\"b\""));
  EXPECT_THAT(store_->GetHead("a"), IsOkAndHolds(UserHead()));
  EXPECT_THAT(store_->ReadEvents("c", 1, 9),
              IsOkAndHolds(std::vector<LoggedEvent>()));

  ASSERT_THAT(
      store_->AppendEvents({MakeAppend("a", 1, 2), MakeAppend("b", 2, 2)}),
      IsOk());
  EXPECT_THAT(store_->ReadEvents("a", 1, 9), IsOkAndHolds(Events("a", 1, 2)));
  EXPECT_THAT(store_->ReadEvents("b", 1, 9), IsOkAndHolds(Events("b", 1, 2)));
}

TEST_P(StateStoreTest, RefusesBadArguments) {
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  const std::string long_id(kMaxUserIdBytes + 1, 'x');
  for (const std::string& user : {std::string(), long_id}) {
    EXPECT_THAT(store_->AppendEvents({MakeAppend(user, 1, 1)}),
                IsStatus(kInvalid, "user id"));
    EXPECT_THAT(store_->GetHead(user), IsStatus(kInvalid, "user id"));
    EXPECT_THAT(store_->ReadEvents(user, 1, 1), IsStatus(kInvalid, "user id"));
    EXPECT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot("u", 1)),
                IsStatus(kInvalid, "user id"));
    EXPECT_THAT(store_->GetSnapshot(kF, user), IsStatus(kInvalid, "user id"));
    EXPECT_THAT(store_->DeleteUser(user), IsStatus(kInvalid, "user id"));
  }
  EXPECT_THAT(store_->ReadEvents("u", 0, 1), IsStatus(kInvalid, "start at 1"));
  EXPECT_THAT(
      store_->AppendEvents({MakeAppend("u", 1, 1), MakeAppend("u", 2, 2)}),
      IsStatus(kInvalid, "\"u\" twice"));
  EXPECT_THAT(store_->AppendEvents({MakeAppend("u", 1, 1, /*incarnation=*/0)}),
              IsStatus(kInvalid, "incarnation"));
  UserAppend counts_too_few = MakeAppend("u", 1, 3);
  counts_too_few.head_after.last_sequence = 2;
  EXPECT_THAT(store_->AppendEvents({counts_too_few}),
              IsStatus(kInvalid, "counts 2 events"));
  for (const std::string& fingerprint :
       {""s, "a b"s, "a/b"s, "\0"s, std::string(256, 'a')}) {
    EXPECT_THAT(store_->OpenFingerprint(fingerprint),
                IsStatus(kInvalid, "fingerprint"));
  }
}

TEST_P(StateStoreTest, TakesAnEmptyBatch) {
  EXPECT_THAT(store_->AppendEvents({}), IsOk());
}

TEST_P(StateStoreTest, KeepsAwkwardUsersApart) {
  uint64_t n = 0;
  for (const std::string& user : AwkwardUsers()) {
    ++n;
    Append(user, 1, n);
    ASSERT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot(user, n)), IsOk());
  }
  n = 0;
  for (const std::string& user : AwkwardUsers()) {
    ++n;
    EXPECT_THAT(store_->ReadEvents(user, 1, kNoLimit),
                IsOkAndHolds(Events(user, 1, n)));
    EXPECT_THAT(store_->GetSnapshot(kF, user),
                IsOkAndHolds(std::optional(MakeSnapshot(user, n))));
  }
  std::vector<std::string> seen;
  EXPECT_THAT(store_->ForEachUser([&](absl::string_view user, const UserHead&) {
    seen.emplace_back(user);
    return true;
  }),
              IsOk());
  EXPECT_THAT(seen, UnorderedElementsAreArray(AwkwardUsers()));
}

TEST_P(StateStoreTest, DeletingAnAwkwardUserSparesTheOthers) {
  for (const std::string& user : AwkwardUsers()) {
    Append(user, 1, 3);
    ASSERT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot(user, 3)), IsOk());
  }
  for (const std::string& victim : AwkwardUsers()) {
    EXPECT_THAT(store_->DeleteUser(victim), IsOkAndHolds(3u));
    for (const std::string& user : AwkwardUsers()) {
      const bool gone = user == victim;
      EXPECT_THAT(
          store_->ReadEvents(user, 1, kNoLimit),
          IsOkAndHolds(gone ? std::vector<LoggedEvent>() : Events(user, 1, 3)));
      EXPECT_EQ(store_->GetSnapshot(kF, user)->has_value(), !gone);
    }
    Append(victim, 1, 3);
    ASSERT_THAT(store_->PutSnapshot(kF, victim, MakeSnapshot(victim, 3)),
                IsOk());
  }
}

TEST_P(StateStoreTest, PutsSnapshotsOfSeveralUsersAtOnce) {
  std::vector<UserSnapshot> snapshots;
  for (const std::string user : {"a", "b", "erased", "c"}) {
    Append(user, 1, 3);
    snapshots.push_back({user, MakeSnapshot(user, 3)});
  }
  ASSERT_THAT(store_->DeleteUser("erased"), IsOk());
  EXPECT_THAT(store_->PutSnapshots(kF, snapshots), IsOk());
  for (const auto& [user, snapshot] : snapshots) {
    EXPECT_THAT(store_->GetSnapshot(kF, user),
                IsOkAndHolds(user == "erased" ? std::optional<Snapshot>()
                                              : std::optional(snapshot)));
  }
  EXPECT_THAT(store_->PutSnapshots(kF, {}), IsOk());
}

TEST_P(StateStoreTest, HoldsThousandsOfUsers) {
  constexpr int kUsers = 5000;
  std::vector<UserAppend> batch;
  for (int i = 0; i < kUsers; ++i) {
    batch.push_back(MakeAppend(absl::StrCat("user-", i), 1, 1 + i % 3));
    if (batch.size() == 100) {
      ASSERT_THAT(store_->AppendEvents(batch), IsOk());
      batch.clear();
    }
  }
  std::map<std::string, uint64_t> counts;
  ASSERT_THAT(
      store_->ForEachUser([&](absl::string_view user, const UserHead& head) {
        counts[std::string(user)] = head.last_sequence;
        return true;
      }),
      IsOk());
  ASSERT_EQ(counts.size(), kUsers);
  for (int i = 0; i < kUsers; i += 7) {
    const std::string user = absl::StrCat("user-", i);
    EXPECT_EQ(counts[user], 1 + i % 3);
    EXPECT_THAT(store_->ReadEvents(user, 1, kNoLimit),
                IsOkAndHolds(Events(user, 1, 1 + i % 3)));
  }
}

TEST_P(StateStoreTest, StopsVisitingWhenAsked) {
  for (int i = 0; i < 10; ++i) Append(absl::StrCat(i), 1, 1);
  int visits = 0;
  EXPECT_THAT(store_->ForEachUser([&](absl::string_view, const UserHead&) {
    return ++visits < 4;
  }),
              IsOk());
  EXPECT_EQ(visits, 4);
}

TEST_P(StateStoreTest, VisitorMayCallTheStore) {
  for (int i = 0; i < 10; ++i) Append(absl::StrCat(i), 1, 1);
  EXPECT_THAT(
      store_->ForEachUser([&](absl::string_view user, const UserHead& head) {
        EXPECT_THAT(store_->PutSnapshot(kF, user,
                                        MakeSnapshot(user, head.last_sequence)),
                    IsOk());
        Append(absl::StrCat(user, "-more"), 1, 1);
        return true;
      }),
      IsOk());
}

// -- Snapshots ----------------------------------------------------------------

TEST_P(StateStoreTest, ReplacesSnapshots) {
  Append("u", 1, 9);
  Snapshot big = MakeSnapshot("u", 3);
  big.state.assign(100'000, '\0');
  ASSERT_THAT(store_->PutSnapshot(kF, "u", big), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::optional(big)));
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 9)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 9))));
}

TEST_P(StateStoreTest, SnapshotsOnlyGoForward) {
  Append("u", 1, 9);
  const auto put = [&](uint64_t sequence) {
    const UserSnapshot one{"u", MakeSnapshot("u", sequence)};
    return store_->PutSnapshots(kF, {one});
  };
  EXPECT_THAT(put(6), IsOkAndHolds(0u));
  EXPECT_THAT(put(5), IsOkAndHolds(1u));
  EXPECT_THAT(put(6), IsOkAndHolds(0u));  // made anew, as by a rebuild
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 6))));
  // In one write, too.
  EXPECT_THAT(store_->PutSnapshots(kF, {{"u", MakeSnapshot("u", 8)},
                                        {"u", MakeSnapshot("u", 7)}}),
              IsOkAndHolds(1u));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 8))));
  EXPECT_EQ(store_->Statistics()["snapshots_refused_total"], 2);
  // One that is ahead of the log stands for nothing.
  EXPECT_THAT(put(12), IsOkAndHolds(0u));
  EXPECT_THAT(put(9), IsOkAndHolds(0u));
  // Another life begins anew.
  ASSERT_THAT(store_->DeleteUser("u"), IsOk());
  Append("u", 1, 2);
  EXPECT_THAT(put(1), IsOkAndHolds(0u));
}

TEST_P(StateStoreTest, ASnapshotReachesUpToTheLog) {
  Append("u", 1, 9);
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
  ASSERT_THAT(store_->TrimLog("u", 6, {std::string(kF)}), IsOk());
  // Events 5 and 6 would be in neither.
  EXPECT_THAT(store_->PutSnapshots(kG, {{"u", MakeSnapshot("u", 4)}}),
              IsOkAndHolds(1u));
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->PutSnapshots(kG, {{"u", MakeSnapshot("u", 5)}}),
              IsOkAndHolds(0u));
}

TEST_P(StateStoreTest, KeepsFingerprintsApart) {
  Append("u", 1, 2);
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 1)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsOkAndHolds(std::nullopt));
  ASSERT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 2)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 1))));
}

TEST_P(StateStoreTest, RefusesAFingerprintThatIsNotOpen) {
  Append("u", 1, 1);
  const auto kPrecondition = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1)),
              IsStatus(kPrecondition, kG));
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsStatus(kPrecondition, kG));
}

TEST_P(StateStoreTest, OpensListsAndDropsFingerprints) {
  Append("u", 1, 1);
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  EXPECT_THAT(*store_->ListFingerprints(),
              testing::UnorderedElementsAre(kF, kG));
  ASSERT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1)), IsOk());

  ASSERT_THAT(store_->DropFingerprint(kG), IsOk());
  ASSERT_THAT(store_->DropFingerprint(kG), IsOk());
  ASSERT_THAT(store_->DropFingerprint("never-there"), IsOk());
  EXPECT_THAT(*store_->ListFingerprints(), ElementsAre(kF));
  EXPECT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1)),
              IsStatus(absl::StatusCode::kFailedPrecondition, kG));

  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsOkAndHolds(std::nullopt));
}

TEST_P(StateStoreTest, IgnoresASnapshotOfAnUnknownUser) {
  ASSERT_THAT(store_->PutSnapshot(kF, "nobody", MakeSnapshot("nobody", 1, 0)),
              IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "nobody"), IsOkAndHolds(std::nullopt));
}

TEST_P(StateStoreTest, IgnoresASnapshotOfAnotherIncarnation) {
  EXPECT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 1)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
  Append("u", 1, 1, /*incarnation=*/8);
  EXPECT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 1)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
}

// -- Erasure ------------------------------------------------------------------

TEST_P(StateStoreTest, DeletesEverythingOfAUser) {
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  Append("u", 1, 100);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 64)), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 99)), IsOk());

  EXPECT_THAT(store_->DeleteUser("u"), IsOkAndHolds(100u));
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(UserHead()));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->ForEachUser([](absl::string_view, const UserHead&) {
    ADD_FAILURE();
    return true;
  }),
              IsOk());
  EXPECT_THAT(store_->DeleteUser("u"), IsOkAndHolds(0u));
}

TEST_P(StateStoreTest, ALateSnapshotDoesNotBringAnErasedUserBack) {
  Append("u", 1, 5);
  ASSERT_THAT(store_->DeleteUser("u"), IsOk());
  EXPECT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 5)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
}

TEST_P(StateStoreTest, StartsAgainAfterErasure) {
  Append("u", 1, 5);
  ASSERT_THAT(store_->DeleteUser("u"), IsOk());
  Append("u", 1, 2, /*incarnation=*/8);
  EXPECT_THAT(store_->GetHead("u"),
              IsOkAndHolds(MakeAppend("u", 1, 2, 8).head_after));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(Events("u", 1, 2)));
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 2, 8)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 2, 8))));
}

TEST_P(StateStoreTest, FlushKeepsEverythingReadable) {
  Append("u", 1, 5);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 5)), IsOk());
  ASSERT_THAT(store_->Flush(), IsOk());
  EXPECT_THAT(store_->ReadEvents("u", 2, 2), IsOkAndHolds(Events("u", 2, 3)));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 5))));
  ASSERT_THAT(store_->DeleteUser("u"), IsOkAndHolds(5u));
  ASSERT_THAT(store_->Flush(), IsOk());
  EXPECT_THAT(store_->ReadEvents("u", 1, 9),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
}

TEST_P(StateStoreTest, CountsUsersAndSnapshots) {
  Append("u", 1, 5);
  Append("v", 1, 5);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 5)), IsOk());
  const std::map<std::string, double> figures = store_->Statistics();
  EXPECT_THAT(figures, testing::Contains(testing::Pair("estimated_heads", 2)));
  EXPECT_THAT(figures,
              testing::Contains(testing::Pair("estimated_snapshots", 1)));
}

// -- Many threads -------------------------------------------------------------

// Every append brings three events; a reader must never see part of one.
TEST_P(StateStoreTest, ReadersSeeWholeAppendsWhileWritersWrite) {
  constexpr int kWriters = 4;
  constexpr int kAppends = 60;
  std::atomic<int> writing = kWriters;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      const std::string user = absl::StrCat("user-", w);
      for (uint64_t i = 0; i < kAppends; ++i) {
        Append(user, 3 * i + 1, 3 * i + 3);
        if (i % 8 == 7) {
          EXPECT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot(user, 3 * i)),
                      IsOk());
        }
      }
      --writing;
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&, r] {
      for (int i = r; writing > 0; ++i) {
        const std::string user = absl::StrCat("user-", i % kWriters);
        const auto head = store_->GetHead(user);
        const auto events = store_->ReadEvents(user, 1, kNoLimit);
        const auto snapshot = store_->GetSnapshot(kF, user);
        ASSERT_THAT(head, IsOk());
        ASSERT_THAT(events, IsOk());
        ASSERT_THAT(snapshot, IsOk());
        EXPECT_EQ(head->last_sequence % 3, 0u);
        EXPECT_EQ(events->size() % 3, 0u);
        EXPECT_GE(events->size(), head->last_sequence);
        store_->Statistics();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int w = 0; w < kWriters; ++w) {
    const std::string user = absl::StrCat("user-", w);
    EXPECT_THAT(store_->ReadEvents(user, 1, kNoLimit),
                IsOkAndHolds(Events(user, 1, 3 * kAppends)));
  }
}

// A reader beside erasure and re-creation gets the user as they were at some
// moment, never an error. Late snapshots of the past stay out.
TEST_P(StateStoreTest, ReadersBesideErasureSeeOneIncarnation) {
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      const auto events = store_->ReadEvents("u", 1, kNoLimit);
      ASSERT_THAT(events, IsOk());
      EXPECT_EQ(events->size() % 2, 0u);
      EXPECT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 2, 1)),
                  IsOk());
    }
  });
  for (uint64_t incarnation = 1; incarnation < 60; ++incarnation) {
    Append("u", 1, 2, incarnation);
    Append("u", 3, 4, incarnation);
    if (incarnation > 1) {
      EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
    }
    EXPECT_THAT(store_->DeleteUser("u"), IsOkAndHolds(4u));
    EXPECT_THAT(store_->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
  }
  done = true;
  reader.join();
}

TEST_P(StateStoreTest, FingerprintsComeAndGoWhileInUse) {
  Append("u", 1, 1);
  std::atomic<bool> done = false;
  std::thread user([&] {
    while (!done) {
      const absl::Status put =
          store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1));
      EXPECT_TRUE(put.ok() || absl::IsFailedPrecondition(put)) << put;
      const auto got = store_->GetSnapshot(kG, "u");
      EXPECT_TRUE(got.ok() || absl::IsFailedPrecondition(got.status()))
          << got.status();
      // Dropped since, or what was put.
      if (got.ok() && got->has_value()) {
        EXPECT_EQ(*got, MakeSnapshot("u", 1));
      }
      EXPECT_THAT(store_->Flush(), IsOk());
    }
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(store_->OpenFingerprint(kG), IsOk());
    EXPECT_THAT(store_->DeleteUser("other"), IsOk());
    EXPECT_THAT(store_->DropFingerprint(kG), IsOk());
  }
  done = true;
  user.join();
  // Which of the two it was, with nobody beside.
  EXPECT_TRUE(absl::IsFailedPrecondition(
      store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1))));
  EXPECT_THAT(store_->OpenFingerprint(kG), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 1)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"),
              IsOkAndHolds(MakeSnapshot("u", 1)));
}

TEST_P(StateStoreTest, KeepsMarksOfSources) {
  EXPECT_THAT(store_->GetSourceMark("a"), IsOkAndHolds(std::nullopt));
  const std::vector<std::string> sources = {"a", "ab", "", "\0\xff"s,
                                            std::string(4096, 'x')};
  for (size_t i = 0; i < sources.size(); ++i) {
    ASSERT_THAT(store_->PutSourceMark(sources[i], {9, "replaced"}), IsOk());
    ASSERT_THAT(store_->PutSourceMark(sources[i], {i + 1, "note"}), IsOk());
  }
  Append("ann", 1, 3);
  ASSERT_THAT(store_->DeleteUser("ann"), IsOkAndHolds(3u));
  std::map<std::string, SourceMark> found;
  ASSERT_THAT(store_->ForEachSourceMark(
                  [&](absl::string_view source, const SourceMark& mark) {
                    found[std::string(source)] = mark;
                  }),
              IsOk());
  EXPECT_EQ(found.size(), sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    EXPECT_EQ(found[sources[i]], (SourceMark{i + 1, "note"}));
    EXPECT_THAT(store_->GetSourceMark(sources[i]),
                IsOkAndHolds(std::optional(SourceMark{i + 1, "note"})));
  }
  EXPECT_EQ(store_->ListErasures("", kNoLimit)->size(), 1u);
}

TEST_P(StateStoreTest, RecordsErasuresWithoutTheUser) {
  Append("ann", 1, 3);
  Append("bob", 1, 2);
  ASSERT_THAT(store_->DeleteUser("ann", {11, "carol", "request"}),
              IsOkAndHolds(3u));
  ASSERT_THAT(store_->DeleteUser("bob", {12, "", "idle"}), IsOkAndHolds(2u));
  ASSERT_THAT(store_->DeleteUser("nobody", {13, "", "request"}),
              IsOkAndHolds(0u));
  const auto all = store_->ListErasures("", kNoLimit);
  ASSERT_THAT(all, IsOk());
  ASSERT_EQ(all->size(), 2u);  // the newest first
  EXPECT_EQ((*all)[0].user_digest, store_->DigestOfUser("bob"));
  EXPECT_EQ((*all)[0].note.reason, "idle");
  EXPECT_EQ((*all)[1].user_digest, store_->DigestOfUser("ann"));
  EXPECT_EQ((*all)[1].note.time_us, 11);
  EXPECT_EQ((*all)[1].note.principal, "carol");
  EXPECT_EQ((*all)[1].events, 3u);
  EXPECT_FALSE((*all)[1].purged);

  EXPECT_EQ(store_->DigestOfUser("ann").size(), 32u);
  EXPECT_NE(store_->DigestOfUser("ann"), store_->DigestOfUser("bob"));
  const auto of_ann = store_->ListErasures("ann", kNoLimit);
  ASSERT_THAT(of_ann, IsOk());
  ASSERT_EQ(of_ann->size(), 1u);
  EXPECT_EQ((*of_ann)[0].events, 3u);
  EXPECT_EQ(store_->ListErasures("", 1)->size(), 1u);

  EXPECT_THAT(store_->PurgeErased(), IsOkAndHolds(2u));
  EXPECT_TRUE((*store_->ListErasures("ann", 1))[0].purged);
  EXPECT_THAT(store_->PurgeErased(), IsOkAndHolds(0u));
}

TEST_P(StateStoreTest, TrimsALogThatSnapshotsStandFor) {
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  Append("u", 1, 10);
  Append("v", 1, 10);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 6)), IsOk());
  ASSERT_THAT(store_->TrimLog("u", 7, {kF, kG}), IsOk());

  UserHead head = MakeAppend("u", 10, 10).head_after;
  head.first_sequence = 7;
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(head));
  EXPECT_EQ(head.num_events(), 4u);
  EXPECT_THAT(store_->ReadEvents("u", 7, kNoLimit),
              IsOkAndHolds(Events("u", 7, 10)));
  EXPECT_THAT(store_->ReadEvents("u", 11, kNoLimit),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(store_->ReadEvents("u", 6, kNoLimit),
              IsStatus(kRefused, "trimmed, the log begins at 7"));
  EXPECT_THAT(store_->ReadEvents("u", 1, 2), IsStatus(kRefused, "trimmed"));
  EXPECT_THAT(store_->ReadEvents("v", 1, kNoLimit),
              IsOkAndHolds(Events("v", 1, 10)));

  // The log goes on, and is trimmed on.
  UserAppend append = MakeAppend("u", 11, 12);
  append.head_after.first_sequence = 7;
  ASSERT_THAT(store_->AppendEvents({append}), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 12)), IsOk());
  ASSERT_THAT(store_->TrimLog("u", 13, {kF}), IsOk());
  EXPECT_EQ(store_->GetHead("u")->num_events(), 0u);
  EXPECT_THAT(store_->ReadEvents("u", 13, kNoLimit),
              IsOkAndHolds(std::vector<LoggedEvent>()));
  EXPECT_THAT(store_->TrimLog("u", 3, {kF}), IsOk());  // nothing to do
  EXPECT_THAT(store_->DeleteUser("u"), IsOkAndHolds(0u));
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(UserHead()));
  Append("u", 1, 2, 9);
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(Events("u", 1, 2)));
}

// A model that is served no more has no say, and nothing of use either.
TEST_P(StateStoreTest, TrimmingDropsSnapshotsThatAreOfNoUseAnyMore) {
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  Append("u", 1, 10);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kG, "u", MakeSnapshot("u", 6)), IsOk());
  ASSERT_THAT(store_->TrimLog("u", 7, {kF}), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 6))));
  ASSERT_THAT(store_->TrimLog("u", 8, {kF}), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kG, "u"),
              IsOkAndHolds(std::optional<Snapshot>()));
  EXPECT_THAT(store_->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 8))));
}

TEST_P(StateStoreTest, KeepsSchemasInTheOrderTheyCame) {
  using Names = std::vector<std::string>;
  EXPECT_THAT(store_->ListSchemas(), IsOkAndHolds(std::vector<Names>()));
  EXPECT_THAT(store_->PutSchema({"price", "rating"}), IsOkAndHolds(1u));
  EXPECT_THAT(store_->PutSchema({"rating", "price"}), IsOkAndHolds(2u));
  EXPECT_THAT(store_->PutSchema({}), IsOkAndHolds(3u));
  EXPECT_THAT(store_->PutSchema({"price", "rating"}), IsOkAndHolds(1u));
  EXPECT_THAT(store_->ListSchemas(),
              IsOkAndHolds(std::vector<Names>{
                  {"price", "rating"}, {"rating", "price"}, {}}));
  UserAppend append = MakeAppend("u", 1, 2);
  append.events[1].schema = 2;
  append.events[1].catalogue_version = std::numeric_limits<uint64_t>::max();
  ASSERT_THAT(store_->AppendEvents({append}), IsOk());
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(append.events));
}

TEST_P(StateStoreTest, HasSixteenPartitionsUnlessToldOtherwise) {
  EXPECT_EQ(store_->num_partitions(), 16u);
}

TEST_P(StateStoreTest, KeepsMarksBesideTheEventsTheyCameWith) {
  const Mark offset = {"topic\0-7"s, "\xff\0"s};
  EXPECT_THAT(store_->GetMark(offset.name), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store_->ListMarks(), IsOkAndHolds(std::vector<Mark>()));
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 1)},
                                   {offset, {"empty", ""}}),
              IsOk());
  EXPECT_THAT(store_->GetMark(offset.name),
              IsOkAndHolds(std::optional(offset.value)));
  EXPECT_THAT(store_->GetMark("empty"), IsOkAndHolds(std::optional(""s)));
  // Without events, too; the newest holds.
  ASSERT_THAT(store_->AppendEvents({}, {{offset.name, "9"}}), IsOk());
  EXPECT_THAT(store_->ListMarks(),
              IsOkAndHolds(std::vector<Mark>{{"empty", ""},
                                             {offset.name, "9"}}));
  // A source's mark is another thing.
  ASSERT_THAT(store_->PutSourceMark("empty", {3, ""}), IsOk());
  EXPECT_THAT(store_->GetMark("empty"), IsOkAndHolds(std::optional(""s)));
}

TEST_P(StateStoreTest, AMarkIsNotWrittenWithoutItsEvents) {
  Append("u", 1, 2);
  EXPECT_THAT(store_->AppendEvents({MakeAppend("u", 4, 4)}, {{"m", "1"}}),
              IsStatus(absl::StatusCode::kFailedPrecondition, "ends at 2"));
  EXPECT_THAT(store_->GetMark("m"), IsOkAndHolds(std::nullopt));
}

TEST_P(StateStoreTest, RefusesMarksThatCannotBeStored) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const UserAppend append = MakeAppend("u", 1, 1);
  EXPECT_THAT(store_->AppendEvents({append}, {{"", "1"}}),
              IsStatus(kInvalid, "name of 0 bytes, not 1 to 255"));
  EXPECT_THAT(store_->AppendEvents({append}, {{std::string(256, 'n'), "1"}}),
              IsStatus(kInvalid, "name of 256 bytes"));
  EXPECT_THAT(
      store_->AppendEvents(
          {append}, {{"m", std::string(kMaxMarkValueBytes + 1, 'v')}}),
      IsStatus(kInvalid, "mark \"m\" of 65536 bytes, at most 65535"));
  EXPECT_THAT(store_->AppendEvents({append}, {{"m", "1"}, {"m", "2"}}),
              IsStatus(kInvalid, "mark \"m\" twice"));
  EXPECT_THAT(store_->GetHead("u"), IsOkAndHolds(UserHead()));
  const Mark longest = {std::string(255, 'n'),
                        std::string(kMaxMarkValueBytes, 'v')};
  EXPECT_THAT(store_->AppendEvents({append}, {longest}), IsOk());
  EXPECT_THAT(store_->ListMarks(), IsOkAndHolds(std::vector<Mark>{longest}));
}

TEST_P(StateStoreTest, MarksOutliveErasureAndTrimming) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 9)}, {{"m", "9"}}),
              IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
  ASSERT_THAT(store_->TrimLog("u", 5, {kF}), IsOk());
  EXPECT_THAT(store_->GetMark("m"), IsOkAndHolds(std::optional("9"s)));
  ASSERT_THAT(store_->DeleteUser("u"), IsOkAndHolds(5u));
  EXPECT_THAT(store_->GetMark("m"), IsOkAndHolds(std::optional("9"s)));
}

TEST_P(StateStoreTest, TrimsNothingThatNoSnapshotStandsFor) {
  ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
  Append("u", 1, 10);
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 5)), IsOk());
  constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(store_->TrimLog("u", 7, {kF}), IsStatus(kRefused, "before 7"));
  EXPECT_THAT(store_->TrimLog("u", 3, {kF, kG}), IsStatus(kRefused, kG));
  EXPECT_THAT(store_->TrimLog("u", 3, {"stranger"}),
              IsStatus(kRefused, "is not open"));
  EXPECT_THAT(store_->TrimLog("u", 3, {}), IsStatus(kInvalid, "fingerprint"));
  EXPECT_THAT(store_->TrimLog("u", 12, {kF}),
              IsStatus(kInvalid, "the log ends at 10"));
  EXPECT_THAT(store_->TrimLog("", 1, {kF}), IsStatus(kInvalid, "user id"));
  EXPECT_THAT(store_->TrimLog("nobody", 5, {kF}), IsOk());
  EXPECT_THAT(store_->GetHead("nobody"), IsOkAndHolds(UserHead()));
  EXPECT_THAT(store_->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(Events("u", 1, 10)));
}

}  // namespace
}  // namespace qlarank
