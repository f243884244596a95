// What is told of models over a socket, and whether it is enough to rank.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "server/metrics/version.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ModelTest : public ::testing::Test {
 protected:
  ModelTest() {
    options_.models[0].name = "shop";
    options_.models[0].version = 3;
    for (const uint64_t version : {10, 9}) {
      ModelOptions& model = options_.models.emplace_back(GoldenModel());
      model.name = "garden";
      model.version = version;
      model.default_model = false;
    }
    options_.limits.max_candidates = 20;
    options_.limits.max_recent_events = 2;
    server_ = std::make_unique<TestServer>(options_);
  }

  grpc::Status Get(const std::string& name, uint64_t version,
                   v1::GetModelResponse& response) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model_name(name);
    request.set_model_version(version);
    return server_->model().GetModel(&context, request, &response);
  }

  grpc::Status List(const v1::ListModelsRequest& request,
                    v1::ListModelsResponse& response) {
    grpc::ClientContext context;
    return server_->model().ListModels(&context, request, &response);
  }

  static std::vector<std::string> Names(const v1::ListModelsResponse& list) {
    std::vector<std::string> names;
    for (const v1::Model& model : list.models()) {
      names.push_back(absl::StrCat(model.name(), "/", model.version()));
    }
    return names;
  }

  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--server",
                      absl::StrCat("127.0.0.1:", server_->grpc_port()),
                      "model"});
    return RunCli(std::move(arguments));
  }

  ServerOptions options_ = TestOptions();
  std::unique_ptr<TestServer> server_;
};

TEST_F(ModelTest, ListsWhatIsServedPageByPage) {
  v1::ListModelsRequest request;
  v1::ListModelsResponse list;
  grpc::Status status = List(request, list);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Names(list), ElementsAre("garden/9", "garden/10", "shop/3"));
  EXPECT_EQ(list.server_version(), BuildVersion());
  EXPECT_EQ(list.models(2).state(), v1::MODEL_STATE_SERVING);
  EXPECT_TRUE(list.models(2).is_default());
  EXPECT_FALSE(list.models(2).has_schema());

  request.set_page_size(2);
  list.Clear();
  ASSERT_TRUE(List(request, list).ok());
  EXPECT_THAT(Names(list), ElementsAre("garden/9", "garden/10"));
  request.set_page_token(list.next_page_token());
  list.Clear();
  ASSERT_TRUE(List(request, list).ok());
  EXPECT_THAT(Names(list), ElementsAre("shop/3"));
  EXPECT_EQ(list.next_page_token(), "");

  // The token is of the list of all.
  request.set_model_name("garden");
  status = List(request, list);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("page_token: "));
  request.set_page_token("3");
  EXPECT_EQ(List(request, list).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.clear_page_token();
  list.Clear();
  ASSERT_TRUE(List(request, list).ok());
  EXPECT_THAT(Names(list), ElementsAre("garden/9", "garden/10"));
  request.set_model_name("no-such-model");
  list.Clear();
  ASSERT_TRUE(List(request, list).ok());
  EXPECT_TRUE(list.models().empty());
}

TEST_F(ModelTest, FindsAModelAsRankDoes) {
  const auto bundle = LoadGolden(options_.models[0]);
  for (const auto& [name, version] :
       std::vector<std::pair<std::string, uint64_t>>{
           {"", 0}, {"", 3}, {"shop", 0}, {"garden", 0}, {"garden", 9}}) {
    v1::GetModelResponse found;
    const grpc::Status status = Get(name, version, found);
    ASSERT_TRUE(status.ok()) << status.error_message();
    v1::RankRequest rank = MakeRank(*bundle, "ann", CatalogueItems(*bundle, 1));
    rank.set_model_name(name);
    rank.set_model_version(version);
    const auto ranked = server_->Rank(rank);
    ASSERT_TRUE(ranked.ok()) << ranked.status();
    EXPECT_EQ(found.model().name(), ranked->model_name());
    EXPECT_EQ(found.model().version(), ranked->model_version());
    EXPECT_EQ(found.model().is_default(), ranked->model_name() == "shop");
  }
  v1::GetModelResponse none;
  grpc::Status status = Get("shp", 0, none);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), StartsWith("model_name: \"shp\""));
  status = Get("garden", 8, none);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), StartsWith("model_version: 8"));
  EXPECT_FALSE(none.has_model());
}

