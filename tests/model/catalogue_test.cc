#include "model/catalogue.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/engine.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kRoom = 8;
constexpr uint64_t kNewItem = 4'000'000'000'000'000'001;

class CatalogueTest : public ::testing::Test {
 protected:
  CatalogueTest()
      : model_(LoadGoldenModel("memory_block_l2",
                               {Precision::kF32, 0, kRoom})),
        catalogue_(model_.engine->catalogue()),
        first_added_(model_.bundle->spec().num_items() + 1),
        embedding_(model_.bundle->spec().d_model(), .5f) {}

  absl::Status Add(uint64_t id, uint64_t version) {
    return catalogue_.Add(id, version, embedding_, .25f);
  }

  const GoldenModel model_;
  Catalogue& catalogue_;
  const uint32_t first_added_;
  std::vector<float> embedding_;
};

TEST_F(CatalogueTest, HasTheBundlesItemsAtFirst) {
  const auto ids = model_.bundle->item_ids();
  EXPECT_EQ(catalogue_.num_rows(), first_added_);
  EXPECT_EQ(catalogue_.room(), kRoom);
  EXPECT_EQ(catalogue_.num_added_items(), 0);
  EXPECT_EQ(catalogue_.Row(kNewItem), Bundle::kOutOfVocabularyRow);
  EXPECT_EQ(catalogue_.Row(ids[3]), 4);
  EXPECT_EQ(catalogue_.RowAsOf(ids[3], 0), 4);
  EXPECT_EQ(catalogue_.Identity(4), 4);
}

TEST_F(CatalogueTest, ANewItemHasRowsFromItsFirstVersionOn) {
  ASSERT_TRUE(Add(kNewItem, 5).ok());
  ASSERT_TRUE(Add(kNewItem, 8).ok());
  EXPECT_EQ(catalogue_.num_rows(), first_added_ + 2);
  EXPECT_EQ(catalogue_.num_added_rows(), 2);
  EXPECT_EQ(catalogue_.num_added_items(), 1);
  EXPECT_EQ(catalogue_.room(), kRoom - 2);
  EXPECT_EQ(catalogue_.Row(kNewItem), first_added_ + 1);
  EXPECT_EQ(catalogue_.RowAsOf(kNewItem, 4), Bundle::kOutOfVocabularyRow);
  EXPECT_EQ(catalogue_.RowAsOf(kNewItem, 7), first_added_);
  EXPECT_EQ(catalogue_.RowAsOf(kNewItem, 8), first_added_ + 1);
  EXPECT_EQ(catalogue_.Identity(first_added_), first_added_);
  EXPECT_EQ(catalogue_.Identity(first_added_ + 1), first_added_);
}

TEST_F(CatalogueTest, AnItemOfTheBundleKeepsItsIdentity) {
  const uint64_t id = model_.bundle->item_ids()[3];
  ASSERT_TRUE(Add(id, 5).ok());
  ASSERT_TRUE(Add(id, 6).ok());
  EXPECT_EQ(catalogue_.Row(id), first_added_ + 1);
  EXPECT_EQ(catalogue_.RowAsOf(id, 4), 4);
  EXPECT_EQ(catalogue_.RowAsOf(id, 5), first_added_);
  EXPECT_EQ(catalogue_.Identity(first_added_ + 1), 4);
}

TEST_F(CatalogueTest, FindsManyAtOnce) {
  const auto ids = model_.bundle->item_ids();
  ASSERT_TRUE(Add(kNewItem, 1).ok());
  ASSERT_TRUE(Add(ids[1], 2).ok());
  std::vector<uint32_t> rows(4);
  catalogue_.Rows(std::vector<uint64_t>{ids[0], ids[1], kNewItem, kNewItem + 1},
                  absl::MakeSpan(rows));
  EXPECT_THAT(rows, ElementsAre(1, first_added_ + 1, first_added_,
                                Bundle::kOutOfVocabularyRow));
}

