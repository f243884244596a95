// GetUserSummary over a socket: the bits of a fresh fold, before and after a
// restart, whole or in bytes.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/integration/test_server.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kEvents = 70;

class SummaryTest : public ::testing::Test {
 protected:
  SummaryTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
  }

  static v1::GetUserSummaryRequest Request(
      const std::string& user_id, uint64_t min_event_count = 0,
      v1::SummaryEncoding encoding = v1::SUMMARY_ENCODING_UNSPECIFIED) {
    v1::GetUserSummaryRequest request;
    request.set_user_id(user_id);
    request.set_min_event_count(min_event_count);
    request.set_encoding(encoding);
    return request;
  }

  // What the summaries of the log's first events must be, by their number. No
  // server may have the store open.
  std::map<uint64_t, std::vector<float>> FreshSummaries(
      const std::vector<uint64_t>& event_counts) {
    RocksDbOptions options;
    options.path = options_.store.path;
    const auto store = OpenRocksDbStateStore(options);
    const auto engine = *Engine::Create(bundle_);
    const auto scratch = engine->NewScratch();
    std::map<uint64_t, std::vector<float>> fresh;
    for (const uint64_t n : event_counts) {
      const auto state =
          engine->ParseState(*FreshFold(*engine, **store, "user", n));
      const auto summary = engine->Summarize(**state, *scratch);
      fresh[n].assign(summary->values.begin(), summary->values.end());
    }
    return fresh;
  }

  TempDir dir_;
  const ModelOptions model_ = GoldenModel("seeds_block_l2_attended");
  ServerOptions options_ = TestOptions(model_);
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(model_);
};

std::vector<float> Values(const v1::GetUserSummaryResponse& response) {
  return {response.values().begin(), response.values().end()};
}

TEST_F(SummaryTest, IsTheSameBeforeAndAfterARestartAndInAFreshFold) {
  std::vector<float> before;
  {
    TestServer server(options_);
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, kEvents)).ok());
    const auto summary = server.GetSummary(Request("user", kEvents));
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->num_seeds(), bundle_->spec().num_seeds());
    EXPECT_EQ(summary->width(), bundle_->spec().d_model());
    EXPECT_EQ(summary->values_size(), summary->num_seeds() * summary->width());
    EXPECT_EQ(summary->state().event_count(), kEvents);
    EXPECT_EQ(summary->model_name(), model_.name);
    EXPECT_EQ(summary->model_version(), model_.version);
    EXPECT_THAT(summary->state_fingerprint(),
                HasSubstr(bundle_->fingerprint()));
    before = Values(*summary);
    // Ranking in between changes nothing.
    v1::RankRequest rank =
        MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 100));
    rank.set_min_event_count(kEvents);
    ASSERT_TRUE(server.Rank(rank).ok());
    EXPECT_EQ(Values(*server.GetSummary(Request("user"))), before);
  }
  EXPECT_EQ(FreshSummaries({kEvents})[kEvents], before);
  TestServer server(options_);
  EXPECT_EQ(Values(*server.GetSummary(Request("user"))), before);
}

TEST_F(SummaryTest, RanksTheSameWhetherTheSummaryWasKeptOrNot) {
  v1::RankRequest rank =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 100));
  rank.set_min_event_count(kEvents);
  std::vector<std::vector<float>> scores;
  for (const bool summarize_first : {false, true}) {
    options_.store.path = dir_.Path(summarize_first ? "b" : "a");
    TestServer server(options_);
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, kEvents)).ok());
    if (summarize_first) {
      ASSERT_TRUE(server.GetSummary(Request("user", kEvents)).ok());
    }
    for (int again = 0; again < 2; ++again) {
      const auto response = server.Rank(rank);
      ASSERT_TRUE(response.ok()) << response.status();
      scores.emplace_back(response->scores().begin(), response->scores().end());
    }
  }
  for (const auto& other : scores) EXPECT_EQ(other, scores[0]);
}

