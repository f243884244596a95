// What holds for every PublishedStates, run over each implementation.
#include "state_store/published_states.h"

#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/implementations.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3-avx2";

class PublishedStatesTest : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(folder_);
    ASSERT_NE(store_, nullptr);
    ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
  }

  // Ten events, and a snapshot of the first `folded`.
  void Fill(uint64_t folded) {
    ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
    ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", folded)),
                IsOk());
  }

  PublishedState Read(std::optional<HeldState> held = std::nullopt,
                      size_t limit = kNoLimit) {
    auto published = store_->ReadPublished(
        kF, "u", held.has_value() ? &*held : nullptr, limit);
    EXPECT_THAT(published, IsOk());
    return published.ok() ? *std::move(published) : PublishedState();
  }

  // Events behind `after`, up to `last`.
  static void ExpectEvents(const PublishedState& published, uint64_t after,
                           uint64_t last) {
    EXPECT_EQ(published.after, after);
    EXPECT_THAT(published.events,
                IsOkAndHolds(MakeAppend("u", after + 1, last).events));
  }

  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(All, PublishedStatesTest, Implementations(),
                         ImplementationName);

TEST_P(PublishedStatesTest, GivesHeadSnapshotAndTheEventsBehindIt) {
  Fill(6);
  const PublishedState published = Read();
  EXPECT_EQ(published.head, MakeAppend("u", 10, 10).head_after);
  EXPECT_THAT(published.snapshot,
              IsOkAndHolds(std::optional(MakeSnapshot("u", 6))));
  ExpectEvents(published, 6, 10);
  ExpectEvents(Read(std::nullopt, 3), 6, 9);
  ExpectEvents(Read(std::nullopt, 0), 6, 6);
}

TEST_P(PublishedStatesTest, GivesTheWholeLogWithoutASnapshot) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
  const PublishedState published = Read();
  EXPECT_THAT(published.snapshot, IsOkAndHolds(std::nullopt));
  ExpectEvents(published, 0, 10);
}

TEST_P(PublishedStatesTest, KnowsNothingOfAnUnknownUser) {
  EXPECT_EQ(Read().head, UserHead());
  ExpectEvents(Read(), 0, 0);
  EXPECT_EQ(Read(HeldState{7, 3}).head, UserHead());
}

TEST_P(PublishedStatesTest, GoesOnBehindTheStateThatTheReaderHolds) {
  Fill(6);
  for (const uint64_t folded : {0, 2, 8, 10}) {
    const PublishedState published = Read(HeldState{7, folded});
    EXPECT_THAT(published.snapshot, IsOkAndHolds(std::nullopt));
    ExpectEvents(published, folded, 10);
  }
}

TEST_P(PublishedStatesTest, DoesWithoutAStateOfAnotherLifeOrAheadOfTheLog) {
  Fill(6);
  for (const HeldState held : {HeldState{8, 2}, HeldState{7, 11}}) {
    const PublishedState published = Read(held);
    EXPECT_THAT(published.snapshot,
                IsOkAndHolds(std::optional(MakeSnapshot("u", 6))));
    ExpectEvents(published, 6, 10);
  }
}

TEST_P(PublishedStatesTest, SaysWhenWhatIsNeededWasTrimmed) {
  Fill(6);
  ASSERT_THAT(store_->TrimLog("u", 5, {kF}), IsOk());
  constexpr auto kTrimmed = absl::StatusCode::kFailedPrecondition;
  ExpectEvents(Read(), 6, 10);
  ExpectEvents(Read(HeldState{7, 4}), 4, 10);
  // What the log does not continue is of no use: the snapshot is.
  const PublishedState published = Read(HeldState{7, 3});
  EXPECT_EQ(published.head.first_sequence, 5u);
  EXPECT_TRUE(published.snapshot->has_value());
  ExpectEvents(published, 6, 10);
  ASSERT_THAT(store_->DropFingerprint(kF), IsOk());
  ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
  EXPECT_THAT(Read().events, IsStatus(kTrimmed, "begins at 5"));
}

