// The evaluation of labels, against a server whose logit is how often a user
// had an item, and 10 more for the second task.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/fake_server.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Its tasks are click, like and share; candidate features bid, age and stock;
// one context feature, daypart.
constexpr char kBundle[] =
    QLARANK_GOLDEN_DIR "/all_l4_decay_conv_everything/bundle";

constexpr char kHistory[] =
    "user,item,time,price\n"
    "ann,7,100,1\nann,8,200,2\nbob,7,100,3\n";
constexpr char kHeader[] =
    "user,item,action,time,price,daypart,bid,age,stock,clicked,liked\n";

std::vector<uint64_t> Items(const v1::RankRequest& request) {
  return {request.item_ids().begin(), request.item_ids().end()};
}

std::vector<uint64_t> Recent(const v1::RankRequest& request) {
  std::vector<uint64_t> items;
  for (const v1::Event& event : request.recent_events()) {
    items.push_back(event.item_id());
  }
  return items;
}

class LabelEvaluationTest : public testing::Test {
 protected:
  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--server", server_.address()});
    return RunCli(std::move(arguments));
  }

  // Of lines behind the header.
  CliResult Evaluate(const std::string& heldout,
                     const std::vector<std::string>& more = {},
                     const std::string& labels = "click=clicked,like=liked") {
    history_ = WriteFile("history.csv", kHistory);
    if (server_.num_events() == 0) {
      EXPECT_EQ(Run({"import", history_}).code, ExitCode::kOk);
    }
    std::vector<std::string> arguments{
        "evaluate",
        "--history",
        history_,
        "--heldout",
        WriteFile("heldout.csv", std::string(kHeader) + heldout),
        "--bundle",
        kBundle,
        "--labels",
        labels,
        "--feature-columns",
        "price",
        "--in-flight",
        "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  std::string history_;
  FakeServer server_;
};

TEST_F(LabelEvaluationTest, AnEventIsScoredFromWhatWasBeforeItsMoment) {
  CliResult result = Evaluate(
      "ann,7,view,300,5,noon,1,2,3,1,0\n"
      // One moment, in two contexts, and an event that is not asked about.
      "ann,8,buy,400,6,noon,4,5,6,0,1\n"
      "ann,7,view,400,7,noon,7,8,9,1,0\n"
      "eve,9,view,400,8,,10,11,12,0,\n"
      "ann,9,view,400,9,night,13,14,15,,1\n"
      "ann,6,skip,400,9,noon,0,0,0,,\n"
      "ann,8,view,500,9,,16,17,18,0,0\n"
      // Comes late, and is the first of theirs.
      "eve,5,view,350,10,noon,0,0,0,,\n"
      // Nothing of them is asked about.
      "dan,5,view,350,10,noon,0,0,0,,\n"
      "bob,7,view,300,11,noon,0,0,0,1,1\n",
      {"--context-columns", "daypart", "--json"});
  ASSERT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("heldout.csv:8: user ann, from their history and "
                              "the 5 events before this one"),
                    HasSubstr("must be at most 3"),
                    HasSubstr("limits.max_recent_events")));
  const std::vector<v1::RankRequest> asked = server_.ranks();
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].user_id(), "ann");
  EXPECT_THAT(Items(asked[0]), ElementsAre(7));
  EXPECT_THAT(Recent(asked[0]), ElementsAre());
  EXPECT_EQ(asked[0].request_time().seconds(), 300);
  EXPECT_THAT(asked[0].candidate_features(), ElementsAre(1, 2, 3));
  EXPECT_THAT(asked[0].tasks(), ElementsAre("click", "like"));
  EXPECT_EQ(asked[0].context().at("daypart"), "noon");
  // Each with its own features, in the order of the file.
  EXPECT_THAT(Items(asked[1]), ElementsAre(8, 7));
  EXPECT_THAT(asked[1].candidate_features(), ElementsAre(4, 5, 6, 7, 8, 9));
  EXPECT_THAT(Recent(asked[1]), ElementsAre(7));
  EXPECT_EQ(asked[1].recent_events(0).action(), "view");
  EXPECT_THAT(asked[1].recent_events(0).features(), ElementsAre(5));
  EXPECT_EQ(asked[1].recent_events(0).time().seconds(), 300);
  EXPECT_EQ(asked[1].request_time().seconds(), 400);
  EXPECT_THAT(Items(asked[2]), ElementsAre(9));
  EXPECT_THAT(Recent(asked[2]), ElementsAre(7));
  EXPECT_EQ(asked[2].context().at("daypart"), "night");
}