TEST_F(SummaryTest, EveryEventButTheNewestCounts) {
  TestServer server(options_);
  std::vector<float> last;
  for (uint64_t n = 1; n <= 5; ++n) {
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", n, n)).ok());
    const auto summary = server.GetSummary(Request("user", n));
    ASSERT_TRUE(summary.ok()) << summary.status();
    const std::vector<float> values = Values(*summary);
    // The first event is pending: nothing is folded yet.
    EXPECT_EQ(values == Values(*server.GetSummary(Request("nobody"))), n == 1);
    EXPECT_NE(values, last);
    last = values;
  }
}

TEST_F(SummaryTest, WhileEventsStreamInASummaryIsOfTheStateItSays) {
  std::mutex mutex;
  std::map<uint64_t, std::set<std::vector<float>>> seen;  // by event count
  {
    TestServer server(options_);
    std::atomic<bool> stop{false};
    const auto read = [&] {
      const v1::RankRequest rank =
          MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 5));
      while (!stop) {
        const auto summary = server.GetSummary(Request("user"));
        ASSERT_TRUE(summary.ok()) << summary.status();
        ASSERT_TRUE(server.Rank(rank).ok());
        std::lock_guard lock(mutex);
        seen[summary->state().event_count()].insert(Values(*summary));
      }
    };
    std::thread first(read), second(read);
    for (uint64_t n = 1; n <= kEvents; ++n) {
      ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", n, n)).ok());
    }
    ASSERT_TRUE(server.GetSummary(Request("user", kEvents)).ok());
    stop = true;
    first.join();
    second.join();
  }
  ASSERT_GT(seen.size(), 1);
  std::vector<uint64_t> event_counts;
  for (const auto& [n, values] : seen) event_counts.push_back(n);
  for (const auto& [n, fresh] : FreshSummaries(event_counts)) {
    EXPECT_EQ(seen[n], std::set{fresh}) << "after " << n << " events";
  }
}

TEST_F(SummaryTest, BytesAreWithinHalfAScale) {
  TestServer server(options_);
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, kEvents)).ok());
  const auto whole = server.GetSummary(Request("user", kEvents));
  const auto bytes =
      server.GetSummary(Request("user", kEvents, v1::SUMMARY_ENCODING_INT8));
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(bytes->values_size(), 0);
  ASSERT_EQ(bytes->scales_size(), bytes->num_seeds());
  ASSERT_EQ(bytes->quantized_values().size(), whole->values_size());
  for (int i = 0; i < whole->values_size(); ++i) {
    const double scale = bytes->scales(i / bytes->width());
    const double decoded =
        scale * static_cast<int8_t>(bytes->quantized_values()[i]);
    ASSERT_LE(std::abs(decoded - whole->values(i)), scale * (0.5 + 1e-5)) << i;
  }
}

TEST_F(SummaryTest, AnUnknownUserHasTheEmptyStatesSummary) {
  TestServer server(options_);
  const auto summary = server.GetSummary(Request("nobody"));
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_FALSE(summary->state().found());
  EXPECT_GT(summary->values_size(), 0);
}

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::string& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST_F(SummaryTest, WhatIsWrongIsNamed) {
  TestServer server(options_);
  ExpectError(server.GetSummary(Request("")).status(),
              absl::StatusCode::kInvalidArgument, "user_id");
  ExpectError(server.GetSummary(Request("user", 3)).status(),
              absl::StatusCode::kFailedPrecondition, "min_event_count: 3");
  ExpectError(
      server.GetSummary(Request("user", 0, static_cast<v1::SummaryEncoding>(7)))
          .status(),
      absl::StatusCode::kInvalidArgument, "encoding: 7");
  v1::GetUserSummaryRequest elsewhere = Request("user");
  elsewhere.set_model_name("other");
  ExpectError(server.GetSummary(elsewhere).status(),
              absl::StatusCode::kNotFound, "model_name: \"other\"");
}

TEST(NoSeedsTest, AModelWithoutSeedsHasNoSummaries) {
  const ModelOptions model = GoldenModel("block_l4_decay_conv");
  TestServer server(TestOptions(model));
  v1::GetUserSummaryRequest request;
  request.set_user_id("user");
  ExpectError(server.GetSummary(request).status(),
              absl::StatusCode::kFailedPrecondition,
              "model \"block_l4_decay_conv\" version 1 has no seeds");
}

}  // namespace
}  // namespace qlarank::testing
