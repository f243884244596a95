#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cli/contenders.h"
#include "cli/evaluation_data.h"
#include "cli/event_history.h"
#include "cli/ranking_quality.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;
using Items = std::vector<uint64_t>;

std::map<std::string, double> Values(const RankingQuality& quality) {
  std::map<std::string, double> values;
  for (const RankingQuality::Measure& measure : quality.Measures()) {
    values[measure.name] = measure.value;
  }
  return values;
}

TEST(RankingQualityTest, AveragesOverUsers) {
  RankingQuality quality(2);
  quality.Add({1, 2, 3}, {3});  // found, but below the cut
  EXPECT_FALSE(quality.many_relevant());
  quality.Add({1, 2, 3}, {2, 9});  // second of two
  EXPECT_TRUE(quality.many_relevant());
  std::map<std::string, double> values = Values(quality);
  EXPECT_DOUBLE_EQ(values["hit"], 0.5);
  EXPECT_DOUBLE_EQ(values["precision"], 0.25);
  EXPECT_DOUBLE_EQ(values["recall"], 0.25);
  double second = 1 / std::log2(3.0);
  EXPECT_DOUBLE_EQ(values["ndcg"], second / (1 + second) / 2);
}

TEST(RankingQualityTest, APerfectRankingHasNdcgOne) {
  RankingQuality quality(10);
  quality.Add({5, 7, 1}, {5, 7});
  EXPECT_DOUBLE_EQ(Values(quality)["ndcg"], 1);
}

TEST(MeanTest, HasTheErrorOfItsSample) {
  Mean mean;
  EXPECT_TRUE(std::isnan(mean.value()));
  std::vector<double> values;
  for (int i = 0; i < 50; ++i) {
    values.push_back(1e6 + std::sin(i));
    mean.Add(values.back());
    if (i == 0) {
      EXPECT_TRUE(std::isnan(mean.standard_error()));
    }
  }
  double sum = 0;
  for (double value : values) sum += value;
  double squares = 0;
  for (double value : values) squares += std::pow(value - sum / 50, 2);
  EXPECT_DOUBLE_EQ(mean.value(), sum / 50);
  EXPECT_NEAR(mean.standard_error(), std::sqrt(squares / 49 / 50), 1e-9);
}

TEST(PercentileTest, IsAnObservedValue) {
  std::vector<absl::Duration> sorted;
  for (int i = 1; i <= 200; ++i) sorted.push_back(absl::Milliseconds(i));
  EXPECT_EQ(Percentile(sorted, 0.5), absl::Milliseconds(100));
  EXPECT_EQ(Percentile(sorted, 0.99), absl::Milliseconds(198));
  EXPECT_EQ(Percentile(sorted, 1), absl::Milliseconds(200));
  EXPECT_EQ(Percentile({absl::Seconds(1)}, 0.5), absl::Seconds(1));
}

constexpr char kHistory[] =
    "user,item,time\n"
    "ann,1,10\nann,1,11\n"
    "ann,2,12\nann,3,13\n"
    "bob,4,14\nbob,4,15\n"
    "bob,4,16\nbob,2,17\n";

TEST(EvaluationDataTest, TheNextBasketHoldsTheItemsOfTheEarliestTimeOnce) {
  auto data = LoadNextBaskets(WriteFile("train.csv", kHistory),
                              WriteFile("heldout.csv",
                                        "user,item,time\n"
                                        "ann,8,150\n"
                                        "ann,3,100\nann,1,100\n"
                                        "bob,5,101\nann,3,100\n"
                                        "ann,9,200\neve,1,100\n"),
                              EventFormat());
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->cases.size(), 2U);
  EXPECT_EQ(data->cases[0].user, "ann");
  EXPECT_THAT(data->cases[0].items, ElementsAre(1, 3));
  EXPECT_EQ(data->cases[0].time.seconds(), 100);
  EXPECT_EQ(data->cut, absl::FromUnixSeconds(100));
  EXPECT_THAT(data->cases[1].items, ElementsAre(5));
  EXPECT_EQ(data->users_without_history, 1U);  // eve
  EXPECT_FALSE(data->unseen_only);
}