TEST_F(LabelEvaluationTest, UsersWithoutAHistoryCountAndNoLabelIsNone) {
  const std::string scores = WriteFile("scores.csv", "");
  CliResult result = Evaluate(
      "eve,9,view,400,8,,10,11,12,0,\n"
      "eve,5,view,350,10,noon,0,0,0,,\n"
      "\"b \"\"x\",5,view,350,10,noon,0,0,0,1,\n"
      "ann,7,view,300,5,noon,1,2,3,1,\n"
      "ann,8,view,400,5,noon,1,2,3,0,\n"
      "ann,7,view,500,5,noon,1,2,3,1,\n",
      {"--context-columns", "daypart", "--json", "--scores", scores});
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["users"], 3);
  EXPECT_EQ(json["events"], 5);
  EXPECT_EQ(json["requests"], 5);
  const auto& click = json["tasks"]["click"];
  EXPECT_EQ(click["labels"], 5);
  EXPECT_EQ(click["rate"], .6);
  // Logits of 1: 0, 1 and 2; of 0: 0 and 1.
  EXPECT_EQ(click["auc"], (0.5 + 1.5 + 2) / 6);
  EXPECT_EQ(json["tasks"]["like"]["labels"], 0);
  EXPECT_TRUE(json["tasks"]["like"]["auc"].is_null());
  std::stringstream written;
  written << std::ifstream(scores).rdbuf();
  EXPECT_EQ(written.str(),
            "user,line,item,\"click label\",\"click logit\",\"like label\","
            "\"like logit\"\n"
            "\"eve\",2,9,0,0,,10\n"
            "\"b \"\"x\",4,5,1,0,,10\n"
            "\"ann\",5,7,1,1,,11\n"
            "\"ann\",6,8,0,1,,11\n"
            "\"ann\",7,7,1,2,,12\n");
  // Eve's earlier event has no label, but is in the state.
  EXPECT_THAT(Recent(server_.ranks()[0]), ElementsAre(5));
  EXPECT_TRUE(server_.ranks()[0].context().empty());
}

TEST_F(LabelEvaluationTest, EqualTimesInOrderAreMomentsOfTheirOwn) {
  constexpr char kTies[] =
      "ann,7,view,300,5,noon,1,2,3,1,0\nann,8,view,300,5,noon,1,2,3,1,0\n";
  EXPECT_EQ(Evaluate(kTies).code, ExitCode::kOk);
  ASSERT_EQ(server_.ranks().size(), 1U);
  EXPECT_THAT(Items(server_.last_rank()), ElementsAre(7, 8));
  EXPECT_EQ(Evaluate(kTies, {"--equal-times", "order"}).code, ExitCode::kOk);
  ASSERT_EQ(server_.ranks().size(), 3U);
  EXPECT_THAT(Items(server_.last_rank()), ElementsAre(8));
  EXPECT_THAT(Recent(server_.last_rank()), ElementsAre(7));
  EXPECT_EQ(Evaluate(kTies, {"--equal-times", "basket"}).code,
            ExitCode::kBadInput);
}