TEST_F(CatalogueTest, RemovesItemsAndBringsThemBack) {
  const uint64_t known = model_.bundle->item_ids()[0];
  ASSERT_TRUE(Add(kNewItem, 1).ok());
  catalogue_.SetRemoved(kNewItem + 1, true);  // nobody's
  EXPECT_FALSE(catalogue_.any_removed());
  EXPECT_FALSE(catalogue_.IsRemoved(Bundle::kOutOfVocabularyRow));

  catalogue_.SetRemoved(known, true);
  catalogue_.SetRemoved(kNewItem, true);
  catalogue_.SetRemoved(kNewItem, true);
  EXPECT_TRUE(catalogue_.any_removed());
  EXPECT_TRUE(catalogue_.IsRemoved(1));
  EXPECT_FALSE(catalogue_.IsRemoved(2));
  // Of all its rows, to come ones too.
  ASSERT_TRUE(Add(kNewItem, 2).ok());
  EXPECT_TRUE(catalogue_.IsRemoved(first_added_));
  EXPECT_TRUE(catalogue_.IsRemoved(first_added_ + 1));

  catalogue_.SetRemoved(known, false);
  catalogue_.SetRemoved(kNewItem, false);
  EXPECT_FALSE(catalogue_.IsRemoved(1));
  EXPECT_FALSE(catalogue_.IsRemoved(first_added_ + 1));
  EXPECT_FALSE(catalogue_.any_removed());
}

TEST_F(CatalogueTest, RefusesWhatItCannotScore) {
  const auto refused = [&](const std::string& message) {
    const absl::Status status = Add(kNewItem, 1);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_EQ(catalogue_.num_rows(), first_added_);
  };
  embedding_[3] = std::nanf("");
  refused("embedding[3]: nan; expected -1e+06 to 1e+06");
  embedding_[3] = -2e6f;
  refused("embedding[3]: -2e+06;");
  embedding_.resize(3);
  refused("embedding: 3 values; the model has 16");
  embedding_.assign(16, 0);
  EXPECT_THAT(
      std::string(catalogue_
                      .Check(embedding_, std::numeric_limits<float>::infinity())
                      .message()),
      HasSubstr("bias: inf;"));
}

TEST_F(CatalogueTest, RefusesVersionsThatDoNotRise) {
  EXPECT_EQ(Add(kNewItem, 0).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Add(kNewItem, 5).ok());
  const absl::Status status = Add(kNewItem + 1, 5);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "catalogue version 5 after 5");
  EXPECT_EQ(catalogue_.num_rows(), first_added_ + 1);
}

TEST_F(CatalogueTest, RefusesMoreThanItHasRoomFor) {
  for (uint64_t version = 1; version <= kRoom; ++version) {
    ASSERT_TRUE(Add(kNewItem + version, version).ok());
  }
  const absl::Status status = Add(kNewItem, kRoom + 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("8 added rows"));
  EXPECT_EQ(catalogue_.room(), 0);
  EXPECT_EQ(LoadGoldenModel("dot_l1_plain")
                .engine->catalogue()
                .Add(kNewItem, 1, embedding_, 0)
                .code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(CatalogueTest, TellsHowMuchMemoryRowsMayTake) {
  const auto& spec = model_.bundle->spec();  // d_model 16
  const uint64_t none = Catalogue::MostBytes(spec, 0, 0);
  // Entry, slots, terms, and embeddings in float32 and bfloat16, a bit; shares
  // of 4 d_model.
  EXPECT_EQ(Catalogue::MostBytes(spec, 64, 0) - none,
            64 * (24 + 2 * 16 + 8 + 16 * (4 + 2)) - 2 * 16 + 8);
  EXPECT_EQ(Catalogue::MostBytes(spec, 64, 1 << 30) -
                Catalogue::MostBytes(spec, 64, 0),
            64 * (4 * 16 * 4 - 2 * 16));
}

}  // namespace
}  // namespace qlarank::testing
