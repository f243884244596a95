#include "server/pipeline/commit_group.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

class CommitGroupTest : public ::testing::Test {
 protected:
  absl::StatusOr<CommitGroup::Tally> Admit(
      const v1::AppendEventsRequest& request) {
    std::vector<uint32_t> all(request.events_size());
    std::iota(all.begin(), all.end(), 0);
    return group_.Admit(request, all, "view");
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  std::map<std::string, UserHead> heads_;
  std::function<absl::StatusOr<UserHead>(absl::string_view)> load_ =
      [this](absl::string_view user_id) {
        return heads_[std::string(user_id)];
      };
  absl::BitGen random_;
  CommitGroup group_{2, load_, random_};
};

TEST_F(CommitGroupTest, NumbersNewEventsOfANewUser) {
  const auto tally = Admit(MakeAppend(*bundle_, "user", 1, 3));
  ASSERT_TRUE(tally.ok()) << tally.status();
  EXPECT_EQ(tally->applied, 3);
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 1);
  EXPECT_NE(appends[0].head_after.incarnation, 0);
  EXPECT_EQ(appends[0].head_after.last_sequence, 3);
  EXPECT_EQ(appends[0].head_after.watermarks.at("test"), 3);
  EXPECT_EQ(appends[0].events.size(), 3);
}

TEST_F(CommitGroupTest, DropsWhatTheLogOrTheGroupHasSeen) {
  heads_["user"] = {7, 2, kEpochUs, {{"test", 2}}};
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 3))->duplicates, 2);
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 3, 4))->duplicates, 1);
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 1);
  EXPECT_EQ(appends[0].head_after.incarnation, 7);
  EXPECT_EQ(appends[0].head_after.last_sequence, 4);
  EXPECT_EQ(appends[0].events[0].source_sequence, 3);
  EXPECT_EQ(appends[0].events[1].source_sequence, 4);
}

TEST_F(CommitGroupTest, UsersWithDuplicatesOnlyAreNotWritten) {
  heads_["user"] = {7, 2, kEpochUs, {{"test", 2}}};
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 2))->applied, 0);
  EXPECT_TRUE(std::move(group_).Take().empty());
}

TEST_F(CommitGroupTest, CountsLateEventsAndKeepsTheNewestTime) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 5, 5);
  AddEvent(*bundle_, "user", 2, request);
  request.mutable_events(1)->set_sequence(6);
  const auto tally = Admit(request);
  EXPECT_EQ(tally->applied, 2);
  EXPECT_EQ(tally->late, 1);
  const auto appends = std::move(group_).Take();
  EXPECT_EQ(appends[0].head_after.last_event_time_us,
            appends[0].events[0].time_us);
}

TEST_F(CommitGroupTest, AnEventWithoutActionGetsTheDefault) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 1);
  request.mutable_events(0)->mutable_event()->clear_action();
  ASSERT_TRUE(Admit(request).ok());
  EXPECT_EQ(std::move(group_).Take()[0].events[0].action, "view");
}

// A refusal leaves nothing of the request behind, of other users neither.
TEST_F(CommitGroupTest, TooManySourcesRefuseTheWholeRequest) {
  heads_["full"] = {7, 2, kEpochUs, {{"a", 1}, {"b", 1}}};
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 2);
  AddEvent(*bundle_, "full", 1, request);
  EXPECT_TRUE(absl::IsResourceExhausted(Admit(request).status()));
  EXPECT_TRUE(std::move(group_).Take().empty());
}

}  // namespace
}  // namespace qlarank::testing
