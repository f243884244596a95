#include "server/catalogue/live_catalogue.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr uint32_t kUnknown = Bundle::kOutOfVocabularyRow;

class LiveCatalogueTest : public ::testing::Test {
 protected:
  LiveCatalogueTest() { Reopen(); }

  void Reopen() {
    auto opened = LiveCatalogue::Open(store_, metrics_.catalogue);
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalogue_ = *std::move(opened);
  }

  static std::shared_ptr<const Engine> MakeEngine(
      const std::string& golden, size_t most_added_items = 100) {
    Engine::Options options;
    options.most_added_items = most_added_items;
    auto engine = Engine::Create(LoadGolden(GoldenModel(golden)), options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  void Join(const std::string& name,
            const std::shared_ptr<const Engine>& engine) {
    const absl::Status joined = catalogue_->Join(name, 1, engine);
    ASSERT_TRUE(joined.ok()) << joined;
  }

  // For `engine_`; the same item in another `look` is another embedding.
  CatalogueEntry Item(uint64_t id, float look = 0.5f) const {
    CatalogueEntry entry;
    entry.item_id = id;
    entry.title = absl::StrCat("item ", id);
    entry.fingerprint = engine_->bundle().fingerprint();
    entry.embedding.assign(engine_->bundle().spec().d_model(), look);
    entry.bias = 0.25f;
    return entry;
  }
  static CatalogueEntry Removal(uint64_t id) {
    CatalogueEntry entry;
    entry.item_id = id;
    entry.removed = true;
    return entry;
  }

  LiveCatalogue::Outcome Change(std::vector<CatalogueEntry> wanted) {
    const auto outcome = catalogue_->Change(std::move(wanted));
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(LiveCatalogue::Outcome());
  }
  void ExpectRefused(std::vector<CatalogueEntry> wanted, absl::StatusCode code,
                     const std::string& part) {
    const uint64_t before = catalogue_->version();
    const absl::Status status =
        catalogue_->Change(std::move(wanted)).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
    EXPECT_EQ(catalogue_->version(), before);
    EXPECT_EQ(*store_.NewestCatalogueVersion(), before);
  }

  FaultyStateStore store_;
  Metrics metrics_;
  std::unique_ptr<LiveCatalogue> catalogue_;
  const std::shared_ptr<const Engine> engine_ = MakeEngine("dot_l1_plain");
  const uint32_t first_added_ = engine_->bundle().spec().num_items() + 1;
  const uint64_t bundled_ = engine_->bundle().item_ids()[0];
};

TEST_F(LiveCatalogueTest, AnItemHasARowAsSoonAsItIsUpserted) {
  Join("m", engine_);
  EXPECT_EQ(catalogue_->version(), 0u);
  const auto outcome = Change({Item(1), Item(2)});
  EXPECT_EQ(outcome.changed, 2u);
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(catalogue_->version(), 2u);
  const Catalogue& rows = engine_->catalogue();
  EXPECT_EQ(rows.Row(1), first_added_);
  EXPECT_EQ(rows.Row(2), first_added_ + 1);
  EXPECT_EQ(rows.RowAsOf(2, 1), kUnknown);
  EXPECT_EQ(rows.RowAsOf(2, 2), first_added_ + 1);
  EXPECT_THAT(catalogue_->KnownTo(1), ElementsAre(Pair("m", 1)));
  EXPECT_EQ(catalogue_->Find(1)->title, "item 1");
}

TEST_F(LiveCatalogueTest, AModelThatJoinsLaterHasTheSameRows) {
  Join("m", engine_);
  Change({Item(1), Item(2)});
  Change({Item(3, 0.75f), Item(1, -1)});
  Change({Removal(2), Removal(3), Removal(bundled_)});
  Change({Item(3, 0.75f)});  // is back, with the row that it has
  Reopen();
  const auto late = MakeEngine("dot_l1_plain");
  Join("late", late);
  for (const uint64_t id :
       {uint64_t{1}, uint64_t{2}, uint64_t{3}, bundled_}) {
    for (uint64_t version = 0; version <= catalogue_->version(); ++version) {
      EXPECT_EQ(late->catalogue().RowAsOf(id, version),
                engine_->catalogue().RowAsOf(id, version))
          << id << " at " << version;
    }
    const uint32_t row = late->catalogue().Row(id);
    EXPECT_EQ(row, engine_->catalogue().Row(id));
    const bool removed = id == 2 || id == bundled_;
    EXPECT_EQ(late->catalogue().IsRemoved(row), removed) << id;
    EXPECT_EQ(engine_->catalogue().IsRemoved(row), removed) << id;
  }
  EXPECT_EQ(late->catalogue().num_added_rows(), 4u);
  EXPECT_EQ(catalogue_->version(), 8u);
}

TEST_F(LiveCatalogueTest, AnEmbeddingIsForModelsOfItsFingerprintAlone) {
  const auto twin = MakeEngine("dot_l1_plain");
  const auto other = MakeEngine("all_l1_plain");
  Join("m", engine_);
  Join("twin", twin);
  Join("other", other);
  Change({Item(1)});
  EXPECT_EQ(twin->catalogue().Row(1), first_added_);
  EXPECT_EQ(other->catalogue().Row(1), kUnknown);
  EXPECT_THAT(catalogue_->KnownTo(1),
              ElementsAre(Pair("m", 1), Pair("twin", 1)));
  catalogue_->Leave("twin", 1);
  Change({Item(2)});
  EXPECT_EQ(twin->catalogue().Row(2), kUnknown);
}

TEST_F(LiveCatalogueTest, WhatIsSaidAgainIsNoEntry) {
  Join("m", engine_);
  Change({Item(1), Item(2), Item(3)});
  auto outcome = Change({Item(1), Item(2, 0.75f), Item(3)});
  EXPECT_EQ(outcome.changed, 1u);
  EXPECT_EQ(outcome.unchanged, 2u);
  EXPECT_EQ(outcome.version, 4u);
  // Not what it said last, though it said so once.
  EXPECT_EQ(Change({Item(2)}).changed, 1u);
  EXPECT_EQ(Change({Removal(2)}).changed, 1u);
  EXPECT_EQ(Change({Removal(2)}).unchanged, 1u);
  EXPECT_EQ(catalogue_->version(), 6u);
  EXPECT_EQ(*store_.NewestCatalogueVersion(), 6u);
}

TEST_F(LiveCatalogueTest, ATitleTakesNoRow) {
  Join("m", engine_);
  Change({Item(1)});
  CatalogueEntry renamed = Item(1);
  renamed.title = "renamed";
  EXPECT_EQ(Change({renamed}).changed, 1u);
  CatalogueEntry title;
  title.item_id = bundled_;
  title.title = "its title";
  EXPECT_EQ(Change({title}).changed, 1u);
  EXPECT_EQ(engine_->catalogue().num_added_rows(), 1u);
  EXPECT_EQ(catalogue_->Find(1)->title, "renamed");
  EXPECT_EQ(catalogue_->Find(bundled_)->title, "its title");
  title.title = "";  // says nothing
  EXPECT_EQ(Change({title}).unchanged, 1u);
}

TEST_F(LiveCatalogueTest, AnUpsertBringsARemovedItemBack) {
  Join("m", engine_);
  Change({Item(1)});
  const auto removed = [this](uint64_t id) {
    return engine_->catalogue().IsRemoved(engine_->catalogue().Row(id));
  };
  for (const uint64_t id : {uint64_t{1}, bundled_}) {
    Change({Removal(id)});
    EXPECT_TRUE(removed(id));
    EXPECT_TRUE(catalogue_->Find(id)->removed);
    CatalogueEntry back;
    back.item_id = id;
    EXPECT_EQ(Change({back}).changed, 1u);
    EXPECT_FALSE(removed(id));
  }
  EXPECT_EQ(engine_->catalogue().num_added_rows(), 1u);
}

TEST_F(LiveCatalogueTest, RefusesAllOfARequestWithAFault) {
  Join("m", engine_);
  CatalogueEntry narrow = Item(2);
  narrow.embedding.pop_back();
  ExpectRefused({Item(1), narrow}, absl::StatusCode::kInvalidArgument,
                "items[1].embedding: ");
  CatalogueEntry nan = Item(2);
  nan.embedding[3] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused({Item(1), nan}, absl::StatusCode::kInvalidArgument,
                "items[1].embedding[3]: nan");
  CatalogueEntry attributes;
  attributes.item_id = 3;
  attributes.attributes["brand"] = {"x"};
  ExpectRefused({attributes}, absl::StatusCode::kFailedPrecondition,
                "items[0].attributes: given; no model");
  CatalogueEntry title;
  title.item_id = 4;
  title.title = "of nothing";
  ExpectRefused({Item(1), title}, absl::StatusCode::kNotFound,
                "items[1].item_id: 4; neither");
  ExpectRefused({Removal(bundled_), Removal(4)}, absl::StatusCode::kNotFound,
                "item_ids[1]: 4; neither");
  EXPECT_EQ(engine_->catalogue().num_added_rows(), 0u);
}

TEST_F(LiveCatalogueTest, TrainedRowsStay) {
  Join("m", engine_);
  ExpectRefused({Item(1), Item(bundled_)},
                absl::StatusCode::kFailedPrecondition,
                absl::StrCat("items[1].item_id: ", bundled_,
                             "; the model's bundle has a row"));
}

TEST_F(LiveCatalogueTest, ContentIsForModelsThatAskForIt) {
  const auto tower = MakeEngine("content_block_l2_memory");
  Join("m", engine_);
  Join("tower", tower);
  const model::v1::ModelSpec& spec = tower->bundle().spec();
  CatalogueEntry item;
  item.item_id = 1;
  const std::string known = spec.item_attributes(0).name();
  item.attributes[known] = {"x"};
  EXPECT_EQ(Change({item}).changed, 1u);
  EXPECT_EQ(engine_->catalogue().Row(1), kUnknown);
  EXPECT_NE(tower->catalogue().Row(1), kUnknown);
  item.item_id = tower->bundle().item_ids()[0];
  ExpectRefused({item}, absl::StatusCode::kFailedPrecondition,
                absl::StrCat("items[0].attributes: given for ", item.item_id,
                             ", which has a row in the bundle"));
  item.item_id = 2;
  item.attributes["colour"] = {"x"};
  ExpectRefused({item}, absl::StatusCode::kInvalidArgument,
                "items[0].attributes: \"colour\"; no model");
  item.attributes.erase("colour");
  item.numbers["length"] = 1;
  ExpectRefused({item}, absl::StatusCode::kInvalidArgument,
                "items[0].numbers: \"length\"; no model");
}

// Whatever entries of others stand between its own.
TEST_F(LiveCatalogueTest, WhoJoinsLateHasItsRowsAlone) {
  const auto tower = MakeEngine("content_block_l2_memory", 3000);
  const auto other = MakeEngine("all_l1_plain", 4000);
  Join("m", engine_);
  Join("tower", tower);
  Join("other", other);
  CatalogueEntry of_content;
  of_content.attributes[tower->bundle().spec().item_attributes(0).name()] = {
      "x"};
  CatalogueEntry of_other = Item(0);
  of_other.fingerprint = other->bundle().fingerprint();
  of_other.embedding.resize(other->bundle().spec().d_model(), 0.5f);
  std::vector<CatalogueEntry> between;
  for (uint64_t id = 10000; id < 11200; ++id) {
    of_other.item_id = id;
    between.push_back(of_other);
  }
  for (const uint64_t id : {1, 2, 3}) {
    of_content.item_id = id;
    Change({Item(id)});
    Change({Removal(id)});
    Change({of_content});
    Change(between);
    for (CatalogueEntry& entry : between) entry.bias += 1;
  }
  Change({Removal(2)});
  const auto late = MakeEngine("dot_l1_plain", 3);
  const auto late_tower = MakeEngine("content_block_l2_memory", 3);
  EXPECT_TRUE(catalogue_->CheckRoom("late", 1, late->bundle(), 3).ok());
  EXPECT_TRUE(catalogue_->CheckRoom("late", 1, late_tower->bundle(), 3).ok());
  Join("late", late);
  Join("late tower", late_tower);
  const auto expect_same = [&](const Engine& one, const Engine& another) {
    EXPECT_EQ(one.catalogue().num_added_rows(), 3u);
    for (const uint64_t id : {1, 2, 3}) {
      for (uint64_t at = 0; at <= catalogue_->version(); ++at) {
        ASSERT_EQ(one.catalogue().RowAsOf(id, at),
                  another.catalogue().RowAsOf(id, at));
      }
      EXPECT_EQ(one.catalogue().IsRemoved(one.catalogue().Row(id)), id == 2);
      EXPECT_EQ(another.catalogue().IsRemoved(another.catalogue().Row(id)),
                id == 2);
    }
  };
  expect_same(*late, *engine_);
  expect_same(*late_tower, *tower);
}

TEST_F(LiveCatalogueTest, RefusesWhatAModelHasNoRoomFor) {
  const auto small = MakeEngine("dot_l1_plain", 3);
  Join("m", engine_);
  Join("small", small);
  Change({Item(1), Item(2)});
  ExpectRefused({Item(3), Item(4)}, absl::StatusCode::kResourceExhausted,
                "catalogue.max_added_items: 3; model \"small\" version 1 would "
                "have 4 rows");
  EXPECT_EQ(Change({Item(1), Item(2), Item(3)}).changed, 1u);
  const auto tiny = MakeEngine("dot_l1_plain", 2);
  EXPECT_EQ(catalogue_->CheckRoom("t", 1, tiny->bundle(), 2).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(catalogue_->CheckRoom("t", 1, tiny->bundle(), 3).ok());
  EXPECT_EQ(catalogue_->Join("tiny", 1, tiny).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(catalogue_->KnownTo(1).size(), 2u);
}

TEST_F(LiveCatalogueTest, ATrialChangesNothing) {
  Join("m", engine_);
  const auto outcome = catalogue_->TryOut({Item(1)});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->changed, 1u);
  EXPECT_EQ(outcome->version, 0u);
  EXPECT_EQ(engine_->catalogue().Row(1), kUnknown);
  EXPECT_EQ(*store_.NewestCatalogueVersion(), 0u);
}

TEST_F(LiveCatalogueTest, NothingIsKnownBeforeItIsDurable) {
  Join("m", engine_);
  store_.before_append_entries = [this] {
    EXPECT_EQ(engine_->catalogue().Row(1), kUnknown);
    EXPECT_EQ(catalogue_->version(), 0u);
    return absl::UnavailableError("disk full");
  };
  ExpectRefused({Item(1)}, absl::StatusCode::kUnavailable, "disk full");
  EXPECT_EQ(engine_->catalogue().Row(1), kUnknown);
  store_.before_append_entries = nullptr;
  EXPECT_EQ(Change({Item(1)}).version, 1u);
}

TEST_F(LiveCatalogueTest, WhatAFailedWriteLeftIsTakenUp) {
  Join("m", engine_);
  store_.after_append_entries = [] {
    return absl::UnavailableError("the sync failed");
  };
  EXPECT_FALSE(catalogue_->Change({Item(1)}).ok());
  EXPECT_EQ(catalogue_->version(), 0u);
  store_.after_append_entries = nullptr;
  const auto outcome = Change({Item(1), Item(2)});
  EXPECT_EQ(outcome.unchanged, 1u);
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(engine_->catalogue().Row(2), first_added_ + 1);
}

TEST_F(LiveCatalogueTest, ListsItemsInOrderOfTheirIds) {
  Join("m", engine_);
  Change({Item(7), Item(3), Item(5)});
  const auto ids = [this](const uint64_t* after, size_t limit) {
    std::vector<uint64_t> listed;
    for (const auto& [id, known] : catalogue_->Behind(after, limit)) {
      EXPECT_EQ(known.title, absl::StrCat("item ", id));
      listed.push_back(id);
    }
    return listed;
  };
  EXPECT_THAT(ids(nullptr, 2), ElementsAre(3, 5));
  const uint64_t five = 5;
  EXPECT_THAT(ids(&five, 2), ElementsAre(7));
}

TEST_F(LiveCatalogueTest, AChangeThatIsAskedForAgainChangesNothing) {
  Join("m", engine_);
  const AskedChange asked = {"a", "digest"};
  const auto first = catalogue_->Change({Item(1), Item(2)}, asked);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->repeated);
  Change({Item(1, 0.75f)});  // somebody else's, in between
  const auto expect_repeated = [&] {
    const auto again = catalogue_->Change({Item(1), Item(2)}, asked);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(again->changed, 2u);
    EXPECT_EQ(again->unchanged, 0u);
    EXPECT_EQ(again->version, 2u);
    EXPECT_EQ(*store_.NewestCatalogueVersion(), 3u);
  };
  expect_repeated();
  Reopen();
  expect_repeated();
  const auto other = catalogue_->Change({Item(5)}, {"a", "another"});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LiveCatalogueTest, AnIdOfAChangeThatFailedIsAsked) {
  Join("m", engine_);
  const AskedChange asked = {"a", "digest"};
  store_.before_append_entries = [] {
    return absl::UnavailableError("disk full");
  };
  EXPECT_FALSE(catalogue_->Change({Item(1)}, asked).ok());
  store_.before_append_entries = nullptr;
  const auto outcome = catalogue_->Change({Item(1)}, asked);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->repeated);
  EXPECT_EQ(outcome->changed, 1u);
}

// Whoever sees a version finds the rows that came with it.
TEST_F(LiveCatalogueTest, RowsAreThereBeforeTheirVersion) {
  constexpr uint64_t kItems = 100;
  constexpr uint64_t kBefore = 4'000'000'000;  // no bundle has what follows
  Join("m", engine_);
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const uint64_t version = catalogue_->version();
        for (uint64_t n = 1; n <= kItems; ++n) {
          EXPECT_EQ(
              engine_->catalogue().RowAsOf(kBefore + n, version) != kUnknown,
              n <= version);
        }
      }
    });
  }
  for (uint64_t n = 1; n <= kItems; ++n) Change({Item(kBefore + n)});
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace qlarank::testing
