// Items come and go while a server serves: known to the next ranking, as of
// their time to every fold, whatever is restarted, rebuilt or loaded later.
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "server/catalogue/live_catalogue.h"
#include "server/memory_budget.h"
#include "server/models/load_engine.h"
#include "server/rebuild_command.h"
#include "server/services.h"
#include "tests/integration/test_server.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kNew = 4'000'000'001;  // no bundle has it

class CatalogueServedTest : public ::testing::Test {
 protected:
  CatalogueServedTest() {
    options_.models[0].name = "m";
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.store.snapshot_interval_events = 1;
    options_.model_base_path = dir_.Path("bundles");
    std::filesystem::create_directories(dir_.Path("bundles/m"));
    Restart();
  }

  void Restart() {
    server_ = nullptr;
    server_ = std::make_unique<TestServer>(options_);
  }

  // An upsert of items that look like the k-th of the bundle.
  v1::UpsertItemsRequest Like(const std::vector<uint64_t>& ids, size_t k) {
    const size_t width = bundle_->spec().d_model();
    const float* row =
        bundle_->tensor("item_embedding").data() + (k + 1) * width;
    v1::UpsertItemsRequest request;
    for (const uint64_t id : ids) {
      v1::UpsertedItem& item = *request.add_items();
      item.set_item_id(id);
      item.mutable_embedding()->Add(row, row + width);
      item.set_bias(bundle_->tensor("item_bias")[k + 1]);
    }
    return request;
  }
  v1::UpsertItemsResponse Upsert(const v1::UpsertItemsRequest& request) {
    grpc::ClientContext context;
    v1::UpsertItemsResponse response;
    const grpc::Status status =
        server_->model_admin().UpsertItems(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  void Remove(uint64_t id) {
    grpc::ClientContext context;
    v1::RemoveItemsRequest request;
    request.add_item_ids(id);
    v1::RemoveItemsResponse response;
    const grpc::Status status =
        server_->model_admin().RemoveItems(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  // One event of an item, the n-th of the user's.
  void AppendItem(const std::string& user, uint64_t n, uint64_t item) {
    v1::AppendEventsRequest request = MakeAppend(*bundle_, user, n, n);
    request.mutable_events(0)->mutable_event()->set_item_id(item);
    const auto appended = server_->Append(request);
    ASSERT_TRUE(appended.ok()) << appended.status();
  }
  v1::RankResponse Rank(const std::string& user, uint64_t events,
                        const std::vector<uint64_t>& items,
                        uint64_t version = 0) {
    v1::RankRequest request = MakeRank(*bundle_, user, items);
    request.set_min_event_count(events);
    request.set_model_version(version);
    request.set_top_k(items.size());
    const auto response = server_->Rank(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::RankResponse());
  }
  static std::vector<float> ScoresOf(const v1::RankResponse& response,
                                     size_t candidate) {
    const size_t tasks = response.tasks_size();
    const float* scores = response.scores().data() + candidate * tasks;
    return {scores, scores + tasks};
  }
  std::string StateOf(const std::string& user, uint64_t events) {
    const auto state = server_->GetState(user, events);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? state->serialized_state() : "";
  }

  const TempDir dir_;
  ServerOptions options_ = TestOptions(GoldenModel("memory_all_l2_seeds"));
  const std::shared_ptr<const Bundle> bundle_ =
      LoadGolden(GoldenModel("memory_all_l2_seeds"));
  const std::vector<uint64_t> items_ = CatalogueItems(*bundle_, 3);
  std::unique_ptr<TestServer> server_;
};

TEST_F(CatalogueServedTest, TheNextRankingKnowsAnItem) {
  ASSERT_TRUE(server_->Append(MakeAppend(*bundle_, "ann", 1, 5)).ok());
  const v1::RankResponse before = Rank("ann", 5, {items_[1], kNew});
  EXPECT_THAT(before.unknown_items(), ElementsAre(1));
  EXPECT_EQ(Upsert(Like({kNew}, 1)).catalogue_version(), 1u);
  const v1::RankResponse after = Rank("ann", 5, {items_[1], kNew});
  EXPECT_THAT(after.unknown_items(), IsEmpty());
  EXPECT_EQ(ScoresOf(after, 0), ScoresOf(before, 0));
  EXPECT_NE(ScoresOf(after, 1), ScoresOf(before, 1));
  EXPECT_EQ(server_->Metric("qlarank_catalogue_version"), 1);
  Restart();
  const v1::RankResponse later = Rank("ann", 5, {items_[1], kNew});
  EXPECT_THAT(later.unknown_items(), IsEmpty());
  EXPECT_EQ(ScoresOf(later, 0), ScoresOf(before, 0));
  EXPECT_EQ(ScoresOf(later, 1), ScoresOf(after, 1));
}

TEST_F(CatalogueServedTest, EventsKeepWhatWasKnownWhenTheyCame) {
  for (uint64_t n = 1; n <= 4; ++n) AppendItem("early", n, kNew);
  const std::string early = StateOf("early", 4);
  Upsert(Like({kNew}, 1));
  for (uint64_t n = 1; n <= 4; ++n) AppendItem("late", n, kNew);
  const std::string late = StateOf("late", 4);
  EXPECT_NE(early, late);
  AppendItem("mixed", 1, kNew);
  Upsert(Like({kNew}, 2));
  AppendItem("mixed", 2, kNew);
  const std::string mixed = StateOf("mixed", 2);

  const auto expect_same = [&](absl::string_view when) {
    EXPECT_EQ(StateOf("early", 4), early) << when;
    EXPECT_EQ(StateOf("late", 4), late) << when;
    EXPECT_EQ(StateOf("mixed", 2), mixed) << when;
  };
  expect_same("at once");
  Restart();
  expect_same("after a restart");
  server_ = nullptr;
  ASSERT_TRUE(RebuildConfiguredStates(options_).ok());
  {
    const auto store = OpenConfiguredStore(options_.store);
    ASSERT_TRUE(store.ok()) << store.status();
    Metrics metrics;
    const auto catalogue = LiveCatalogue::Open(**store, metrics.catalogue);
    std::shared_ptr<const Engine> engine = *LoadEngine(options_.models[0]);
    ASSERT_TRUE((*catalogue)->Join("m", 1, engine).ok());
    const auto stamps = [&](const std::string& user) {
      std::vector<uint64_t> versions;
      const auto events = (*store)->ReadEvents(user, 1, 10);
      EXPECT_TRUE(events.ok()) << events.status();
      for (const LoggedEvent& event : *events) {
        versions.push_back(event.catalogue_version);
      }
      return versions;
    };
    EXPECT_THAT(stamps("early"), ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(stamps("late"), ElementsAre(1, 1, 1, 1));
    EXPECT_THAT(stamps("mixed"), ElementsAre(1, 2));
    EXPECT_EQ(*FreshFold(*engine, **store, "early", 4), early);
    EXPECT_EQ(*FreshFold(*engine, **store, "late", 4), late);
    EXPECT_EQ(*FreshFold(*engine, **store, "mixed", 2), mixed);
  }
  server_ = std::make_unique<TestServer>(options_);
  expect_same("after a rebuild");
}

// QLARANK_CATALOGUE_ITEMS in the environment says how many (100,000).
uint64_t ManyItems() {
  const char* value = std::getenv("QLARANK_CATALOGUE_ITEMS");
  return value == nullptr ? 100'000 : std::strtoull(value, nullptr, 10);
}

TEST_F(CatalogueServedTest, ManyUpsertsChangeNothingElse) {
  constexpr uint64_t kEvents = 20;
  constexpr uint64_t kBlock = 5000;
  const uint64_t blocks = (ManyItems() + kBlock - 1) / kBlock;
  options_.models[0].max_added_items = blocks * kBlock;
  Restart();
  for (const char* user : {"ann", "bob"}) {
    ASSERT_TRUE(server_->Append(MakeAppend(*bundle_, user, 1, kEvents)).ok());
  }
  const std::string ann = StateOf("ann", kEvents);
  const v1::RankResponse bob = Rank("bob", kEvents, items_);
  const absl::Time begin = absl::Now();
  for (uint64_t block = 0; block < blocks; ++block) {
    std::vector<uint64_t> ids;
    for (uint64_t i = 0; i < kBlock; ++i) {
      ids.push_back(kNew + block * kBlock + i);
    }
    EXPECT_EQ(Upsert(Like(ids, block % 3)).upserted(), kBlock);
  }
  std::cout << blocks * kBlock << " upserts in " << absl::Now() - begin
            << std::endl;
  EXPECT_EQ(Upsert(Like({kNew}, 0)).unchanged(), 1u);
  EXPECT_EQ(server_->Metric(
                "qlarank_catalogue_added_rows{model=\"m\",version=\"1\"}"),
            static_cast<double>(blocks * kBlock));
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    EXPECT_EQ(StateOf("ann", kEvents), ann);
    const v1::RankResponse after = Rank("bob", kEvents, items_);
    for (size_t c = 0; c < items_.size(); ++c) {
      EXPECT_EQ(ScoresOf(after, c), ScoresOf(bob, c));
    }
  }
}

TEST_F(CatalogueServedTest, RemovedItemsAreFlaggedAndNotInTheOrder) {
  Upsert(Like({kNew}, 1));
  ASSERT_TRUE(server_->Append(MakeAppend(*bundle_, "ann", 1, 5)).ok());
  const std::vector<uint64_t> candidates = {items_[0], kNew, items_[1]};
  const v1::RankResponse before = Rank("ann", 5, candidates);
  EXPECT_THAT(before.removed_items(), IsEmpty());
  EXPECT_EQ(before.order_size(), 3);
  Remove(kNew);
  Remove(items_[1]);
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    const v1::RankResponse response = Rank("ann", 5, candidates);
    EXPECT_THAT(response.removed_items(), ElementsAre(1, 2));
    EXPECT_THAT(response.order(), ElementsAre(0));
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(ScoresOf(response, c), ScoresOf(before, c));
    }
  }
  v1::UpsertItemsRequest back;
  back.add_items()->set_item_id(kNew);
  Upsert(back);
  EXPECT_THAT(Rank("ann", 5, candidates).removed_items(), ElementsAre(2));
}

TEST_F(CatalogueServedTest, AVersionThatIsLoadedLaterKnowsItToo) {
  AppendItem("early", 1, kNew);
  AppendItem("early", 2, items_[0]);
  Upsert(Like({kNew}, 1));
  AppendItem("late", 1, kNew);
  AppendItem("late", 2, items_[0]);
  std::filesystem::copy(options_.models[0].path, dir_.Path("bundles/m/2"));
  v1::LoadModelRequest load;
  load.set_model_name("m");
  load.set_model_version(2);
  v1::LoadModelResponse loaded;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->model_admin().LoadModel(&context, load, &loaded).ok());
  EXPECT_EQ(loaded.model().added_items(), 1u);
  Upsert(Like({kNew + 1}, 2));
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    for (const char* user : {"early", "late"}) {
      const std::vector<uint64_t> candidates = {kNew, kNew + 1, items_[2]};
      const v1::RankResponse first = Rank(user, 2, candidates, 1);
      const v1::RankResponse second = Rank(user, 2, candidates, 2);
      EXPECT_THAT(second.unknown_items(), IsEmpty());
      for (size_t c = 0; c < candidates.size(); ++c) {
        EXPECT_EQ(ScoresOf(second, c), ScoresOf(first, c)) << user << " " << c;
      }
    }
  }
}