TEST_F(LabelEvaluationTest, LastEventsAreHeldOutOfOneFile) {
  const std::string events = WriteFile(
      "events.csv", std::string(kHeader) +
                        "ann,7,view,100,5,noon,1,2,3,1,0\n"
                        "ann,8,view,200,5,noon,4,5,6,1,0\n"
                        "bob,7,view,300,5,noon,7,8,9,0,1\n");
  EXPECT_EQ(Run({"import", "--leave-last-out", events}).code, ExitCode::kOk);
  CliResult result =
      Run({"evaluate", "--leave-last-out", "--history", events, "--bundle",
           kBundle, "--labels", "like=liked", "--in-flight", "1"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 events with labels of 2 users"));
  const std::vector<v1::RankRequest> asked = server_.ranks();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_THAT(Items(asked[0]), ElementsAre(8));
  EXPECT_THAT(asked[0].candidate_features(), ElementsAre(4, 5, 6));
  EXPECT_TRUE(asked[0].recent_events().empty());
  EXPECT_EQ(asked[1].user_id(), "bob");
}

TEST_F(LabelEvaluationTest, WhatIsNotAfterTheHistoryNamesTheUser) {
  constexpr char kEqual[] = "ann,7,view,200,5,noon,1,2,3,1,0\n";
  CliResult result = Evaluate(kEqual);
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err,
              HasSubstr("heldout.csv:2: user ann has an event held out that "
                        "is not after their history: 1970-01-01T00:03:20Z"));
  // In the order of the files it is.
  EXPECT_EQ(Evaluate(kEqual, {"--equal-times", "order"}).code, ExitCode::kOk);
  EXPECT_EQ(Evaluate("ann,7,view,199,5,noon,1,2,3,1,0\n",
                     {"--equal-times", "order"})
                .code,
            ExitCode::kBadInput);
}

TEST_F(LabelEvaluationTest, AStoreThatKnowsTheFutureIsRefused) {
  constexpr char kLater[] = "eve,7,view,300,5,noon,1,2,3,1,0\n";
  EXPECT_EQ(Evaluate(kLater).code, ExitCode::kOk);
  EXPECT_EQ(Run({"import", WriteFile("later.csv",
                                     "user,item,time\neve,7,300\n")})
                .code,
            ExitCode::kOk);
  CliResult result = Evaluate(kLater);
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("knows more of user eve than the history"));
  EXPECT_EQ(Evaluate(kLater, {"--allow-other-events"}).code, ExitCode::kOk);
}

TEST_F(LabelEvaluationTest, WhatIsWrongWithLabelsIsNamed) {
  constexpr char kGood[] = "ann,7,view,300,5,noon,1,2,3,1,0\n";
  for (auto [labels, message] : {
           std::pair{"click", "--labels click: must be task=column"},
           {"click=", "--labels click=: must be task=column"},
           {"=clicked", "must be task=column"},
           {"view=clicked",
            "--labels view=clicked: the model has no task view; it has click, "
            "like, share"},
           {"click=clicked,click=liked",
            "--labels click=liked: the task has a column already"},
           {"click=shared", "heldout.csv: no column \"shared\" in the header"},
       }) {
    CliResult result = Evaluate(kGood, {}, labels);
    EXPECT_EQ(result.code, ExitCode::kBadInput) << labels;
    EXPECT_THAT(result.err, HasSubstr(message));
  }
  for (const char* value : {"2", "yes", "-1", "1.0", "true"}) {
    CliResult result = Evaluate(
        absl::StrCat(kGood, "ann,7,view,301,5,noon,1,2,3,0,", value, "\n"));
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    EXPECT_THAT(result.err,
                HasSubstr(absl::StrCat("heldout.csv:3: liked \"", value,
                                       "\" is not 0, 1 or nothing")));
  }
  CliResult result = Evaluate("ann,7,view,300,5,noon,1,x,3,1,0\n");
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("heldout.csv:2: age \"x\" is not"));
  result = Evaluate("ann,7,view,300,5,noon,1,2,3,,\n");
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("heldout.csv has no event held out with a "
                                    "label: clicked, liked are empty"));
}

TEST_F(LabelEvaluationTest, OptionsOfRankingsDoNotGoWithLabels) {
  constexpr char kGood[] = "ann,7,view,300,5,noon,1,2,3,1,0\n";
  for (const char* option :
       {"--task=click", "--features=f.csv", "--top-k=3", "--show=1",
        "--half-life-days=3", "--ranks=r.csv"}) {
    CliResult result = Evaluate(kGood, {option});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << option;
    EXPECT_THAT(result.err, HasSubstr("--labels"));
  }
  for (const char* option : {"--scores=s.csv", "--equal-times=order"}) {
    CliResult result = Run({"evaluate", "--history", history_, "--heldout",
                            history_, "--bundle", kBundle, option});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << option;
    EXPECT_THAT(result.err, HasSubstr("--labels"));
  }
}

TEST_F(LabelEvaluationTest, FiguresArePrinted) {
  CliResult result = Evaluate(
      "ann,7,view,300,5,noon,1,2,3,1,\nann,8,view,400,5,noon,1,2,3,0,1\n",
      {"--max-users", "1"});
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(
      result.out,
      HasSubstr("       labels    rate    AUC      NE  calibration\n"
                "click       2   .5000  .5000  1.1733       1.4621\n"
                "like        1  1.0000                      1.0000\n"));
  EXPECT_THAT(result.out,
              HasSubstr("2 events with labels of 1 users, in 2 requests"));
  EXPECT_THAT(result.out, HasSubstr("latency  p50"));
}

}  // namespace
}  // namespace qlarank
