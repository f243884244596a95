#include "server/catalogue/item_requests.h"

#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/item_key.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

LoadedModel NumberModel() {
  return *AsLoaded(*Engine::Create(LoadGolden(GoldenModel("dot_l1_plain"))));
}
LoadedModel TextModel() {
  LoadedModel model = NumberModel();
  model.items_are_texts = true;
  return model;
}

v1::UpsertedItem Embedded(uint64_t id) {
  v1::UpsertedItem item;
  item.set_item_id(id);
  item.add_embedding(0.5f);
  return item;
}

TEST(ItemRequestsTest, TakesWhatIsSaidOfAnItem) {
  const LoadedModel model = NumberModel();
  v1::UpsertItemsRequest request;
  *request.add_items() = Embedded(7);
  request.mutable_items(0)->set_bias(2);
  request.mutable_items(0)->set_title("seven");
  v1::UpsertedItem& other = *request.add_items();
  other.set_item_id(8);
  (*other.mutable_attributes())["brand"].add_values("x");
  (*other.mutable_numbers())["price"] = 1.5;
  const auto entries = EntriesOf(request, model);
  ASSERT_TRUE(entries.ok()) << entries.status();
  CatalogueEntry seven, eight;
  seven.item_id = 7;
  seven.title = "seven";
  seven.fingerprint = model.bundle().fingerprint();
  seven.embedding = {0.5f};
  seven.bias = 2;
  eight.item_id = 8;
  eight.attributes = {{"brand", {"x"}}};
  eight.numbers = {{"price", 1.5}};
  EXPECT_THAT(*entries, ElementsAre(seven, eight));
}

TEST(ItemRequestsTest, KeysBecomeIds) {
  v1::UpsertItemsRequest request;
  request.add_items()->set_item_key("sku-1");
  const auto entries = EntriesOf(request, TextModel());
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->front().item_id, ItemIdOfKey("sku-1"));
  EXPECT_EQ(entries->front().item_key, "sku-1");
  v1::RemoveItemsRequest removal;
  removal.add_item_keys("sku-1");
  EXPECT_EQ(EntriesOf(removal)->front().item_id, ItemIdOfKey("sku-1"));
  EXPECT_TRUE(EntriesOf(removal)->front().removed);
  v1::GetItemsRequest get;
  get.add_item_keys("sku-1");
  EXPECT_THAT(*IdsOf(get), ElementsAre(ItemIdOfKey("sku-1")));
}

struct BadUpsert {
  std::string name;
  std::function<void(v1::UpsertItemsRequest&)> spoil;
  std::string message;
  bool texts = false;
};

class BadUpsertTest : public ::testing::TestWithParam<BadUpsert> {};

TEST_P(BadUpsertTest, NamesTheFieldAndTheValue) {
  v1::UpsertItemsRequest request;
  *request.add_items() = Embedded(7);
  *request.add_items() = Embedded(8);
  GetParam().spoil(request);
  const absl::Status status =
      EntriesOf(request, GetParam().texts ? TextModel() : NumberModel())
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadUpsertTest,
    ::testing::Values(
        BadUpsert{"None", [](auto& r) { r.clear_items(); },
                  "items: 0 items; must be 1 to 10000"},
        BadUpsert{"TooMany",
                  [](auto& r) {
                    while (r.items_size() <= 10'000) r.add_items();
                  },
                  "items: 10001 items; must be"},
        BadUpsert{"Twice", [](auto& r) { r.mutable_items(1)->set_item_id(7); },
                  "items[1]: 7; is there twice, first at 0"},
        BadUpsert{"KeyOfANumber",
                  [](auto& r) { r.mutable_items(1)->set_item_key("k"); },
                  "items[1].item_key: \"k\"; model \"model\" version 1 knows "
                  "items by numbers"},
        BadUpsert{"NumberOfAText", [](auto&) {},
                  "items[0].item_key: \"\"; model \"model\" version 1 knows "
                  "items by texts",
                  true},
        BadUpsert{"Both",
                  [](auto& r) { r.mutable_items(0)->set_item_key("k"); },
                  "items[0].item_id: 7; there is an item_key, too", true},
        BadUpsert{"EmbeddingAndAttributes",
                  [](auto& r) {
                    (*r.mutable_items(1)->mutable_attributes())["a"];
                  },
                  "items[1].embedding: 1 values; there are attributes"},
        BadUpsert{"BiasAlone",
                  [](auto& r) {
                    r.mutable_items(1)->clear_embedding();
                    r.mutable_items(1)->set_bias(3);
                  },
                  "items[1].bias: 3; has no embedding beside it"},
        BadUpsert{"NoNumber",
                  [](auto& r) {
                    r.mutable_items(1)->clear_embedding();
                    (*r.mutable_items(1)->mutable_numbers())["price"] =
                        std::numeric_limits<double>::infinity();
                  },
                  "items[1].numbers[\"price\"]: inf; must be finite"},
        BadUpsert{"LongTitle",
                  [](auto& r) {
                    r.mutable_items(1)->set_title(std::string(1025, 't'));
                  },
                  "(1025 bytes); must be at most 1024 bytes"}),
    [](const auto& info) { return info.param.name; });

TEST(ItemRequestsTest, RefusesIdsBesideKeysAndNone) {
  v1::RemoveItemsRequest removal;
  EXPECT_THAT(std::string(EntriesOf(removal).status().message()),
              HasSubstr("item_ids: 0 items"));
  removal.add_item_ids(1);
  removal.add_item_ids(1);
  EXPECT_THAT(std::string(EntriesOf(removal).status().message()),
              HasSubstr("item_ids[1]: 1; is there twice, first at 0"));
  removal.add_item_keys("k");
  EXPECT_THAT(std::string(EntriesOf(removal).status().message()),
              HasSubstr("item_keys: 1 keys; there are item_ids, too"));
}

}  // namespace
}  // namespace qlarank::testing