// As the trainer does: data.split = "last".
TEST(EvaluationDataTest, LeaveLastOutGoesByTime) {
  auto data = LoadLeaveLastOut(WriteFile("events.csv",
                                         "user,item,time\n"
                                         "ann,3,30\nbob,5,10\nann,1,20\n"
                                         "bob,6,9\n"),
                               EventFormat());
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->cases.size(), 2U);
  EXPECT_THAT(data->cases[0].items, ElementsAre(3));
  EXPECT_THAT(data->cases[1].items, ElementsAre(5));
}

TEST(EvaluationDataTest, LeaveLastOutOfEqualTimesTakesTheLastLine) {
  auto data = LoadLeaveLastOut(WriteFile("events.csv",
                                         "user,item,time\n"
                                         "bob,5,10\nann,1,20\nbob,6,10\n"
                                         "ann,2,20\neve,7,5\nann,2,20\n"),
                               EventFormat());
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->cases.size(), 2U);
  EXPECT_THAT(data->cases[0].items, ElementsAre(2));
  EXPECT_EQ(data->cases[0].time.seconds(), 20);
  EXPECT_TRUE(data->history.HasItem("ann", 2));  // they had it before, too
  EXPECT_EQ(data->history.NumItems("ann"), 2U);
  EXPECT_THAT(data->cases[1].items, ElementsAre(6));
  EXPECT_FALSE(data->history.HasItem("bob", 6));
  EXPECT_EQ(data->users_without_history, 1U);  // eve has one event
  EXPECT_TRUE(data->unseen_only);
}

TEST(EventHistoryTest, CountsEventsOfUsersAndOfItems) {
  EventHistory history;
  absl::Status status =
      ForEachEvent(WriteFile("train.csv", kHistory), EventFormat(),
                   [&](const v1::UserEvent& event) { history.Add(event); });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(history.NumEvents("ann"), 4U);
  EXPECT_EQ(history.NumItems("ann"), 3U);
  EXPECT_EQ(history.Newest("ann"), absl::FromUnixSeconds(13));
  EXPECT_EQ(history.NumEvents("eve"), 0U);
  EXPECT_EQ(history.Newest("eve"), absl::InfinitePast());
  EXPECT_THAT(history.CountItems(absl::FromUnixSeconds(12)),
              UnorderedElementsAre(Pair(2, 2), Pair(3, 1), Pair(4, 3)));
}

TEST(ContendersTest, TellRepeatsFromFirstTimes) {
  EvaluationData data;
  data.cut = absl::FromUnixSeconds(100);
  std::vector<RankJob> jobs;
  // Ann takes 1 again and 5 for the first time, Bob 4 again, Eve 9 and 3, which
  // Bob had.
  for (const auto& [user, had, came, ranked] :
       std::vector<std::tuple<std::string, Items, Items, Items>>{
           {"ann", {1, 2}, {1, 5}, {5, 1}},
           {"bob", {3, 4}, {4}, {3, 4}},
           {"eve", {6}, {3, 9}, {6, 8}}}) {
    for (uint64_t item : had) {
      v1::UserEvent event;
      event.set_user_id(user);
      event.mutable_event()->set_item_id(item);
      event.mutable_event()->mutable_time()->set_seconds(50);
      data.history.Add(event);
    }
    data.cases.push_back({.user = user, .time = {}, .items = came});
    jobs.emplace_back().ranking.items = ranked;
  }
  const std::vector<Contender> contenders =
      CompareContenders(data, jobs, {2}, absl::Hours(24));
  std::vector<std::string> names;
  for (const Contender& each : contenders) names.push_back(each.name);
  EXPECT_THAT(names,
              ElementsAre("popularity", "recent popularity", "own counts",
                          "own decayed counts", "qlarank"));
  const Contender& served = contenders.back();
  EXPECT_EQ(served.all[0].users(), 3U);
  EXPECT_DOUBLE_EQ(Values(served.all[0])["hit"], 2.0 / 3);
  EXPECT_EQ(served.repeat[0].users(), 2U);
  EXPECT_DOUBLE_EQ(Values(served.repeat[0])["hit"], 1);
  EXPECT_DOUBLE_EQ(Values(served.repeat[0])["ndcg"], 1 / std::log2(3.0));
  EXPECT_EQ(served.first_time[0].users(), 2U);
  EXPECT_DOUBLE_EQ(Values(served.first_time[0])["ndcg"], 0.5);
  // Nobody had 5 or 9.
  EXPECT_EQ(served.new_item[0].users(), 2U);
  EXPECT_DOUBLE_EQ(Values(served.new_item[0])["ndcg"], 0.5);
}

}  // namespace
}  // namespace qlarank
