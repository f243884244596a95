#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RankTest : public ::testing::Test {
 protected:
  v1::RankRequest Request(const std::string& user_id, size_t candidates) {
    return MakeRank(*bundle_, user_id, CatalogueItems(*bundle_, candidates));
  }

  // REQUIRES: user without events from "test".
  void Append(const std::string& user_id, uint64_t events) {
    const auto appended =
        server_.Append(MakeAppend(*bundle_, user_id, 1, events));
    ASSERT_TRUE(appended.ok()) << appended.status();
    ASSERT_EQ(appended->applied(), events);
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  TestServer server_{TestOptions()};
};

std::vector<float> Scores(const v1::RankResponse& response) {
  return {response.scores().begin(), response.scores().end()};
}

TEST_F(RankTest, AColdUserIsRankedAndSaidToBeCold) {
  const auto response = server_.Rank(Request("nobody", 100));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_FALSE(response->state().found());
  EXPECT_EQ(response->state().event_count(), 0);
  EXPECT_FALSE(response->state().has_last_event_time());
  EXPECT_EQ(response->scores_size(), 300);
  for (const float score : response->scores()) {
    EXPECT_TRUE(std::isfinite(score));
  }
  EXPECT_THAT(response->tasks(), ElementsAre("click", "like", "share"));
  EXPECT_EQ(response->model_name(), "all_l4_decay_conv_everything");
  EXPECT_EQ(response->model_version(), 1);
  EXPECT_EQ(response->scored_fraction(), 1);
}

TEST_F(RankTest, UnknownItemsAreScoredAlikeAndFlagged) {
  v1::RankRequest request = Request("nobody", 130);
  request.set_item_ids(3, 999'999'999);
  request.set_item_ids(100, 888'888'888);
  for (int i = 0; i < 3; ++i) {
    request.set_candidate_features(3 * 3 + i, 0.5f);
    request.set_candidate_features(100 * 3 + i, 0.5f);
  }
  request.set_request_id("abc");
  const auto response = server_.Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->unknown_items(), ElementsAre(3, 100));
  for (int task = 0; task < 3; ++task) {
    EXPECT_EQ(response->scores(3 * 3 + task), response->scores(100 * 3 + task));
  }
  EXPECT_EQ(response->request_id(), "abc");
}

TEST_F(RankTest, CandidatesMayBeTexts) {
  v1::RankRequest request = Request("nobody", 70);
  request.set_item_ids(3, 0xD24EC4F1A98C6E5B);  // of the text "a"
  v1::RankRequest by_text = request;
  for (uint64_t id : request.item_ids()) {
    by_text.add_item_keys(id == request.item_ids(3) ? "a"
                                                    : absl::StrCat("t", id));
  }
  by_text.clear_item_ids();
  v1::Event& event = *by_text.add_recent_events();
  event = MakeEvent(*bundle_, "nobody", 1);
  *event.mutable_time() = request.request_time();
  event.clear_item_id();
  event.set_item_key("a");
  *request.add_recent_events() = event;
  request.mutable_recent_events(0)->clear_item_key();
  request.mutable_recent_events(0)->set_item_id(request.item_ids(3));
  const auto by_id = server_.Rank(request);
  const auto response = server_.Rank(by_text);
  ASSERT_TRUE(by_id.ok()) << by_id.status();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->unknown_items_size(), 70);
  ASSERT_EQ(response->scores_size(), 210);
  for (int task = 0; task < 3; ++task) {
    EXPECT_EQ(response->scores(3 * 3 + task), by_id->scores(3 * 3 + task));
  }
}

TEST_F(RankTest, TasksAreReturnedInTheOrderAsked) {
  v1::RankRequest request = Request("nobody", 70);
  const auto all = server_.Rank(request);
  ASSERT_TRUE(all.ok()) << all.status();
  request.add_tasks("share");
  request.add_tasks("click");
  const auto some = server_.Rank(request);
  ASSERT_TRUE(some.ok()) << some.status();
  ASSERT_EQ(some->scores_size(), 140);
  EXPECT_THAT(some->tasks(), ElementsAre("share", "click"));
  for (int c = 0; c < 70; ++c) {
    EXPECT_EQ(some->scores(c * 2), all->scores(c * 3 + 2));
    EXPECT_EQ(some->scores(c * 2 + 1), all->scores(c * 3));
  }
}

TEST_F(RankTest, TopKOrdersByValue) {
  v1::RankRequest request = Request("nobody", 200);
  request.add_tasks("click");
  request.add_value_weights(2);
  request.set_top_k(5);
  const auto best = server_.Rank(request);
  ASSERT_TRUE(best.ok()) << best.status();
  ASSERT_EQ(best->order_size(), 5);
  for (int k = 1; k < 5; ++k) {
    EXPECT_GE(best->scores(best->order(k - 1)), best->scores(best->order(k)));
  }
  request.set_value_weights(0, -1);
  request.set_top_k(1'000'000);  // more than there are: all of them
  const auto worst = server_.Rank(request);
  ASSERT_TRUE(worst.ok()) << worst.status();
  ASSERT_EQ(worst->order_size(), 200);
  EXPECT_LE(worst->scores(worst->order(0)), worst->scores(worst->order(199)));
}

TEST_F(RankTest, EqualCandidatesKeepTheirOrder) {
  v1::RankRequest request =
      MakeRank(*bundle_, "nobody",
               std::vector<uint64_t>(150, CatalogueItems(*bundle_, 1).front()));
  request.set_top_k(150);
  const auto response = server_.Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();
  for (int k = 0; k < 150; ++k) EXPECT_EQ(response->order(k), k);
}

