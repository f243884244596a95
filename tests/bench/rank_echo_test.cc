// What servers are held to answers what a server would, to the same client.
#include "bench/load/rank_echo.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "bench/load/load_run.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::bench {
namespace {

constexpr uint32_t kCandidates = 2'000;

class RankEchoTest : public ::testing::TestWithParam<RankEcho::Answers> {
 protected:
  RankEchoTest() {
    auto echo = RankEcho::Start(kCandidates, GetParam());
    EXPECT_TRUE(echo.ok()) << echo.status();
    echo_ = *std::move(echo);
  }

  std::string address() const {
    return absl::StrCat("127.0.0.1:", echo_->port());
  }

  std::unique_ptr<RankEcho> echo_;
};

v1::RankResponse RankAt(v1::RankService::StubInterface& rank) {
  v1::RankRequest request;
  request.set_user_id("user-1");
  for (uint32_t i = 0; i < kCandidates; ++i) request.add_item_ids(1 + i);
  grpc::ClientContext context;
  v1::RankResponse response;
  const grpc::Status status = rank.Rank(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

TEST_P(RankEchoTest, AnswersAreOfTheSizeOfAServers) {
  const auto stub = v1::RankService::NewStub(
      grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
  const v1::RankResponse response = RankAt(*stub);
  EXPECT_EQ(response.scores_size(), kCandidates);
  testing::TestServer server(
      testing::TestOptions(testing::GoldenModel("all_l1_plain")));
  v1::RankResponse served = RankAt(server.rank());
  served.clear_unknown_items();  // a bigger model knows all of them
  // But for names, and what a user without events does not have.
  EXPECT_NEAR(static_cast<double>(response.ByteSizeLong()),
              static_cast<double>(served.ByteSizeLong()), 100);
}

TEST_P(RankEchoTest, AnswersTheLoadGenerator) {
  LoadRun::Options options;
  options.server = address();
  options.population = {"user-", /*users=*/5, /*items=*/100};
  options.warm_up = absl::Milliseconds(20);
  options.duration = absl::Milliseconds(200);
  const auto report =
      LoadRun(options, {{"a", /*open=*/false, 4, kCandidates}}).Run();
  ASSERT_TRUE(report.ok()) << report.status();
  const auto& flow = (*report)["flows"][0];
  EXPECT_GT(flow["completed"], 0);
  EXPECT_EQ(flow["errors"].size(), 0) << flow["errors"];
}

INSTANTIATE_TEST_SUITE_P(
    All, RankEchoTest,
    ::testing::Values(RankEcho::Answers::kAtOnce,
                      RankEcho::Answers::kFromAnotherThread),
    [](const ::testing::TestParamInfo<RankEcho::Answers>& info) {
      return info.param == RankEcho::Answers::kAtOnce ? "AtOnce"
                                                      : "FromAnotherThread";
    });

}  // namespace
}  // namespace qlarank::bench
