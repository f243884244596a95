// The evaluation, against a server whose score is how often a user had an item.
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/bundle.h"
#include "nlohmann/json.hpp"
#include "tests/cli/fake_server.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::HasSubstr;

// Its lowest items: 37, 51, 75, 116 and 142. In ties they come first.
constexpr char kBundle[] = QLARANK_GOLDEN_DIR "/dot_l1_plain/bundle";

// The last events: ann 142, bob 37, eve 37. Bob has no other.
constexpr char kEvaluated[] =
    "user,item,time\n"
    "ann,37,100\nann,51,101\nbob,37,102\nann,75,103\n"
    "eve,51,104\nann,51,105\neve,37,106\nann,142,106\n";

class EvaluateCommandTest : public testing::Test {
 protected:
  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--server", server_.address()});
    return RunCli(std::move(arguments));
  }
  nlohmann::json RunJson(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    CliResult result = Run(std::move(arguments));
    EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
    return nlohmann::json::parse(result.out);
  }

  FakeServer server_;
};

TEST_F(EvaluateCommandTest, LeaveLastOutImportsAllButTheLastEvents) {
  std::string events = WriteFile("events.csv", kEvaluated);
  auto json = RunJson({"import", "--leave-last-out", events});
  EXPECT_EQ(json["applied"], 5);
  EXPECT_EQ(json["left_out"], 3);
  EXPECT_EQ(server_.EventsOf("ann").size(), 4U);
  EXPECT_TRUE(server_.EventsOf("bob").empty());
  // What was left out is new when the whole file is imported later.
  json = RunJson({"import", events});
  EXPECT_EQ(json["applied"], 3);
  EXPECT_EQ(json["duplicates"], 5);
  EXPECT_EQ(server_.EventsOf("ann")[4].event().item_id(), 142U);
}

TEST_F(EvaluateCommandTest, LeaveLastOutRanksWhatTheUserHasNotHad) {
  std::string events = WriteFile("events.csv", kEvaluated);
  std::string ranks = WriteFile("ranks.csv", "");
  RunJson({"import", "--leave-last-out", events});
  const std::vector<std::string> evaluate{"evaluate",    "--leave-last-out",
                                          "--history",   events,
                                          "--bundle",    kBundle,
                                          "--top-k",     "1,2",
                                          "--in-flight", "1",
                                          "--ranks",     ranks};
  auto json = RunJson(evaluate);
  EXPECT_EQ(json["users"], 2);
  EXPECT_EQ(json["users_without_history"], 1);
  // To ann 116 and 142 are the first that are new; to eve 37 is.
  EXPECT_EQ(json["qlarank"]["hit@1"], 0.5);
  EXPECT_EQ(json["qlarank"]["hit@2"], 1.0);
  // Popular are 51, 37 and 75, all of which ann has had.
  EXPECT_EQ(json["popularity"]["hit@1"], 0.5);
  EXPECT_EQ(json["popularity"]["hit@2"], 0.5);
  EXPECT_EQ(json["popularity"]["standard errors"]["hit@1"], 0.5);
  EXPECT_THAT(Run(evaluate).out, HasSubstr(".5000 ± .5000"));
  // Own counts would rank what they have had.
  EXPECT_FALSE(json.contains("own counts"));
  std::stringstream written;
  written << std::ifstream(ranks).rdbuf();
  EXPECT_EQ(written.str(), "user,rank\n\"ann\",2\n\"eve\",1\n");
  v1::RankRequest last = server_.last_rank();
  EXPECT_EQ(last.user_id(), "eve");
  EXPECT_EQ(last.request_time().seconds(), 106);
}

// Measures end at the cutoff, places do not.
TEST_F(EvaluateCommandTest, PlacesAreThoseInTheWholeCatalogue) {
  std::string history = WriteFile("history.csv",
                                  "user,item,time\n"
                                  "ann,75,1\nann,75,2\nann,51,3\n"
                                  "bob,75,1\n");
  std::string ranks = WriteFile("ranks.csv", "");
  RunJson({"import", history});
  auto json = RunJson(
      {"evaluate", "--history", history, "--bundle", kBundle, "--heldout",
       // After 75, which they had, come 37, 51, 116 and 142; 5 is no item.
       WriteFile("heldout.csv",
                 "user,item,time\nann,142,9\nann,116,9\nbob,5,9\n"),
       "--top-k", "1", "--ranks", ranks});
  EXPECT_EQ(json["qlarank"]["hit@1"], 0.0);
  std::stringstream written;
  written << std::ifstream(ranks).rdbuf();
  // Ann had 51, too, which is before 37 for them.
  EXPECT_EQ(written.str(), "user,rank\n\"ann\",4\n\"bob\",0\n");
}