// A request that is made of nothing but the schema and the limits is a good
// one, and with one more of anything it is not.
TEST_F(ModelTest, TheSchemaIsEnoughToRank) {
  v1::GetModelResponse found;
  ASSERT_TRUE(Get("garden", 0, found).ok());
  const v1::ModelSchema& schema = found.model().schema();
  v1::RankRequest request;
  request.set_user_id(std::string(found.limits().max_user_id_bytes(), 'u'));
  request.set_model_name(found.model().name());
  request.set_model_version(found.model().version());
  for (uint32_t i = 0; i < found.limits().max_candidates(); ++i) {
    request.add_item_ids(i);
    for (int f = 0; f < schema.candidate_features_size(); ++f) {
      request.add_candidate_features(0.5F);
    }
  }
  for (const v1::ModelSchema::ContextFeature& feature :
       schema.context_features()) {
    (*request.mutable_context())[feature.name()] = feature.values(0);
  }
  for (uint32_t i = 0; i < found.limits().max_recent_events(); ++i) {
    v1::Event& event = *request.add_recent_events();
    event.set_item_id(1);
    event.set_action(schema.actions(i % schema.actions_size()));
    event.mutable_time()->set_seconds(kEpochUs / 1'000'000);
    for (int f = 0; f < schema.event_features_size(); ++f) {
      event.add_features(0.5F);
    }
  }
  for (const v1::ModelSchema::Task& task : schema.tasks()) {
    request.add_tasks(task.name());
    request.add_value_weights(task.value_weight());
  }
  const auto ranked = server_->Rank(request);
  ASSERT_TRUE(ranked.ok()) << ranked.status();
  EXPECT_EQ(ranked->scores_size(),
            request.item_ids_size() * schema.tasks_size());

  const auto refused = [&](const v1::RankRequest& spoiled) {
    return std::string(server_->Rank(spoiled).status().message());
  };
  v1::RankRequest spoiled = request;
  spoiled.mutable_user_id()->push_back('u');
  EXPECT_THAT(refused(spoiled), StartsWith("user_id: "));
  spoiled = request;
  spoiled.add_item_ids(1);
  EXPECT_THAT(refused(spoiled), StartsWith("item_ids: "));
  spoiled = request;
  *spoiled.add_recent_events() = request.recent_events(0);
  EXPECT_THAT(refused(spoiled), StartsWith("recent_events: "));
}

TEST_F(ModelTest, CallersLearnNothingOfTheStoreOrOfUsers) {
  const auto bundle = LoadGolden(options_.models[0]);
  ASSERT_TRUE(server_->Append(MakeAppend(*bundle, "annabel", 1, 4)).ok());
  v1::GetModelResponse found;
  ASSERT_TRUE(Get("", 0, found).ok());
  for (const std::string& secret :
       {std::string("annabel"), options_.models[0].path,
        bundle->spec().weights_sha256()}) {
    EXPECT_THAT(found.DebugString(), Not(HasSubstr(secret)));
  }
}

TEST_F(ModelTest, CallsAreCountedLikeOthers) {
  v1::GetModelResponse response;
  ASSERT_TRUE(Get("", 0, response).ok());
  EXPECT_FALSE(Get("none", 0, response).ok());
  const auto handled = [&](const char* code) {
    return server_->Metric(absl::StrCat(
        "grpc_server_handled_total{grpc_code=\"", code,
        "\",grpc_method=\"GetModel\",grpc_service=\"qlarank.v1.ModelService\","
        "grpc_type=\"unary\"}"));
  };
  EXPECT_EQ(handled("OK"), 1);
  EXPECT_EQ(handled("NotFound"), 1);
}

TEST_F(ModelTest, TheCommandLineShowsThem) {
  CliResult result = Run({"list"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("shop          3  yes              serving  f32"));
  result = Run({"list", "garden", "--json"});
  EXPECT_THAT(result.out, Not(HasSubstr("shop")));
  EXPECT_EQ(Run({"list", "none"}).code, ExitCode::kNegative);
  result = Run({"show"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("shop/3, the default\n"));
  EXPECT_THAT(result.out, HasSubstr("event feat.  price, rating, dwell\n"));
  result = Run({"show", "gardn"});
  EXPECT_EQ(result.code, ExitCode::kRpcError);
  EXPECT_THAT(result.err, HasSubstr("did you mean garden?"));
  EXPECT_THAT(Run({"show", "garden/8"}).err, HasSubstr("; it has 9, 10\n"));
}

}  // namespace
}  // namespace qlarank::testing
