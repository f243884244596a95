// Two models of different actions and event features, served together: neither
// has a say in what the other is told, and each folds what it does not know as
// docs/model.md section 2 says, to the bit.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/renamed_model.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kGivenEvents = 40;

// "shop", the default: view, buy, skip; price, rating, dwell. "garden": like,
// buy, view; rating, cart, price.
class VocabularyTest : public ::testing::Test {
 protected:
  VocabularyTest() { shop_.name = "shop"; }

  // The first is the default.
  void Serve(std::vector<ModelOptions> models,
             UnknownActions unknown = UnknownActions::kRefuse) {
    server_ = nullptr;
    for (size_t i = 0; i < models.size(); ++i) {
      models[i].default_model = i == 0;
    }
    ServerOptions options = TestOptions();
    options.models = models;
    options.store = store_;
    options.ingest.unknown_actions = unknown;
    server_ = std::make_unique<TestServer>(options);
  }

  // Actions of either model and of both, "" among them; price, rating, dwell.
  v1::AppendEventsRequest Events() const {
    auto request = MakeAppend(*LoadGolden(shop_), "ann", 1, kGivenEvents);
    const std::vector<std::string> actions = {"view", "like", "skip", "",
                                              "buy"};
    for (uint64_t n = 0; n < kGivenEvents; ++n) {
      request.mutable_events(n)->mutable_event()->set_action(
          actions[(n * n + n / 5) % actions.size()]);
    }
    return request;
  }

  // The same as garden alone is to be told: with its own features, and
  // `unknown` for what it does not know.
  static v1::Event ToGarden(v1::Event event, const std::string& unknown) {
    const float price = event.features(0), rating = event.features(1);
    event.clear_features();
    for (const float value : {rating, 0.0f, price}) event.add_features(value);
    if (event.action().empty()) event.set_action("view");  // shop's first
    if (event.action() == "skip") event.set_action(unknown);
    return event;
  }

  static int64_t NumWith(const std::string& action,
                         const v1::AppendEventsRequest& events) {
    return std::count_if(events.events().begin(), events.events().end(),
                         [&](const v1::UserEvent& event) {
                           return event.event().action() == action;
                         });
  }

  std::string State(const std::string& model,
                    uint64_t num_events = kGivenEvents) {
    grpc::ClientContext context;
    v1::GetUserStateRequest request;
    request.set_user_id("ann");
    request.set_model_name(model);
    request.set_include_state(true);
    request.set_min_event_count(num_events);
    v1::GetUserStateResponse response;
    const grpc::Status status =
        server_->state().GetUserState(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.state().event_count(), num_events);
    return response.serialized_state();
  }

  std::vector<float> Scores(const std::string& model,
                            const std::vector<v1::Event>& recent) {
    const auto bundle = LoadGolden(shop_);
    v1::RankRequest request =
        MakeRank(*bundle, "ann", CatalogueItems(*bundle, 20));
    request.set_model_name(model);
    request.set_min_event_count(kGivenEvents);
    *request.mutable_recent_events() = {recent.begin(), recent.end()};
    const auto ranked = server_->Rank(request);
    EXPECT_TRUE(ranked.ok()) << ranked.status();
    return {ranked->scores().begin(), ranked->scores().end()};
  }

  double Counted(const std::string& metric, const std::string& model) {
    return server_->Metric(
        absl::StrCat(metric, "{model=\"", model, "\",version=\"1\"}"));
  }

  StoreOptions store_ = TestOptions().store;
  ModelOptions shop_ = GoldenModel();
  const RenamedModel garden_{
      "garden", {"like", "buy", "view"}, {"rating", "cart", "price"}};
  std::unique_ptr<TestServer> server_;
};

TEST_F(VocabularyTest, EachModelFoldsAndRanksAsIfItWereAlone) {
  const v1::AppendEventsRequest events = Events();
  std::vector<v1::Event> recent;
  for (int i = 0; i < 20; ++i) recent.push_back(events.events(i).event());

  std::map<std::string, std::string> states;
  std::map<std::string, std::vector<float>> scores;
  Serve({shop_, garden_.options()});
  const auto appended = server_->Append(events);
  ASSERT_TRUE(appended.ok()) << appended.status();
  ASSERT_EQ(appended->applied(), kGivenEvents);
  for (const char* model : {"shop", "garden"}) {
    states[model] = State(model);
    scores[model] = Scores(model, recent);
  }
  // Those that a request caught up with are counted twice.
  EXPECT_GE(Counted("qlarank_fold_unknown_actions_total", "shop"),
            NumWith("like", events));
  EXPECT_GE(Counted("qlarank_fold_unknown_actions_total", "garden"),
            NumWith("skip", events));
  EXPECT_EQ(Counted("qlarank_fold_missing_features_total", "shop"), 0);
  EXPECT_GE(Counted("qlarank_fold_missing_features_total", "garden"),
            kGivenEvents);

  // Alone, over the log as it is.
  Serve({shop_}, UnknownActions::kAccept);
  ASSERT_EQ(server_->Append(events)->applied(), kGivenEvents);
  EXPECT_EQ(State("shop"), states["shop"]);
  EXPECT_EQ(Scores("shop", recent), scores["shop"]);

  // Alone, over the log in its own words: whatever an unknown action is called.
  Serve({garden_.options()}, UnknownActions::kAccept);
  v1::AppendEventsRequest own = events;
  for (v1::UserEvent& event : *own.mutable_events()) {
    *event.mutable_event() = ToGarden(event.event(), "jump");
  }
  for (v1::Event& event : recent) event = ToGarden(event, "jump");
  ASSERT_EQ(server_->Append(own)->applied(), kGivenEvents);
  EXPECT_EQ(State("garden"), states["garden"]);
  EXPECT_EQ(Scores("garden", recent), scores["garden"]);

  // And it is no known one that stands for an unknown one.
  Serve({garden_.options()});
  for (v1::UserEvent& event : *own.mutable_events()) {
    if (event.event().action() == "jump") {
      event.mutable_event()->set_action("like");
    }
  }
  ASSERT_EQ(server_->Append(own)->applied(), kGivenEvents);
  EXPECT_NE(State("garden"), states["garden"]);
}

