// tests/baselines/ by the command line's baselines.
#include "cli/baselines.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using Items = std::vector<uint64_t>;

// The longest rankings of the scenario.
constexpr size_t kLength = 12;

v1::UserEvent Event(const std::string& user, uint64_t item, int64_t time_us) {
  v1::UserEvent event;
  event.set_user_id(user);
  event.mutable_event()->set_item_id(item);
  event.mutable_event()->mutable_time()->set_seconds(time_us / 1'000'000);
  event.mutable_event()->mutable_time()->set_nanos(
      static_cast<int32_t>(time_us % 1'000'000) * 1'000);
  return event;
}

Items First(Items items) {
  items.resize(std::min(items.size(), kLength));
  return items;
}

class BaselinesTest : public testing::Test {
 protected:
  // Has the scenario's events, or a few by hand, come as they are given.
  void Add(const json& events) {
    for (const json& event : events) {
      history_.Add(Event(event[0], event[1], event[2]));
    }
  }

  EventHistory history_;
};

class BaselinesScenarioTest : public BaselinesTest,
                              public testing::WithParamInterface<bool> {};

TEST_P(BaselinesScenarioTest, RanksAsBruteForceDoes) {
  std::ifstream file(QLARANK_BASELINES);
  json scenario = json::parse(file);
  std::vector<json> events = scenario["history"];
  if (GetParam()) std::shuffle(events.begin(), events.end(), std::mt19937(1));
  Add(events);
  const double days = scenario["half_life_days"];
  const Baselines baselines(
      history_, absl::FromUnixMicros(scenario["cut_us"].get<int64_t>()),
      absl::Hours(24) * days);
  const json& wanted = scenario["rankings"];
  EXPECT_EQ(First(baselines.Popularity()), wanted["popularity"].get<Items>());
  EXPECT_EQ(First(baselines.RecentPopularity()),
            wanted["recent popularity"].get<Items>());
  for (const auto& [user, ranking] : wanted["own counts"].items()) {
    EXPECT_EQ(baselines.OwnCounts(user, kLength), ranking.get<Items>()) << user;
  }
  for (const auto& [user, ranking] : wanted["own decayed counts"].items()) {
    EXPECT_EQ(baselines.OwnDecayedCounts(user, kLength), ranking.get<Items>())
        << user;
  }
  EXPECT_GT(wanted["own counts"].size(), 10U);
}

INSTANTIATE_TEST_SUITE_P(InOrderOrNot, BaselinesScenarioTest, testing::Bool());

TEST_F(BaselinesTest, SomebodyWithoutAHistoryGetsWhatIsPopular) {
  Add({{"ann", 7, 100}, {"bob", 7, 100}, {"ann", 9, 200}});
  const Baselines baselines(history_, absl::FromUnixMicros(300),
                            Baselines::kHalfLife);
  EXPECT_THAT(baselines.OwnCounts("eve", 5), ElementsAre(7, 9));
  EXPECT_THAT(baselines.OwnDecayedCounts("eve", 1), ElementsAre(7));
}

TEST_F(BaselinesTest, AnItemOfLongAgoIsStillTheUsersOwn) {
  Add({{"ann", 5, 0},
       {"ann", 6, 1'000'000'000'000},
       {"bob", 4, 0},
       {"bob", 4, 0}});
  // So many half-lives ago that its weight is 0.
  const Baselines baselines(history_, absl::UnixEpoch(), absl::Microseconds(1));
  EXPECT_THAT(baselines.OwnDecayedCounts("ann", 3), ElementsAre(6, 5, 4));
}

}  // namespace
}  // namespace qlarank
