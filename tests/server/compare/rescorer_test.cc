#include "server/compare/rescorer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/compare/comparison_testing.h"
#include "tests/testing/fresh_fold.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

bool Always() { return true; }

class RescorerTest : public ComparisonTest {
 protected:
  Outcome Rescore(const v1::LoggedRequest& record, uint64_t version,
                  CandidateScores& scores) {
    Rescorer rescorer(Model(version), *store_);
    KnownState state;
    Outcome outcome = rescorer.BringState(record, {}, Always, state);
    if (outcome == Outcome::kCompared) {
      outcome = rescorer.Score(record, *state.state, Always, scores);
    }
    why_ = rescorer.why();
    return outcome;
  }
  Outcome Rescore(const v1::LoggedRequest& record, uint64_t version = 1) {
    CandidateScores scores;
    return Rescore(record, version, scores);
  }
  v1::LoggedRequest OneRecord(uint64_t events = 5, uint64_t n = 2) {
    Append("ann", 1, events);
    RankAt("ann", events, n);
    return Records(1)[0];
  }

  std::string why_;
};

TEST_F(RescorerTest, SaysWhatWasAnswered) {
  uint64_t n = 0;
  for (uint64_t events = 1; events <= 90; events += 9, ++n) {
    Append("ann", n == 0 ? 1 : events - 8, events);
    RankAt("ann", events, n);
    RankAt("nobody", 0, n);
  }
  // Their user has gone on since.
  for (const v1::LoggedRequest& record : Records(2 * n)) {
    CandidateScores scores;
    ASSERT_EQ(Rescore(record, 1, scores), Outcome::kCompared) << why_;
    const CandidateScores answered = ScoresOf(record);
    EXPECT_EQ(scores.tasks, answered.tasks);
    EXPECT_EQ(scores.value_weights, answered.value_weights);
    EXPECT_EQ(scores.logits, answered.logits);
    EXPECT_EQ(scores.unknown, answered.unknown);
    EXPECT_TRUE(scores.unknown.back());
  }
}

TEST_F(RescorerTest, SaysWhatTheOtherVersionWouldHave) {
  Append("ann", 1, 30);
  for (uint64_t n = 0; n < 10; ++n) {
    RankAt("ann", 30, n);
    v1::RankRequest request = RequestOf(bundle(), "ann", n);
    request.set_model_version(2);
    request.set_max_events_behind(0);
    // The same features by name.
    for (int at = 0; at < request.candidate_features_size(); at += 3) {
      request.mutable_candidate_features()->SwapElements(at, at + 2);
    }
    Rank(request);
  }
  const auto records = Records(20);
  for (size_t i = 0; i < records.size(); i += 2) {
    CandidateScores scores;
    ASSERT_EQ(Rescore(records[i], 2, scores), Outcome::kCompared) << why_;
    EXPECT_EQ(scores.logits, ScoresOf(records[i + 1]).logits) << i;
    EXPECT_NE(scores.logits, ScoresOf(records[i]).logits) << i;
  }
}

TEST_F(RescorerTest, BringsTheStateThatWasThereAndNoLaterOne) {
  const v1::LoggedRequest record = OneRecord(50);
  Append("ann", 51, 70);
  Rescorer rescorer(Model(1), *store_);
  const Engine& engine = *Model(1)->engine;
  const std::string expected = FreshFold(engine, *store_, "ann", 50).value();
  const auto is_right_from = [&](KnownState known) {
    KnownState state;
    EXPECT_EQ(rescorer.BringState(record, std::move(known), Always, state),
              Outcome::kCompared);
    return engine.SerializeState(*state.state) == expected;
  };
  EXPECT_TRUE(is_right_from({}));
  v1::LoggedRequest earlier = record, later = record;
  earlier.mutable_response()->mutable_state()->set_folded_sequence(17);
  later.mutable_response()->mutable_state()->set_folded_sequence(60);
  for (const v1::LoggedRequest& other : {earlier, record, later}) {
    KnownState known;
    ASSERT_EQ(rescorer.BringState(other, {}, Always, known),
              Outcome::kCompared);
    EXPECT_TRUE(is_right_from(known));
  }
  // Of other events, and of another life.
  Append("bob", 101, 117);
  RankAt("bob", 17, 2);
  KnownState other;
  ASSERT_EQ(rescorer.BringState(Records(2)[1], {}, Always, other),
            Outcome::kCompared);
  other.incarnation = record.incarnation() + 1;
  EXPECT_TRUE(is_right_from(other));
}

