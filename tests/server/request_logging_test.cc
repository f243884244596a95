// The request log in the pipeline: what Rank offers, and who is erased from it.
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/pipeline.h"
#include "state_store/memory_state_store.h"
#include "tests/server/request_log/log_testing.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RequestLoggingTest : public ::testing::Test {
 protected:
  RequestLoggingTest() {
    options_.request_log.path = path_;
    options_.request_log.sample = 1;
    Start();
  }

  void Start() {
    pipeline_ = nullptr;
    auto pipeline = Pipeline::Create(options_, *store_, metrics_);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }

  const Bundle& bundle() {
    return pipeline_->models().Current()->default_model()->bundle();
  }

  void Append(const std::string& user, uint64_t last) {
    const auto request = MakeAppend(bundle(), user, 1, last);
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {},
                               IngestPipeline::OnFull::kRefuse,
                               [&](AppendResult) { done.Notify(); });
    done.WaitForNotification();
  }

  absl::StatusOr<v1::RankResponse> Rank(const v1::RankRequest& request) {
    RankCall::Context context;
    context.arrival = absl::Now();
    auto admission = pipeline_->rank().Admit(request, context);
    if (!admission.ok()) return admission.status();
    v1::RankResponse response;
    absl::Status result;
    absl::Notification done;
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            [&](absl::Status status, RequestSlot slot) {
                              { const RequestSlot end = std::move(slot); }
                              result = std::move(status);
                              done.Notify();
                            });
    done.WaitForNotification();
    if (!result.ok()) return result;
    return response;
  }

  absl::StatusOr<v1::RankResponse> Rank(const std::string& user) {
    return Rank(MakeRank(bundle(), user, CatalogueItems(bundle(), 3)));
  }

  absl::StatusOr<uint64_t> Erase(const std::string& user,
                                 Owner::ErasureOrder order = {}) {
    order.note.time_us = absl::ToUnixMicros(absl::Now());
    absl::StatusOr<uint64_t> removed;
    absl::Notification done;
    pipeline_->ingest().DeleteUser(user, std::move(order),
                                   [&](absl::StatusOr<uint64_t> result) {
                                     removed = std::move(result);
                                     done.Notify();
                                   });
    done.WaitForNotification();
    return removed;
  }

  const std::string path_ = NewLogPath();
  ServerOptions options_ = TestOptions();
  const std::unique_ptr<StateStore> store_ = NewMemoryStateStore();
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(RequestLoggingTest, LogsARequestAsItWasAskedAndAnswered) {
  Append("ann", 5);
  v1::RankRequest request =
      MakeRank(bundle(), "ann", CatalogueItems(bundle(), 70));
  request.set_top_k(3);
  request.set_min_event_count(5);
  request.add_tasks("like");
  request.add_value_weights(7);
  *request.add_recent_events() = MakeEvent(bundle(), "ann", 6);
  const auto response = Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();
  pipeline_ = nullptr;
  ASSERT_EQ(LogRecords(path_).size(), 1u);
  v1::LoggedRequest record;
  ASSERT_TRUE(record.ParseFromString(LogRecords(path_)[0]));
  EXPECT_EQ(record.request().SerializeAsString(), request.SerializeAsString());
  EXPECT_EQ(record.response().SerializeAsString(),
            response->SerializeAsString());
  EXPECT_EQ(record.response().state().folded_sequence(), 5u);
  EXPECT_EQ(record.request_time_us(),
            request.request_time().seconds() * 1'000'000 +
                request.request_time().nanos() / 1000);
  EXPECT_GT(record.incarnation(), 0u);
  EXPECT_EQ(record.fingerprint().size(), 64u);
  EXPECT_THAT(record.value_weights(), ElementsAre(7));
  EXPECT_THAT(record.candidate_features(), ElementsAre("bid", "age", "stock"));
  EXPECT_THAT(record.event_features(), ElementsAre("price", "rating", "dwell"));
  EXPECT_THAT(record.recent_features(),
              ElementsAreArray(request.recent_events(0).features()));
}

