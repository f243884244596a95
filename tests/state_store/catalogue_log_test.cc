// What holds for the catalogue's log in every store, and what is left of it on
// a disk.
#include "state_store/catalogue_log.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/store_check.h"
#include "state_store/store_repair.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/implementations.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3";

CatalogueEntry Entry(uint64_t version) {
  CatalogueEntry entry;
  entry.version = version;
  entry.item_id = ~version;
  entry.item_key = absl::StrCat("sku-", version);
  entry.title = "Käse, 200 g";
  entry.removed = version % 2 == 0;
  entry.fingerprint = "a0b1";
  entry.embedding = {0.5f, -1e-30f, static_cast<float>(version)};
  entry.bias = 0.25f;
  entry.attributes = {{"brand", {"x", "y"}}, {"none", {}}};
  entry.numbers = {{"price", 1.0 / 3}};
  if (version % 3 == 0) entry.change = {"monday", "c0ffee", 3, version};
  return entry;
}

std::vector<CatalogueEntry> Entries(uint64_t first, uint64_t last) {
  std::vector<CatalogueEntry> entries;
  for (uint64_t v = first; v <= last; ++v) entries.push_back(Entry(v));
  return entries;
}

class CatalogueLogTest : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(folder_);
    ASSERT_NE(store_, nullptr);
  }

  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(All, CatalogueLogTest, Implementations(),
                         ImplementationName);

TEST_P(CatalogueLogTest, IsEmptyBeforeTheFirstEntry) {
  EXPECT_THAT(store_->NewestCatalogueVersion(), IsOkAndHolds(0u));
  EXPECT_THAT(store_->ReadEntries(1, kNoLimit),
              IsOkAndHolds(std::vector<CatalogueEntry>()));
  EXPECT_THAT(store_->AppendEntries({}), IsOk());
  EXPECT_THAT(store_->NewestCatalogueVersion(), IsOkAndHolds(0u));
}

TEST_P(CatalogueLogTest, ReadsWhatWasAppendedInItsOrder) {
  ASSERT_THAT(store_->AppendEntries(Entries(1, 3)), IsOk());
  ASSERT_THAT(store_->AppendEntries(Entries(4, 300)), IsOk());
  EXPECT_THAT(store_->NewestCatalogueVersion(), IsOkAndHolds(300u));
  EXPECT_THAT(store_->ReadEntries(1, kNoLimit), IsOkAndHolds(Entries(1, 300)));
  EXPECT_THAT(store_->ReadEntries(255, 3), IsOkAndHolds(Entries(255, 257)));
  EXPECT_THAT(store_->ReadEntries(300, 3), IsOkAndHolds(Entries(300, 300)));
  EXPECT_THAT(store_->ReadEntries(301, 3), IsOkAndHolds(Entries(1, 0)));
  EXPECT_THAT(store_->ReadEntries(1, 0), IsOkAndHolds(Entries(1, 0)));
}

TEST_P(CatalogueLogTest, TakesNothingThatDoesNotContinueIt) {
  ASSERT_THAT(store_->AppendEntries(Entries(1, 2)), IsOk());
  for (const auto& entries :
       {Entries(2, 3), Entries(4, 4), Entries(1, 1),
        std::vector<CatalogueEntry>{Entry(3), Entry(5)}}) {
    EXPECT_THAT(store_->AppendEntries(entries),
                IsStatus(kFailedPrecondition, "the next one is"));
  }
  EXPECT_THAT(store_->ReadEntries(1, kNoLimit), IsOkAndHolds(Entries(1, 2)));
}