TEST_F(RescorerTest, ReplaysNoMoreThanItIsAllowedTo) {
  const v1::LoggedRequest record = OneRecord(50);
  Rescorer rescorer(Model(1), *store_);
  KnownState state;
  EXPECT_EQ(rescorer.BringState(record, {}, Always, state, 49),
            Outcome::kTooLong);
  EXPECT_EQ(rescorer.BringState(record, {}, Always, state, 50),
            Outcome::kCompared);
}

TEST_F(RescorerTest, KnowsWhoWasErased) {
  const v1::LoggedRequest record = OneRecord();
  ASSERT_EQ(Erase("ann"), 5);
  EXPECT_EQ(Rescore(record), Outcome::kErased);
  Append("ann", 1, 20);  // somebody else
  EXPECT_EQ(Rescore(record), Outcome::kErased);
}

TEST_F(RescorerTest, KnowsWhatIsNotInTheLog) {
  v1::LoggedRequest record = OneRecord(80);
  pipeline_->WaitUntilFolded(absl::Seconds(30));
  ASSERT_TRUE(pipeline_->Flush().ok());
  ASSERT_TRUE(
      store_->TrimLog("ann", 41, {{Model(1)->engine->state_fingerprint()}})
          .ok());
  EXPECT_EQ(Rescore(record), Outcome::kTrimmed);
  record.mutable_response()->mutable_state()->set_folded_sequence(81);
  EXPECT_EQ(Rescore(record), Outcome::kBeyondLog);
}

TEST_F(RescorerTest, LeavesOutWhatTheModelCannotBeAsked) {
  const v1::LoggedRequest record = OneRecord();
  v1::LoggedRequest changed = record;
  changed.set_candidate_features(1, "colour");
  EXPECT_EQ(Rescore(changed), Outcome::kUnfit);
  EXPECT_THAT(why_, HasSubstr("candidate_features: the request has no \"age\""));
  changed = record;
  (*changed.mutable_request()->mutable_context())["weather"] = "rain";
  EXPECT_EQ(Rescore(changed), Outcome::kUnfit);
  EXPECT_THAT(why_, HasSubstr("context[\"weather\"]"));
  changed = record;
  for (std::string& task : *changed.mutable_response()->mutable_tasks()) {
    task += "-other";
  }
  EXPECT_EQ(Rescore(changed), Outcome::kUnfit);
  EXPECT_THAT(why_, HasSubstr("none of the tasks"));
  changed = record;
  changed.mutable_response()->set_scored_fraction(.5);
  EXPECT_EQ(Rescore(changed), Outcome::kPartial);
}

TEST_F(RescorerTest, TakesNoRecordThatIsNotWhole) {
  const v1::LoggedRequest record = OneRecord();
  ASSERT_EQ(Rescore(record), Outcome::kCompared);
  for (const auto& spoil : std::vector<void (*)(v1::LoggedRequest&)>{
           [](auto& r) { r.mutable_request()->clear_item_ids(); },
           [](auto& r) { r.mutable_request()->add_item_ids(7); },
           [](auto& r) { r.mutable_request()->add_candidate_features(7); },
           [](auto& r) { r.add_recent_features(7); },
           [](auto& r) { r.clear_value_weights(); },
           [](auto& r) { r.mutable_response()->add_tasks("click"); },
           [](auto& r) { r.mutable_response()->add_scores(7); },
           [](auto& r) { r.mutable_response()->add_unknown_items(7000); }}) {
    v1::LoggedRequest spoilt = record;
    spoil(spoilt);
    EXPECT_EQ(Rescore(spoilt), Outcome::kUnfit);
  }
}

TEST_F(RescorerTest, StopsWhenThereIsNoReasonToGoOn) {
  const v1::LoggedRequest record = OneRecord(50);
  Rescorer rescorer(Model(1), *store_);
  int calls = 0;
  const auto at_most = [&](int limit) {
    calls = 0;
    KnownState state;
    CandidateScores scores;
    const auto go_on = [&] { return ++calls <= limit; };
    const Outcome brought = rescorer.BringState(record, {}, go_on, state);
    return brought == Outcome::kCompared
               ? rescorer.Score(record, *state.state, go_on, scores)
               : brought;
  };
  ASSERT_EQ(at_most(1000), Outcome::kCompared);
  const int all = calls;
  EXPECT_GE(all, 5);  // two steps of events, the reading, two tiles
  for (int limit = 0; limit < all; ++limit) {
    EXPECT_EQ(at_most(limit), Outcome::kGivenUp);
  }
}

}  // namespace
}  // namespace qlarank::testing