TEST_F(RequestLoggingTest, LogsTheArrivalOfARequestWithoutATime) {
  v1::RankRequest request =
      MakeRank(bundle(), "ann", CatalogueItems(bundle(), 3));
  request.clear_request_time();
  ASSERT_TRUE(Rank(request).ok());
  pipeline_ = nullptr;
  v1::LoggedRequest record;
  ASSERT_TRUE(record.ParseFromString(LogRecords(path_)[0]));
  EXPECT_EQ(record.request_time_us(), record.arrival_us());
  EXPECT_EQ(record.incarnation(), 0u);
}

TEST_F(RequestLoggingTest, LogsNothingThatWasNotAnswered) {
  v1::RankRequest request =
      MakeRank(bundle(), "ann", CatalogueItems(bundle(), 3));
  request.set_min_event_count(9);
  EXPECT_TRUE(absl::IsFailedPrecondition(Rank(request).status()));
  request.add_tasks("none");
  EXPECT_TRUE(absl::IsInvalidArgument(Rank(request).status()));
  pipeline_ = nullptr;
  EXPECT_THAT(LogFiles(path_), IsEmpty());
}

TEST_F(RequestLoggingTest, LogsTheSampleAlone) {
  options_.request_log.sample = 1e-15;
  Start();
  ASSERT_TRUE(Rank("ann").ok());
  pipeline_ = nullptr;
  EXPECT_THAT(LogFiles(path_), IsEmpty());
}

TEST_F(RequestLoggingTest, RanksThoughNothingCanBeLogged) {
  std::filesystem::remove_all(path_);
  EXPECT_TRUE(Rank("ann").ok());
}

TEST_F(RequestLoggingTest, DoesNotStartWhereItCannotLog) {
  auto options = options_;
  options.request_log.path = "/dev/null/log";
  Metrics metrics;
  const auto pipeline =
      Pipeline::Create(options, *NewMemoryStateStore(), metrics);
  ASSERT_FALSE(pipeline.ok());
  EXPECT_THAT(std::string(pipeline.status().message()),
              HasSubstr("request_log.path: /dev/null/log"));
}

TEST_F(RequestLoggingTest, AnErasedUserIsGoneOnceThatIsAnswered) {
  Append("ann", 3);
  for (const char* user : {"ann", "bob", "carl"}) ASSERT_TRUE(Rank(user).ok());
  EXPECT_EQ(Erase("ann").value(), 3u);
  EXPECT_THAT(LoggedUsers(path_), ElementsAre("bob", "carl"));
  // Of whom nothing but requests is known.
  EXPECT_EQ(Erase("bob").value(), 0u);
  EXPECT_THAT(LoggedUsers(path_), ElementsAre("carl"));
}

TEST_F(RequestLoggingTest, AUserWhomAPolicySparesStays) {
  Append("ann", 3);
  ASSERT_TRUE(Rank("ann").ok());
  Owner::ErasureOrder order;
  order.only_if = [](const UserHead&) { return false; };
  EXPECT_EQ(Erase("ann", order).value(), 0u);
  pipeline_ = nullptr;
  EXPECT_THAT(LoggedUsers(path_), ElementsAre("ann"));
}

TEST_F(RequestLoggingTest, AUserWhomAPolicyErasesIsGone) {
  Append("ann", 3);
  ASSERT_TRUE(Rank("ann").ok());
  Owner::ErasureOrder order;
  order.only_if = [](const UserHead&) { return true; };
  EXPECT_EQ(Erase("ann", order).value(), 3u);
  pipeline_ = nullptr;
  EXPECT_THAT(LoggedUsers(path_), IsEmpty());
}

// The server crashed after the store's erasure, or did not log meanwhile.
TEST_F(RequestLoggingTest, MakesUpForAnErasureThatItWasNotTold) {
  Append("ann", 3);
  for (const char* user : {"ann", "bob"}) ASSERT_TRUE(Rank(user).ok());
  pipeline_ = nullptr;
  const int64_t now_us = absl::ToUnixMicros(absl::Now());
  ASSERT_EQ(store_->DeleteUser("ann", {now_us, "", "request"}).value(), 3u);
  Start();
  EXPECT_TRUE(Erase("nobody").ok());  // comes after
  EXPECT_THAT(LoggedUsers(path_), ElementsAre("bob"));
}

}  // namespace
}  // namespace qlarank::testing