TEST_F(CatalogueServedTest, ThePlanHasRoomForAddedRows) {
  const auto bundles_bytes = [this](uint64_t most_added_rows) {
    options_.models[0].max_added_items = most_added_rows;
    const auto plan = PlanMemoryForBundles(options_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? plan->bundles_bytes : 0;
  };
  const auto of_rows = [this](uint64_t rows) {
    return Catalogue::MostBytes(bundle_->spec(), rows,
                                options_.models[0].item_share_bytes);
  };
  constexpr uint64_t kRows = 1'000'000;
  EXPECT_EQ(bundles_bytes(kRows) - bundles_bytes(0),
            of_rows(kRows) - of_rows(0));
  EXPECT_GT(of_rows(kRows), kRows * bundle_->spec().d_model() * sizeof(float));
}

TEST_F(CatalogueServedTest, ItemsComeWhileEventsAndRankingsDo) {
  std::atomic<bool> stop = false;
  std::array<uint64_t, 2> events = {0, 0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&, i, user = absl::StrCat("user-", i)] {
      while (!stop || events[i] < 40) {
        const uint64_t n = ++events[i];
        AppendItem(user, n, kNew + n % 50);
        Rank(user, n, {kNew, kNew + n % 50, items_[0]});
      }
    });
  }
  for (uint64_t i = 0; i < 50; ++i) Upsert(Like({kNew + i, kNew + 99}, i % 3));
  stop = true;
  for (std::thread& client : clients) client.join();
  std::vector<std::string> states;
  for (int i = 0; i < 2; ++i) {
    states.push_back(StateOf(absl::StrCat("user-", i), events[i]));
  }
  server_ = nullptr;
  ASSERT_TRUE(RebuildConfiguredStates(options_).ok());
  server_ = std::make_unique<TestServer>(options_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(StateOf(absl::StrCat("user-", i), events[i]), states[i]);
  }
}

}  // namespace
}  // namespace qlarank::testing
