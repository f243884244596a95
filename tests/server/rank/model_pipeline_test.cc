// Questions about models, which share the slots with all other requests.
#include "server/rank/model_pipeline.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/version.h"
#include "server/work/overload.h"
#include "tests/server/rank/rank_pipeline_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::StartsWith;

class ModelPipelineTest : public RankPipelineTest {
 protected:
  // The reply, or why there is none; keeps its slot if asked to.
  template <typename Response, typename Request>
  absl::StatusOr<Response> Ask(const Request& request,
                               std::vector<RequestSlot>* kept = nullptr) {
    Response response;
    absl::Status ended = absl::UnknownError("not ended");
    RankCall::Context context;
    context.arrival = absl::Now();
    context.client = "one";
    asked_.Start(request, response, context,
                 [&](absl::Status status, RequestSlot slot) {
                   ended = std::move(status);
                   EXPECT_EQ(static_cast<bool>(slot), ended.ok());
                   if (kept != nullptr) kept->push_back(std::move(slot));
                 });
    if (!ended.ok()) return ended;
    return response;
  }

  absl::StatusOr<v1::GetModelResponse> Get(const std::string& name,
                                           uint64_t version) {
    v1::GetModelRequest request;
    request.set_model_name(name);
    request.set_model_version(version);
    return Ask<v1::GetModelResponse>(request);
  }

  Migrations migrations_{*states_, *store_, metrics_, options_.migration};
  ModelPipeline asked_{*models_, migrations_, *scheduler_,
                       slots_,   metrics_,    options_.limits};
};

TEST_F(ModelPipelineTest, TellsOfAModelWithItsSchemaAndTheLimits) {
  const auto found = Get("", 0);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->model().name(), model().name());
  EXPECT_TRUE(found->model().is_default());
  EXPECT_EQ(found->model().schema().tasks_size(), 3);
  EXPECT_EQ(found->limits().max_candidates(), options_.limits.max_candidates);
  EXPECT_EQ(found->server_version(), BuildVersion());
  EXPECT_EQ(Get(model().name(), 1)->SerializeAsString(),
            found->SerializeAsString());
}

TEST_F(ModelPipelineTest, AListHasNoSchemas) {
  const auto list = Ask<v1::ListModelsResponse>(v1::ListModelsRequest());
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->models_size(), 1);
  EXPECT_EQ(list->models(0).name(), model().name());
  EXPECT_FALSE(list->models(0).has_schema());
  EXPECT_EQ(list->next_page_token(), "");
  EXPECT_EQ(list->server_version(), BuildVersion());
}

TEST_F(ModelPipelineTest, NamesTheFieldThatIsWrong) {
  absl::Status status = Get("other", 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), StartsWith("model_name: "));
  status = Get("", 9).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), StartsWith("model_version: 9"));
  v1::ListModelsRequest request;
  request.set_page_token("2");
  status = Ask<v1::ListModelsResponse>(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
}

// The replies that a client does not take are bounded by their share.
TEST_F(ModelPipelineTest, AReplyHoldsASlotUntilItHasLeft) {
  std::vector<RequestSlot> kept;
  absl::Status status;
  while (status.ok()) {
    ASSERT_LE(kept.size(), slots_.capacity());
    status = Ask<v1::GetModelResponse>(v1::GetModelRequest(), &kept).status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(RetryDelay(status).has_value());
  EXPECT_TRUE(absl::IsResourceExhausted(
      Ask<v1::ListModelsResponse>(v1::ListModelsRequest()).status()));
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), kept.size() - 1);
  kept.clear();
  EXPECT_TRUE(Get("", 0).ok());
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
}

}  // namespace
}  // namespace qlarank::testing