TEST_P(PublishedStatesTest, RefusesWhatIsNotOpenOrNoUser) {
  EXPECT_THAT(store_->ReadPublished("stranger", "u", nullptr, 1),
              IsStatus(absl::StatusCode::kFailedPrecondition, "is not open"));
  EXPECT_THAT(store_->ReadPublished(kF, "", nullptr, 1),
              IsStatus(absl::StatusCode::kInvalidArgument, "empty user id"));
}

// Beside their owner, who appends, snapshots, trims and erases: every look is
// of one moment.
TEST_P(PublishedStatesTest, IsOfOneMoment) {
  std::atomic<bool> done = false;
  std::atomic<int> snapshots = 0;
  std::thread reader([&] {
    while (!done) {
      const PublishedState published = Read();
      ASSERT_THAT(published.snapshot, IsOk());
      ASSERT_THAT(published.events, IsOk());
      ASSERT_EQ(published.after + published.events->size(),
                published.head.last_sequence);
      if (!published.snapshot->has_value()) continue;
      ++snapshots;
      ASSERT_EQ((*published.snapshot)->incarnation,
                published.head.incarnation);
      ASSERT_EQ((*published.snapshot)->folded_sequence, published.after);
    }
  });
  const auto append = [&](uint64_t first, uint64_t last, uint64_t life) {
    ASSERT_THAT(store_->AppendEvents({MakeAppend("u", first, last, life)}),
                IsOk());
  };
  for (uint64_t life = 1; life < 40 || snapshots < 20; ++life) {
    append(1, 4, life);
    ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 4, life)),
                IsOk());
    append(5, 6, life);
    ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 6, life)),
                IsOk());
    UserHead head = *store_->GetHead("u");
    ASSERT_THAT(store_->TrimLog("u", 6, {kF}), IsOk());
    head.first_sequence = 6;
    head.last_sequence = 7;
    ASSERT_THAT(store_->AppendEvents({{"u", head, {MakeEvent("u", 7)}}}),
                IsOk());
    ASSERT_THAT(store_->DeleteUser("u"), IsOk());
  }
  done = true;
  reader.join();
}

// -- What comes between two looks, in RocksDB ----------------------------------

#ifdef QLARANK_FAILPOINTS

class PublishedMeanwhileTest : public testing::Test {
 protected:
  PublishedMeanwhileTest() {
    store_ = *OpenRocksDbStateStore(SmallOptions(folder_ / "store"));
    EXPECT_THAT(store_->OpenFingerprint(kF), IsOk());
    Append(1, 10);
    Snapshot(6);
  }

  void Append(uint64_t first, uint64_t last, uint64_t life = 1) {
    EXPECT_THAT(store_->AppendEvents({MakeAppend("u", first, last, life)}),
                IsOk());
  }
  void Snapshot(uint64_t folded, uint64_t life = 1) {
    EXPECT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", folded, life)),
                IsOk());
  }
  void EraseAndBeginAnew() {
    EXPECT_THAT(store_->DeleteUser("u"), IsOk());
    Append(1, 7, ++life_);
    Snapshot(5, life_);
  }

  // What a reader is given if this happens at the place, the first `times` that
  // they come there.
  PublishedState ReadWhile(absl::string_view place, int times,
                           const std::function<void()>& happens) {
    const FailpointHook hook([&](absl::string_view name) {
      if (name == place && times-- > 0) happens();
    });
    auto published = store_->ReadPublished(kF, "u", nullptr, kNoLimit);
    EXPECT_THAT(published, IsOk());
    return published.ok() ? *std::move(published) : PublishedState();
  }

  static void ExpectWhole(const PublishedState& published, uint64_t life,
                          uint64_t after, uint64_t last) {
    EXPECT_EQ(published.head.incarnation, life);
    EXPECT_EQ(published.head.last_sequence, last);
    ASSERT_THAT(published.snapshot, IsOk());
    ASSERT_TRUE(published.snapshot->has_value());
    EXPECT_EQ((*published.snapshot)->incarnation, life);
    EXPECT_EQ((*published.snapshot)->folded_sequence, after);
    EXPECT_EQ(published.after, after);
    EXPECT_THAT(published.events,
                IsOkAndHolds(MakeAppend("u", after + 1, last).events));
  }

  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
  uint64_t life_ = 1;
};

