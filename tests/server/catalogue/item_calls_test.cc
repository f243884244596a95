#include "server/catalogue/item_calls.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ItemCallsTest : public ::testing::Test {
 protected:
  ItemCallsTest() {
    ModelOptions options = GoldenModel("dot_l1_plain");
    options.name = "m";
    const auto registry = Registry::Load({options}, store_, metrics_.info);
    EXPECT_TRUE(registry.ok()) << registry.status();
    models_ = std::make_unique<ModelRegistry>(*registry);
    catalogue_ = *LiveCatalogue::Open(store_, metrics_.catalogue);
    const LoadedModelPtr& model = (*registry)->default_model();
    EXPECT_TRUE(catalogue_->Join("m", model->version, model->engine).ok());
    bundled_ = model->bundle().item_ids()[0];
    width_ = model->bundle().spec().d_model();
    calls_ = std::make_unique<ItemCalls>(*catalogue_, *models_,
                                         metrics_.catalogue);
  }

  template <typename Request, typename Response>
  absl::Status Call(const Request& request, Response& response) {
    absl::Notification done;
    absl::Status result;
    calls_->Start(request, response, [&](absl::Status status) {
      result = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  v1::UpsertItemsRequest Items(const std::vector<uint64_t>& ids) {
    v1::UpsertItemsRequest request;
    for (const uint64_t id : ids) {
      v1::UpsertedItem& item = *request.add_items();
      item.set_item_id(id);
      for (size_t i = 0; i < width_; ++i) item.add_embedding(0.5f);
    }
    return request;
  }

  std::vector<uint64_t> Page(const std::string& token, std::string& next) {
    v1::ListItemsRequest request;
    request.set_page_size(2);
    request.set_page_token(token);
    v1::ListItemsResponse response;
    EXPECT_TRUE(Call(request, response).ok());
    EXPECT_EQ(response.catalogue_version(), catalogue_->version());
    next = response.next_page_token();
    std::vector<uint64_t> ids;
    for (const v1::CatalogueItem& item : response.items()) {
      ids.push_back(item.item_id());
    }
    return ids;
  }

  MemoryStateStore store_;
  Metrics metrics_;
  std::unique_ptr<ModelRegistry> models_;
  std::unique_ptr<LiveCatalogue> catalogue_;
  std::unique_ptr<ItemCalls> calls_;
  uint64_t bundled_ = 0;
  size_t width_ = 0;
};

TEST_F(ItemCallsTest, UpsertsRemovesAndCounts) {
  v1::UpsertItemsResponse upserted;
  ASSERT_TRUE(Call(Items({1, 2}), upserted).ok());
  EXPECT_EQ(upserted.upserted(), 2u);
  EXPECT_EQ(upserted.catalogue_version(), 2u);
  v1::UpsertItemsRequest trial = Items({9});
  trial.set_validate_only(true);
  ASSERT_TRUE(Call(trial, upserted).ok());
  ASSERT_TRUE(Call(Items({2, 3}), upserted).ok());
  EXPECT_EQ(upserted.upserted(), 1u);
  EXPECT_EQ(upserted.unchanged(), 1u);
  v1::RemoveItemsRequest removal;
  removal.add_item_ids(1);
  removal.add_item_ids(bundled_);
  v1::RemoveItemsResponse removed;
  ASSERT_TRUE(Call(removal, removed).ok());
  EXPECT_EQ(removed.removed(), 2u);
  EXPECT_EQ(removed.catalogue_version(), 5u);
  removal.add_item_ids(77);
  EXPECT_EQ(Call(removal, removed).code(), absl::StatusCode::kNotFound);

  CatalogueMetrics& metrics = metrics_.catalogue;
  EXPECT_EQ(metrics.version.Value(), 5);
  EXPECT_EQ(metrics.upserted.Value(), 3);
  EXPECT_EQ(metrics.unchanged.Value(), 1);
  EXPECT_EQ(metrics.removed.Value(), 2);
  EXPECT_EQ(metrics.refused.Value(), 3);
  EXPECT_EQ(metrics.AddedRows("m", 1).Value(), 3);
}

TEST_F(ItemCallsTest, ACallThatIsSentAgainIsAnsweredAgain) {
  v1::UpsertItemsRequest request = Items({1, 2});
  request.set_request_id("monday/1");
  v1::UpsertItemsRequest trial = request;
  trial.set_validate_only(true);
  v1::UpsertItemsResponse first, again;
  ASSERT_TRUE(Call(trial, first).ok());
  ASSERT_TRUE(Call(request, first).ok());
  ASSERT_TRUE(Call(Items({1, 3}), again).ok());
  ASSERT_TRUE(Call(trial, again).ok());
  EXPECT_EQ(again.upserted(), 0u);
  ASSERT_TRUE(Call(request, again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(again.upserted(), 2u);
  EXPECT_EQ(metrics_.catalogue.upserted.Value(), 3);  // each once

  v1::RemoveItemsRequest removal;
  removal.add_item_ids(1);
  removal.set_request_id("monday/1");
  v1::RemoveItemsResponse removed;
  const absl::Status status = Call(removal, removed);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("request_id: \"monday/1\"; something else"));
  removal.set_request_id("monday/2");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Call(removal, removed).ok());
    EXPECT_EQ(removed.removed(), 1u);
  }
}

TEST_F(ItemCallsTest, SaysWhatIsKnownOfItems) {
  v1::UpsertItemsRequest upsert = Items({1});
  upsert.mutable_items(0)->set_title("one");
  v1::UpsertItemsResponse upserted;
  ASSERT_TRUE(Call(upsert, upserted).ok());
  v1::GetItemsRequest get;
  for (const uint64_t id : {uint64_t{1}, uint64_t{77}, bundled_}) {
    get.add_item_ids(id);
  }
  v1::GetItemsResponse got;
  ASSERT_TRUE(Call(get, got).ok());
  ASSERT_EQ(got.items_size(), 2);
  EXPECT_EQ(got.items(0).title(), "one");
  EXPECT_EQ(got.items(0).first_version(), 1u);
  ASSERT_EQ(got.items(0).known_to_size(), 1);
  EXPECT_EQ(got.items(0).known_to(0).model_name(), "m");
  EXPECT_EQ(got.items(1).item_id(), bundled_);
  EXPECT_EQ(got.items(1).first_version(), 0u);
}

TEST_F(ItemCallsTest, ListsPageByPage) {
  v1::UpsertItemsResponse upserted;
  ASSERT_TRUE(Call(Items({0, 9, 5}), upserted).ok());
  std::string next;
  EXPECT_THAT(Page("", next), ElementsAre(0, 5));
  // One that comes meanwhile moves no other across the border.
  ASSERT_TRUE(Call(Items({3, 7}), upserted).ok());
  EXPECT_THAT(Page(next, next), ElementsAre(7, 9));
  EXPECT_THAT(Page(next, next), ElementsAre());
  EXPECT_EQ(next, "");
  v1::ListItemsRequest request;
  request.set_page_token("x");
  v1::ListItemsResponse response;
  const absl::Status status = Call(request, response);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("page_token: \"x\"; is not of a reply"));
}

TEST_F(ItemCallsTest, NamesAModelThatIsNotServed) {
  v1::UpsertItemsRequest request = Items({1});
  request.set_model_version(8);
  v1::UpsertItemsResponse response;
  EXPECT_EQ(Call(request, response).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(metrics_.catalogue.refused.Value(), 1);
}

}  // namespace
}  // namespace qlarank::testing
