#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/load/flow.h"
#include "bench/load/latencies.h"
#include "bench/load/prepared_requests.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank::bench {
namespace {

using ::testing::HasSubstr;

TEST(FlowTest, ReadsOpenAndClosedFlows) {
  const auto open = ParseFlow("small:open:12.5:50");
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(open->name, "small");
  EXPECT_TRUE(open->open);
  EXPECT_EQ(open->amount, 12.5);
  EXPECT_EQ(open->candidates, 50);
  const auto closed = ParseFlow("large:closed:4:5000");
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_FALSE(closed->open);
  EXPECT_EQ(closed->amount, 4);
}

TEST(FlowTest, RefusesWhatCannotBeSentByItsPart) {
  const std::pair<const char*, const char*> cases[] = {
      {"small:open:12", "expected NAME"},
      {":open:12:50", "no name"},
      {"a:half:12:50", "\"half\""},
      {"a:open:fast:50", "\"fast\" is not a rate"},
      {"a:open:-1:50", "\"-1\" is not a rate"},
      {"a:open:inf:50", "\"inf\" is not a rate"},
      {"a:closed:1.5:50", "\"1.5\" is not a number of requests"},
      {"a:closed:1:0", "\"0\" is not a number of candidates"}};
  for (const auto& [text, message] : cases) {
    const auto flow = ParseFlow(text);
    ASSERT_FALSE(flow.ok()) << text;
    EXPECT_THAT(flow.status().message(), HasSubstr(message));
  }
}

TEST(LatenciesTest, AQuantileIsAValueThatSoManyDoNotExceed) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(Quantile(values, 0.5), 5);
  EXPECT_EQ(Quantile(values, 0.9), 9);
  EXPECT_EQ(Quantile(values, 0.99), 10);
  EXPECT_EQ(Quantile(values, 0), 1);
  EXPECT_EQ(Quantile({7}, 0.5), 7);
}

TEST(LatenciesTest, CountsErrorsApartFromAnswers) {
  Latencies latencies;
  EXPECT_TRUE(latencies.ToJson()["latency_ms"].is_null());
  latencies.Failed("8: full");
  latencies.Answered(absl::Milliseconds(3));
  latencies.Answered(absl::Milliseconds(1));
  latencies.Failed("8: full");
  const auto json = latencies.ToJson();
  EXPECT_EQ(json["completed"], 2);
  EXPECT_EQ(json["errors"]["8: full"], 2);
  EXPECT_EQ(json["latency_ms"]["p50"], 1);
  EXPECT_EQ(json["latency_ms"]["max"], 3);
  EXPECT_EQ(json["latency_ms"]["mean"], 2);
}

v1::RankRequest Parsed(const std::string& framed) {
  constexpr size_t kPrefixBytes = 5;
  v1::RankRequest request;
  EXPECT_EQ(framed.substr(0, 3), std::string(3, '\0'));  // plain, below 64 KiB
  EXPECT_EQ(static_cast<uint8_t>(framed[3]) * 256 +
                static_cast<uint8_t>(framed[4]),
            framed.size() - kPrefixBytes);
  EXPECT_TRUE(request.ParseFromString(framed.substr(kPrefixBytes)));
  return request;
}

TEST(PreparedRequestsTest, AreRankRequestsOfThePopulation) {
  PreparedRequests requests({"u", /*users=*/2, /*items=*/3, 1'600'000'000},
                            /*candidates=*/40, /*count=*/20, /*seed=*/1);
  std::set<std::string> users;
  for (size_t i = 0; i < requests.size(); ++i) {
    const v1::RankRequest request = Parsed(requests.Next());
    users.insert(request.user_id());
    ASSERT_EQ(request.item_ids_size(), 40);
    for (uint64_t item : request.item_ids()) {
      EXPECT_GE(item, 1);
      EXPECT_LE(item, 3);
    }
    EXPECT_EQ(request.request_time().seconds(), 1'600'000'000);
  }
  EXPECT_EQ(users, (std::set<std::string>{"u0", "u1"}));
}

TEST(PreparedRequestsTest, AreOfTheItemsThatAreGiven) {
  Population population;
  population.item_ids = {7, 900};
  PreparedRequests requests(population, /*candidates=*/40, /*count=*/1,
                            /*seed=*/1);
  const v1::RankRequest request = Parsed(requests.Next());
  EXPECT_EQ(std::set<uint64_t>(request.item_ids().begin(),
                               request.item_ids().end()),
            (std::set<uint64_t>{7, 900}));
}

}  // namespace
}  // namespace qlarank::bench