TEST_F(PublishedMeanwhileTest, AnErasureIsSeenAsAWhole) {
  for (const char* place : {"published.head_read", "published.snapshot_read"}) {
    const PublishedState published =
        ReadWhile(place, 1, [&] { EraseAndBeginAnew(); });
    ExpectWhole(published, life_, 5, 7);
  }
}

TEST_F(PublishedMeanwhileTest, ATrimmingIsSeenAsAWhole) {
  const PublishedState published =
      ReadWhile("published.snapshot_read", 1, [&] {
        Snapshot(9);
        EXPECT_THAT(store_->TrimLog("u", 10, {kF}), IsOk());
      });
  EXPECT_EQ(published.head.first_sequence, 10u);
  ExpectWhole(published, 1, 9, 10);
}

TEST_F(PublishedMeanwhileTest, ASnapshotOfLaterEventsComesWithTheirHead) {
  const PublishedState published = ReadWhile("published.head_read", 1, [&] {
    Append(11, 13);
    Snapshot(12);
  });
  ExpectWhole(published, 1, 12, 13);
}

// Who erases all the time: the last look is of one moment whatever happens.
TEST_F(PublishedMeanwhileTest, LooksDoNotGoOnForEver) {
  const PublishedState published = ReadWhile(
      "published.head_read", 1000, [&] { EraseAndBeginAnew(); });
  EXPECT_LT(life_, 10u);
  ExpectWhole(published, life_ - 1, 5, 7);
}

#endif  // QLARANK_FAILPOINTS

// -- Damage, in RocksDB --------------------------------------------------------

class DamagedPublishedStatesTest : public testing::Test {
 protected:
  DamagedPublishedStatesTest() {
    auto store = OpenRocksDbStateStore(SmallOptions(folder_ / "store"));
    EXPECT_THAT((*store)->OpenFingerprint(kF), IsOk());
    EXPECT_THAT((*store)->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
    EXPECT_THAT((*store)->PutSnapshot(kF, "u", MakeSnapshot("u", 6)), IsOk());
    EXPECT_THAT((*store)->Flush(), IsOk());
  }

  absl::StatusOr<PublishedState> ReadDamaged(const std::string& family,
                                             const std::string& key,
                                             const std::string& value) {
    {
      RawDatabase raw(folder_ / "store");
      value.empty() ? raw.Delete(family, key) : raw.Put(family, key, value);
    }
    const auto store = OpenRocksDbStateStore(SmallOptions(folder_ / "store"));
    EXPECT_THAT(store, IsOk());
    return (*store)->ReadPublished(kF, "u", nullptr, kNoLimit);
  }

  TempFolder folder_;
};

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

TEST_F(DamagedPublishedStatesTest, AHeadIsAllThatIsNeeded) {
  EXPECT_THAT(ReadDamaged("heads", UserKey("u"), "damaged"),
              IsStatus(kDataLoss, "head of user \"u\""));
}

TEST_F(DamagedPublishedStatesTest, WithoutASnapshotTheLogIsReadFromItsBegin) {
  const auto published =
      ReadDamaged(absl::StrCat("state-", kF), UserKey("u"), "damaged");
  ASSERT_THAT(published, IsOk());
  EXPECT_THAT(published->snapshot, IsStatus(kDataLoss, "snapshot of user"));
  EXPECT_EQ(published->after, 0u);
  EXPECT_THAT(published->events,
              IsOkAndHolds(MakeAppend("u", 1, 10).events));
}

TEST_F(DamagedPublishedStatesTest, AnEventThatIsMissingOrDamagedIsNamed) {
  for (const uint64_t missing : {10, 7}) {  // the last one, then before it
    const auto published = ReadDamaged("log", LogKey("u", missing), "");
    ASSERT_THAT(published, IsOk());
    EXPECT_THAT(published->events,
                IsStatus(kDataLoss, absl::StrCat("event ", missing)));
  }
  const auto published = ReadDamaged("log", LogKey("u", 7), "damaged");
  ASSERT_THAT(published, IsOk());
  EXPECT_THAT(published->events, IsStatus(kDataLoss, "event 7"));
}

}  // namespace
}  // namespace qlarank
