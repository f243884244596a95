// Golden requests that cannot be asked of their model are refused by name.

#include "model/golden_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "model/bundle.h"
#include "tests/model/bundle_copy.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using model::v1::GoldenRequests;

class GoldenRequestsTest : public ::testing::Test, protected BundleCopy {
 protected:
  GoldenRequestsTest()
      : BundleCopy(GoldenBundleFolder("all_l4_decay_conv_everything")) {}

  void ExpectRefused(absl::StatusCode code, const std::string& message) {
    const auto bundle = Bundle::Load(folder_);
    EXPECT_EQ(bundle.status().code(), code) << bundle.status();
    EXPECT_THAT(std::string(bundle.status().message()),
                AllOf(HasSubstr("/golden.textproto"), HasSubstr(message)));
  }
};

TEST_F(GoldenRequestsTest, AreThoseThatTheTrainerMade) {
  const auto bundle = Bundle::Load(folder_);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const GoldenRequests& golden = (*bundle)->golden_requests();
  std::vector<int> events;
  for (const auto& of_user : golden.cases()) {
    events.push_back(of_user.events_size());
    EXPECT_EQ(of_user.candidates_size(), 16);
    int unknown = 0;
    for (const auto& candidate : of_user.candidates()) {
      unknown += (*bundle)->ItemRow(candidate.item_id()) ==
                 Bundle::kOutOfVocabularyRow;
    }
    EXPECT_EQ(unknown, 1);
  }
  EXPECT_EQ(events, (std::vector<int>{0, 1, 5, 40}));
}

// Whether its file is there or not: nothing vouches for it.
TEST_F(GoldenRequestsTest, AreNoneWhereTheSpecNamesNone) {
  EditSpec([](auto& spec) { spec.clear_golden_sha256(); });
  for (const bool there : {true, false}) {
    if (!there) fs::remove(golden_path());
    const auto bundle = Bundle::Load(folder_);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    EXPECT_EQ((*bundle)->golden_requests().cases_size(), 0);
  }
}

TEST_F(GoldenRequestsTest, RefusesAFileThatIsMissingOrDamaged) {
  const std::string whole = ReadAll(golden_path());
  WriteAll(golden_path(), whole.substr(0, whole.size() - 1));
  ExpectRefused(absl::StatusCode::kDataLoss, "damaged or of another bundle");
  fs::copy(GoldenBundleFolder("dot_l1_plain") + "/golden.textproto",
           golden_path(), fs::copy_options::overwrite_existing);
  ExpectRefused(absl::StatusCode::kDataLoss, "damaged or of another bundle");
  fs::remove(golden_path());
  ExpectRefused(absl::StatusCode::kNotFound, "cannot open");
}

TEST_F(GoldenRequestsTest, RefusesWhatTheModelCannotBeAsked) {
  const std::string original = ReadAll(golden_path());
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const struct {
    std::function<void(GoldenRequests&)> edit;
    std::string message;
  } cases[] = {
      {[](auto& golden) { golden.set_fingerprint("0123"); },
       "fingerprint: \"0123\"; the bundle's is "},
      {[](auto& golden) { golden.mutable_tasks()->SwapElements(0, 1); },
       "tasks: like, click, share; the model has click, like, share"},
      {[](auto& golden) { golden.mutable_tasks()->RemoveLast(); },
       "tasks: click, like; the model has click, like, share"},
      {[](auto& golden) { golden.clear_cases(); }, "cases: none"},
      {[](auto& golden) { golden.mutable_cases(0)->clear_candidates(); },
       "cases[0] (\"0 events\"): candidates: none"},
      {[](auto& golden) { golden.mutable_cases(1)->set_time_us(1LL << 60); },
       "cases[1] (\"1 event\"): time_us: 1152921504606846976; expected one in "
       "the years 1 to 9999"},
      {[](auto& golden) {
         golden.mutable_cases(1)->mutable_events(0)->set_time_us(-1LL << 60);
       },
       "events[0].time_us: -1152921504606846976"},
      {[](auto& golden) {
         golden.mutable_cases(2)->mutable_events(3)->set_action("juggle");
       },
       "cases[2] (\"5 events\"): events[3].action: \"juggle\"; the model has "
       "no such action"},
      {[](auto& golden) {
         golden.mutable_cases(2)->mutable_events(3)->add_features(1);
       },
       "events[3].features: 4 of them; the model has 3"},
      {[](auto& golden) {
         golden.mutable_cases(2)->mutable_events(3)->set_features(1, kNaN);
       },
       "events[3].features: nan; expected -1e9 to 1e9"},
      {[](auto& golden) {
         golden.mutable_cases(2)->mutable_candidates(3)->set_features(0, 2e9f);
       },
       "candidates[3].features: 2e+09; expected -1e9 to 1e9"},
      {[](auto& golden) {
         golden.mutable_cases(2)->mutable_candidates(3)->clear_features();
       },
       "candidates[3].features: 0 of them; the model has 3"},
      {[](auto& golden) {
         golden.mutable_cases(3)->mutable_candidates(15)->add_scores(1);
       },
       "candidates[15].scores: 4 of them; the model has 3 tasks"},
      {[](auto& golden) {
         golden.mutable_cases(3)->mutable_candidates(15)->set_scores(0, kNaN);
       },
       "candidates[15].scores: nan; expected what a float32 can be"},
      {[](auto& golden) {
         golden.mutable_cases(3)->mutable_candidates(15)->set_scores(2, -1e99);
       },
       "candidates[15].scores: -1e+99; expected what a float32 can be"},
      {[](auto& golden) {
         golden.mutable_cases(3)->add_context()->set_feature("weather");
       },
       "context: \"weather\"; expected the model's context features, each "
       "once"},
      {[](auto& golden) {
         for (int i = 0; i < 2; ++i) {
           golden.mutable_cases(3)->add_context()->set_feature("daypart");
         }
       },
       "context: \"daypart\"; expected the model's context features, each "
       "once"},
  };
  for (const auto& bad : cases) {
    WriteAll(golden_path(), original);
    EditGolden(bad.edit);
    ExpectRefused(absl::StatusCode::kInvalidArgument, bad.message);
  }
  WriteAll(golden_path(), absl::StrCat(original, "\nseed: 3\n"));
  SealGolden();
  ExpectRefused(absl::StatusCode::kInvalidArgument, "no field named \"seed\"");
}

}  // namespace
}  // namespace qlarank::testing
