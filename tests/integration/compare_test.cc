// What shadow scoring says while a server serves, and what `model compare` says
// later of its request log and a checkpoint, are the same.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/server/compare/comparison_testing.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kComparedUsers = 6;
constexpr uint64_t kComparedRounds = 20;

class CompareTest : public ::testing::Test {
 protected:
  CompareTest() {
    options_.models.push_back(second_.options());
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.request_log.path = dir_.Path("requests");
    options_.request_log.sample = 1;
    server_ = std::make_unique<TestServer>(options_);
  }

  CliResult Admin(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--admin-server", server_->admin_address()});
    return RunCli(std::move(arguments));
  }
  CliResult Compare(const std::string& first, const std::string& second,
                    std::vector<std::string> more = {"--json"}) {
    more.insert(more.begin(), {"model", "compare", first, second, "--requests",
                               dir_.Path("requests"), "--store",
                               dir_.Path("store")});
    return RunCli(std::move(more));
  }
  std::string first() const { return options_.models[0].path; }
  std::string second() const { return second_.folder(); }

  // Events and requests of several users at once, half of which ask for no more
  // than what is folded.
  void RankForAll() {
    std::vector<std::thread> users;
    for (int u = 0; u < kComparedUsers; ++u) {
      users.emplace_back([this, user = absl::StrCat("user-", u)] {
        for (uint64_t round = 0; round < kComparedRounds; ++round) {
          EXPECT_TRUE(server_
                          ->Append(MakeAppend(*bundle_, user, 7 * round + 1,
                                              7 * round + 7))
                          .ok());
          v1::RankRequest request = RequestOf(*bundle_, user, round);
          if (round % 2 == 0) request.set_max_events_behind(0);
          const auto response = server_->Rank(request);
          EXPECT_TRUE(response.ok()) << response.status();
        }
      });
    }
    for (std::thread& user : users) user.join();
  }
  // A sum: a multiple of 2^-30 (difference.h), of which the page has 16 digits.
  // They say which.
  double Of(const std::string& name, const std::string& task,
            const std::string& of = "") {
    const double shown = server_->Metric(absl::StrCat(
        "qlarank_shadow_", name, "_total{model=\"m\"", of,
        ",shadow_version=\"2\",task=\"", task, "\",version=\"1\"}"));
    return std::ldexp(std::round(std::ldexp(shown, 30)), -30);
  }
  void AwaitCompared(double count) {
    const std::string compared =
        "qlarank_shadow_requests_total{model=\"m\",result=\"compared\","
        "shadow_version=\"2\",version=\"1\"}";
    for (int i = 0; i < 3000 && server_->Metric(compared) < count; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(server_->Metric(compared), count);
  }

  const TempDir dir_;
  const SecondVersion second_;
  ServerOptions options_ = TestOptions(FirstVersion());
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  std::unique_ptr<TestServer> server_;
};

TEST_F(CompareTest, LiveFiguresAreThoseOfTheRequestLog) {
  ASSERT_EQ(Admin({"model", "shadow", "m", "2", "--sample", "1"}).code,
            ExitCode::kOk);
  RankForAll();
  AwaitCompared(kComparedUsers * kComparedRounds);
  nlohmann::json live;
  for (const std::string task : {"click", "like", "share", "(value)"}) {
    const double requests = Of("compared", task);
    nlohmann::json& figures = live[task];
    figures = {
        {"requests", requests},
        {"ordered_requests", Of("ordered", task)},
        {"rank_correlation",
         1 - Of("rank_distance", task) / Of("ordered", task)},
        {"top_10_overlap", Of("top_10_overlap", task) / requests},
        {"top_k_requests", Of("top_k_requests", task)},
        {"top_k_overlap",
         Of("top_k_overlap", task) / Of("top_k_requests", task)},
        {"first_mean_score", nullptr},
        {"second_mean_score", nullptr}};
    if (task == "(value)") continue;
    figures["first_mean_score"] =
        Of("scores", task, ",of=\"served\"") / requests;
    figures["second_mean_score"] =
        Of("scores", task, ",of=\"shadow\"") / requests;
  }
  ASSERT_TRUE(server_->Shutdown().ok());
  server_ = nullptr;
  const CliResult result = Compare(first(), second());
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  const auto offline = nlohmann::json::parse(result.out);
  EXPECT_EQ(offline["requests"], kComparedUsers * kComparedRounds);
  EXPECT_TRUE(offline["left_out"].empty()) << result.out;
  EXPECT_EQ(offline["tasks"], live);
  EXPECT_LT(offline["tasks"]["click"]["rank_correlation"], .99);
}

TEST_F(CompareTest, ABundleIsAsItselfAndThatIsShown) {
  RankForAll();
  ASSERT_TRUE(server_->Shutdown().ok());
  server_ = nullptr;
  const auto same = nlohmann::json::parse(Compare(first(), first()).out);
  EXPECT_EQ(same["requests"], kComparedUsers * kComparedRounds);
  for (const auto& [task, figures] : same["tasks"].items()) {
    EXPECT_EQ(figures["rank_correlation"], 1) << task;
    EXPECT_EQ(figures["top_10_overlap"], 1) << task;
    EXPECT_EQ(figures["top_k_overlap"], 1) << task;
    EXPECT_EQ(figures["first_mean_score"], figures["second_mean_score"]);
  }
  const CliResult shown = Compare(first(), first(), {});
  EXPECT_EQ(shown.code, ExitCode::kOk) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("(value)       120            1.0000  1.0000"));
  EXPECT_THAT(shown.out, HasSubstr("0 that only the second knows"));
}

TEST_F(CompareTest, SaysWhatItLeavesOut) {
  RankForAll();
  ASSERT_TRUE(server_->Shutdown().ok());
  server_ = nullptr;
  // A model that has no such features.
  const CliResult unfit =
      Compare(first(), GoldenModel("dot_l1_plain").path, {});
  EXPECT_EQ(unfit.code, ExitCode::kNegative) << unfit.err;
  EXPECT_THAT(unfit.out,
              HasSubstr("left out: 120 that cannot be asked of both, such as: "
                        "context[\"daypart\"]"));
  const CliResult none = Compare(first(), second(), {"--model", "other"});
  EXPECT_EQ(none.code, ExitCode::kNegative);
}

TEST_F(CompareTest, WantsWhatIsThere) {
  ASSERT_TRUE(server_->Shutdown().ok());
  server_ = nullptr;
  const CliResult no_requests = Compare(first(), second());
  EXPECT_EQ(no_requests.code, ExitCode::kBadInput);
  EXPECT_THAT(no_requests.err, HasSubstr("no requests-*.pb"));
  const CliResult no_store =
      RunCli({"model", "compare", first(), second(), "--requests",
              dir_.Path("requests"), "--store", dir_.Path("nowhere")});
  EXPECT_EQ(no_store.code, ExitCode::kBadInput);
  EXPECT_THAT(no_store.err, HasSubstr("nowhere: there is none"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Path("nowhere")));
}

}  // namespace
}  // namespace qlarank::testing