TEST_F(RankTest, ReadsItsOwnWrites) {
  for (int round = 0; round < 20; ++round) {
    const std::string user = "user" + std::to_string(round);
    Append(user, 30);
    v1::RankRequest request = Request(user, 10);
    request.set_min_event_count(30);
    const auto response = server_.Rank(request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->state().event_count(), 30);
    EXPECT_EQ(response->state().folded_sequence(), 30);
    EXPECT_EQ(response->state().log_sequence(), 30);
  }
}

// More than one step of the state reader.
TEST_F(RankTest, CatchesUpWithALongLog) {
  Append("reader", 2000);
  v1::RankRequest request = Request("reader", 10);
  request.set_min_event_count(2000);
  const auto response = server_.Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->state().event_count(), 2000);
}

TEST_F(RankTest, RefusesAStateThatIsTooOld) {
  Append("user", 3);
  v1::RankRequest request = Request("user", 10);  // 997 minutes later
  request.set_min_event_count(3);
  request.mutable_max_state_age()->set_seconds(997 * 60);
  EXPECT_TRUE(server_.Rank(request).ok());
  request.mutable_max_state_age()->set_seconds(997 * 60 - 1);
  const absl::Status status = server_.Rank(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_state_age"));
  // A user without events has nothing that could be old.
  request.set_user_id("nobody");
  request.set_min_event_count(0);
  EXPECT_TRUE(server_.Rank(request).ok());
}

TEST_F(RankTest, RecentEventsCountAsStoredOnesDoAndAreNotStored) {
  Append("stored", 12);
  v1::RankRequest stored = Request("stored", 80);
  stored.set_min_event_count(12);
  const auto expected = server_.Rank(stored);
  ASSERT_TRUE(expected.ok()) << expected.status();

  v1::AppendEventsRequest first = MakeAppend(*bundle_, "stored", 1, 10);
  for (auto& event : *first.mutable_events()) event.set_user_id("mixed");
  ASSERT_TRUE(server_.Append(first).ok());
  v1::RankRequest mixed = Request("mixed", 80);
  mixed.set_min_event_count(10);
  for (const uint64_t n : {11, 12}) {
    *mixed.add_recent_events() = MakeEvent(*bundle_, "stored", n);
  }
  const auto response = server_.Rank(mixed);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(Scores(*response), Scores(*expected));
  EXPECT_EQ(response->state().event_count(), 10);
  EXPECT_EQ(response->state().log_sequence(), 10);
}

TEST_F(RankTest, OneEventChangesTheScores) {
  const auto before = server_.Rank(Request("user", 50));
  Append("user", 1);
  v1::RankRequest request = Request("user", 50);
  request.set_min_event_count(1);
  const auto after = server_.Rank(request);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_NE(Scores(*before), Scores(*after));
}

TEST_F(RankTest, APassedDeadlineIsAnErrorOrAPartialReply) {
  v1::RankRequest request = Request("user", 20'000);
  absl::Duration whole = absl::InfiniteDuration();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const absl::Time begin = absl::Now();
    ASSERT_TRUE(server_.Rank(request).ok());
    whole = std::min(whole, absl::Now() - begin);
  }

  // Refused while the one before it is about to end.
  absl::Status late;
  const absl::Time end = absl::Now() + absl::Seconds(20);
  do {
    late = server_.Rank(request, whole / 10).status();
  } while (absl::IsResourceExhausted(late) && absl::Now() < end);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;

  // How much is done by when depends on who else uses the machine: between too
  // short a time for a reply and one for all of it is one for a part.
  request.set_allow_partial(true);
  int partial = 0;
  absl::Duration budget = whole / 2;
  for (int attempt = 0; attempt < 500 && partial == 0; ++attempt) {
    const auto response = server_.Rank(request, budget);
    if (!response.ok() || response->scored_fraction() == 1) {
      budget *= response.ok() ? 0.9 : 1.15;
      continue;
    }
    ++partial;
    int scored = 0;
    for (int c = 0; c < 20'000; ++c) {
      if (!std::isnan(response->scores(c * 3))) ++scored;
    }
    EXPECT_DOUBLE_EQ(response->scored_fraction(), scored / 20'000.0);
    EXPECT_GT(scored, 0);
  }
  EXPECT_EQ(partial, 1);
}

TEST(RankAdmissionTest, RequestsBeyondTheBoundAreRefusedAtOnce) {
  ServerOptions options = TestOptions();
  options.rank.max_inflight_requests = 1;
  TestServer server(options);
  const auto bundle = LoadGolden(GoldenModel());
  const v1::RankRequest request =
      MakeRank(*bundle, "user", CatalogueItems(*bundle, 20'000));
  std::atomic<int> ok{0}, refused{0};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 6; ++i) {
    crowd.emplace_back([&] {
      const absl::Status status = server.Rank(request).status();
      if (status.ok()) ++ok;
      if (absl::IsResourceExhausted(status)) ++refused;
    });
  }
  for (std::thread& thread : crowd) thread.join();
  EXPECT_GE(ok, 1);
  EXPECT_GE(refused, 1);
  EXPECT_EQ(ok + refused, 6);
  // A slot is free once the reply has left, a moment after its client has it.
  absl::Status after;
  const absl::Time end = absl::Now() + absl::Seconds(20);
  do {
    after = server.Rank(request).status();
  } while (absl::IsResourceExhausted(after) && absl::Now() < end);
  EXPECT_TRUE(after.ok()) << after;
}

}  // namespace
}  // namespace qlarank::testing