TEST_F(EvaluateCommandTest, NextBasketsAreRankedWithWhatWasHadBefore) {
  std::string history = WriteFile("history.csv",
                                  "who,what,time\n"
                                  "ann,75,1000\nann,75,2000\nann,51,3000\n");
  std::vector<std::string> format{
      "--user-column", "who", "--item-column", "what", "--time-unit", "ms"};
  std::vector<std::string> import{"import", history};
  import.insert(import.end(), format.begin(), format.end());
  RunJson(import);
  std::vector<std::string> evaluate{
      "evaluate",
      "--history",
      history,
      "--bundle",
      kBundle,
      "--heldout",
      WriteFile("heldout.csv",
                "who,what,time\nann,51,5500\nann,116,5500\nbob,37,5500\n"),
      "--top-k",
      "2"};
  evaluate.insert(evaluate.end(), format.begin(), format.end());
  auto json = RunJson(evaluate);
  EXPECT_EQ(json["users"], 1);
  EXPECT_EQ(json["users_without_history"], 1);
  EXPECT_EQ(json["qlarank"]["hit@2"], 1.0);
  EXPECT_EQ(json["qlarank"]["precision@2"], 0.5);
  EXPECT_EQ(json["qlarank"]["recall@2"], 0.5);
  for (const char* baseline : {"popularity", "recent popularity", "own counts",
                               "own decayed counts"}) {
    EXPECT_EQ(json[baseline]["hit@2"], 1.0) << baseline;
  }
  // Nothing is known of the error of one user.
  EXPECT_TRUE(json["qlarank"]["standard errors"]["hit@2"].is_null());
  EXPECT_EQ(json["qlarank"]["repeat"]["users"], 1);
  EXPECT_EQ(json["qlarank"]["repeat"]["hit@2"], 1.0);
  EXPECT_EQ(json["qlarank"]["first time"]["hit@2"], 0.0);
  EXPECT_EQ(server_.last_rank().request_time().seconds(), 5);
  EXPECT_EQ(server_.last_rank().request_time().nanos(), 500'000'000);
  const std::string printed = Run(evaluate).out;
  EXPECT_THAT(printed, HasSubstr("1 more have no history"));
  EXPECT_THAT(printed, HasSubstr("repeat hit@2  repeat ndcg@2  first time"));
  EXPECT_THAT(printed, HasSubstr("repeat targets: 1 users"));
}

TEST_F(EvaluateCommandTest, RequestsHaveFeaturesAndContext) {
  const std::string bundle =
      QLARANK_GOLDEN_DIR "/all_l4_decay_conv_everything/bundle";
  auto loaded = Bundle::Load(bundle);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::string table = "item,bid,age,stock\n";
  for (uint64_t id : (*loaded)->item_ids()) {
    absl::StrAppend(&table, id, ",", id, ",1,2\n");
  }
  const std::string history =
      WriteFile("history.csv", "user,item,time\nann,75,100\n");
  RunJson({"import", history});
  std::vector<std::string> evaluate{
      "evaluate", "--history", history, "--bundle", bundle, "--heldout",
      // The first line of the time counts; so does its empty cell.
      WriteFile("heldout.csv",
                "user,item,time,daypart\nann,1,300,evening\n"
                "ann,2,200,morning\nann,3,200,noon\n"),
      "--context-columns", "daypart"};
  EXPECT_THAT(Run(evaluate).err,
              HasSubstr("the model has candidate features (bid, age, stock): "
                        "--features FILE says"));
  evaluate.insert(evaluate.end(),
                  {"--features", WriteFile("features.csv", table)});
  RunJson(evaluate);
  const v1::RankRequest request = server_.last_rank();
  ASSERT_EQ(request.candidate_features_size(), 3 * request.item_ids_size());
  for (int i = 0; i < request.item_ids_size(); ++i) {
    EXPECT_EQ(request.candidate_features(3 * i),
              static_cast<float>(request.item_ids(i)));
    EXPECT_EQ(request.candidate_features(3 * i + 2), 2);
  }
  EXPECT_EQ(request.context().at("daypart"), "morning");
}

// A store that has what came next measures how well the past is known.
TEST_F(EvaluateCommandTest, AStoreThatKnowsTheFutureIsRefused) {
  std::string events = WriteFile("events.csv", kEvaluated);
  RunJson({"import", "--leave-last-out", events});
  std::vector<std::string> evaluate{"evaluate", "--leave-last-out", "--history",
                                    events,     "--bundle",         kBundle};
  EXPECT_EQ(Run(evaluate).code, ExitCode::kOk);
  RunJson({"import", events});
  CliResult result = Run(evaluate);
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("knows more of user "));
  EXPECT_THAT(result.err, HasSubstr("--allow-other-events"));
  evaluate.push_back("--allow-other-events");
  EXPECT_EQ(Run(evaluate).code, ExitCode::kOk);
}

TEST_F(EvaluateCommandTest, NeedsOneWayToKnowWhatCameNext) {
  std::string events = WriteFile("events.csv", kEvaluated);
  std::vector<std::string> evaluate{"evaluate", "--history", events, "--bundle",
                                    kBundle};
  EXPECT_EQ(Run(evaluate).code, ExitCode::kBadInput);
  evaluate.insert(evaluate.end(), {"--leave-last-out", "--heldout", events});
  EXPECT_EQ(Run(evaluate).code, ExitCode::kBadInput);
}

}  // namespace
}  // namespace qlarank