class StoredCatalogueTest : public testing::Test {
 protected:
  std::unique_ptr<StateStore> Open(const std::string& path) {
    auto store = OpenRocksDbStateStore(SmallOptions(path));
    EXPECT_THAT(store, IsOk());
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Three entries, and a user with a snapshot.
  void Fill() {
    const auto store = Open(path_);
    ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
    ASSERT_THAT(store->AppendEntries(Entries(1, 3)), IsOk());
    UserAppend append = MakeAppend("u", 1, 10);
    append.events.back().catalogue_version = 3;
    ASSERT_THAT(store->AppendEvents({append}), IsOk());
    ASSERT_THAT(store->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
    ASSERT_THAT(store->Flush(), IsOk());
  }

  std::vector<std::string> Verify(const std::string& path) {
    std::vector<std::string> said;
    totals_ = *VerifyStore(path, [&](const StoreProblem& problem) {
      said.push_back(problem.column_family + " " + problem.what);
    });
    return said;
  }
  std::vector<std::string> Repair() {
    std::vector<std::string> said;
    EXPECT_THAT(RepairStore(path_, repaired_,
                            [&](const StoreProblem& problem) {
                              said.push_back(problem.what);
                            }),
                IsOk());
    return said;
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "store";
  const std::string repaired_ = folder_ / "repaired";
  StoreTotals totals_;
};

TEST_F(StoredCatalogueTest, IsThereWhenTheStoreIsOpenedAgain) {
  Fill();
  const auto store = Open(path_);
  EXPECT_THAT(store->ReadEntries(1, kNoLimit), IsOkAndHolds(Entries(1, 3)));
  EXPECT_THAT(store->AppendEntries(Entries(4, 4)), IsOk());
}

TEST_F(StoredCatalogueTest, IsInCopies) {
  Fill();
  const std::string copy = folder_ / "checkpoint";
  {
    const auto store = Open(path_);
    ASSERT_THAT(store->AppendEntries(Entries(4, 5)), IsOk());
    ASSERT_THAT(store->Checkpoint(copy), IsOk());
    ASSERT_THAT(store->AppendEntries(Entries(6, 6)), IsOk());
  }
  EXPECT_THAT(Verify(copy), IsEmpty());
  EXPECT_EQ(totals_.catalogue_entries, 5u);
  EXPECT_THAT(Open(copy)->ReadEntries(1, kNoLimit),
              IsOkAndHolds(Entries(1, 5)));
}

TEST_F(StoredCatalogueTest, NamesAnEntryThatIsDamagedOrGone) {
  Fill();
  const std::string key = CatalogueKey(2);
  RawDatabase(path_).Put("catalogue", key, "rubbish");
  EXPECT_THAT(Open(path_)->ReadEntries(1, kNoLimit),
              IsStatus(absl::StatusCode::kDataLoss, "catalogue entry 2: "));
  EXPECT_THAT(Verify(path_),
              Contains(HasSubstr("catalogue catalogue entry 2: checksum")));
  RawDatabase(path_).Delete("catalogue", key);
  EXPECT_THAT(Open(path_)->ReadEntries(1, kNoLimit),
              IsStatus(absl::StatusCode::kDataLoss,
                       "catalogue entry 2: missing"));
}

TEST_F(StoredCatalogueTest, VerifyFindsEventsOfVersionsThatThereAreNot) {
  Fill();
  EXPECT_THAT(Verify(path_), IsEmpty());
  EXPECT_EQ(totals_.catalogue_entries, 3u);
  RawDatabase(path_).Delete("catalogue", CatalogueKey(3));
  EXPECT_THAT(Verify(path_),
              Contains("log events of catalogue version 3, the catalogue "
                       "has 2"));
}

TEST_F(StoredCatalogueTest, RepairTakesAWholeOneAlong) {
  Fill();
  EXPECT_THAT(Repair(), IsEmpty());
  const auto store = Open(repaired_);
  EXPECT_THAT(store->ReadEntries(1, kNoLimit), IsOkAndHolds(Entries(1, 3)));
  EXPECT_THAT(store->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 8))));
}

TEST_F(StoredCatalogueTest, RepairKeepsVersionsAndDropsStatesOfOneThatIsNot) {
  Fill();
  RawDatabase(path_).Put("catalogue", CatalogueKey(1), "rubbish");
  RawDatabase(path_).Delete("catalogue", CatalogueKey(2));
  EXPECT_THAT(Repair(), Contains(HasSubstr("entry 2: missing; left out")));
  const auto store = Open(repaired_);
  CatalogueEntry one, two;
  one.version = 1;
  two.version = 2;
  EXPECT_THAT(
      store->ReadEntries(1, kNoLimit),
      IsOkAndHolds(std::vector<CatalogueEntry>{one, two, Entry(3)}));
  EXPECT_THAT(store->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
  EXPECT_EQ(store->GetHead("u")->last_sequence, 10u);
}

}  // namespace
}  // namespace qlarank