TEST_F(VocabularyTest, TheOrderOfModelsDoesNotMatter) {
  ModelOptions shop = shop_;
  std::vector<std::string> states;
  for (const bool shop_first : {true, false}) {
    ServerOptions options = TestOptions();
    shop.default_model = true;
    options.models = {shop, garden_.options()};
    if (!shop_first) std::swap(options.models[0], options.models[1]);
    server_ = std::make_unique<TestServer>(options);
    ASSERT_EQ(server_->Append(Events())->applied(), kGivenEvents);
    states.push_back(State("shop") + State("garden"));
  }
  EXPECT_EQ(states[0], states[1]);
}

// A store from when shop was served alone, before garden was the default.
TEST_F(VocabularyTest, AnOldStoreIsFoldedByAModelOfOtherWords) {
  const TempDir dir;
  store_.engine = StoreEngine::kRocksDb;
  store_.path = dir.Path("db");
  v1::AppendEventsRequest events = Events();
  for (v1::UserEvent& event : *events.mutable_events()) {
    if (event.event().action() == "like") {
      event.mutable_event()->set_action("skip");
    }
  }
  Serve({shop_});
  ASSERT_EQ(server_->Append(events)->applied(), kGivenEvents);
  const std::string before = State("shop");

  Serve({garden_.options(), shop_});
  const std::string garden = State("garden");
  EXPECT_EQ(State("shop"), before);
  // An event of now is in garden's words.
  v1::AppendEventsRequest later;
  later.set_source("test");
  AddEvent(*LoadGolden(garden_.options()), "ann", kGivenEvents + 1, later);
  later.mutable_events(0)->mutable_event()->set_action("like");
  const auto appended = server_->Append(later);
  ASSERT_TRUE(appended.ok()) << appended.status();
  const std::string after = State("garden", kGivenEvents + 1);

  store_ = TestOptions().store;
  Serve({garden_.options()}, UnknownActions::kAccept);
  for (v1::UserEvent& event : *events.mutable_events()) {
    *event.mutable_event() = ToGarden(event.event(), "jump");
  }
  ASSERT_EQ(server_->Append(events)->applied(), kGivenEvents);
  EXPECT_EQ(State("garden"), garden);
  ASSERT_EQ(server_->Append(later)->applied(), 1u);
  EXPECT_EQ(State("garden", kGivenEvents + 1), after);
}

TEST_F(VocabularyTest, WhatNoModelKnowsIsRefusedByName) {
  Serve({shop_, garden_.options()});
  v1::AppendEventsRequest events = Events();
  events.set_give_up_refused(true);  // it holds nothing back
  events.mutable_events(3)->mutable_event()->set_action("jump");
  auto appended = server_->Append(events);
  ASSERT_TRUE(appended.ok()) << appended.status();
  ASSERT_EQ(appended->refusals_size(), 1);
  EXPECT_EQ(appended->refusals(0).status().message(),
            "events[3].event.action: \"jump\"; no served model has it: model "
            "\"garden\" version 1 has \"like\", \"buy\", \"view\"; model "
            "\"shop\" version 1 has \"view\", \"buy\", \"skip\"");

  Serve({shop_, garden_.options()}, UnknownActions::kAccept);
  events.set_source("second");
  EXPECT_EQ(server_->Append(events)->applied(), kGivenEvents);
  events.mutable_events(3)->mutable_event()->set_action(std::string(129, 'j'));
  events.set_source("third");
  appended = server_->Append(events);
  ASSERT_EQ(appended->refusals_size(), 1);
  EXPECT_THAT(appended->refusals(0).status().message(),
              AllOf(HasSubstr("events[3].event.action: "),
                    HasSubstr("must be at most 128 bytes")));
}

TEST_F(VocabularyTest, AnImportFollowsTheSameRule) {
  Serve({shop_, garden_.options()});
  const std::string file =
      WriteFile("events.csv",
                "user,item,action,time,price,rating,dwell\n"
                "ann,1,skip,1700000000,1,2,3\n"
                "ann,2,jump,1700000001,1,2,3\n"
                "ann,3,like,1700000002,1,2,3\n");
  const CliResult result =
      RunCli({"--server", absl::StrCat("127.0.0.1:", server_->grpc_port()),
              "import", file, "--feature-columns", "price,rating,dwell"});
  EXPECT_THAT(
      result.err,
      HasSubstr("events.csv:3: action: \"jump\"; no served model has it: model "
                "\"garden\" version 1 has \"like\", \"buy\", \"view\"; model "));
  EXPECT_EQ(server_->GetState("ann", 2)->state().event_count(), 2u);
}

}  // namespace
}  // namespace qlarank::testing
