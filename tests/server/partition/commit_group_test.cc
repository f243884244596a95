#include "server/partition/commit_group.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/memory_state_store.h"
#include "state_store/partition_position.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

class CommitGroupTest : public ::testing::Test {
 protected:
  AppendTally Admit(const v1::AppendEventsRequest& request) {
    std::vector<uint32_t> all(request.events_size());
    std::iota(all.begin(), all.end(), 0);
    return group_.Admit(request, all, {.default_action = "view"});
  }
  // One event of each user, of sequence 1.
  v1::AppendEventsRequest OneOfEach(const std::vector<std::string>& users) {
    v1::AppendEventsRequest request;
    request.set_source("test");
    for (const std::string& user : users) AddEvent(*bundle_, user, 1, request);
    return request;
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  std::map<std::string, UserHead> heads_;
  std::function<absl::StatusOr<std::shared_ptr<const UserHead>>(
      absl::string_view)>
      load_ = [this](absl::string_view user_id)
      -> absl::StatusOr<std::shared_ptr<const UserHead>> {
    if (user_id == "damaged") return absl::DataLossError("checksum mismatch");
    if (user_id == "unread") return absl::UnavailableError("disk on fire");
    return std::make_shared<const UserHead>(heads_[std::string(user_id)]);
  };
  Metrics metrics_;
  MemoryStateStore store_;
  SourceMarks marks_{store_, metrics_.ingest.source_marks};
  GapFence fence_{metrics_.ingest};
  PartitionPositions positions_{0, 1, 16};
  CommitGroup group_{2, marks_, fence_, load_, positions_};
};

TEST_F(CommitGroupTest, NumbersNewEventsOfANewUser) {
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 3)).applied, 3);
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 1);
  EXPECT_NE(appends[0].head_after.incarnation, 0);
  EXPECT_EQ(appends[0].head_after.last_sequence, 3);
  EXPECT_EQ(appends[0].head_after.watermarks.at("test"), 3);
  EXPECT_EQ(appends[0].events.size(), 3);
}

// Incarnations are positions of first events; a group that was not written has
// not been.
TEST_F(CommitGroupTest, CountsEventsOfEachPartition) {
  heads_["known"] = {7, 2, kEpochUs, {{"test", 2}}};
  const size_t of_user = positions_.PartitionOfUser("user");
  std::string neighbour = "a";
  while (positions_.PartitionOfUser(neighbour) != of_user) neighbour += "a";
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 3)).applied, 3);
  EXPECT_EQ(Admit(MakeAppend(*bundle_, neighbour, 1, 2)).applied, 2);
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "known", 1, 3)).applied, 1);
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 3);
  EXPECT_EQ(appends[0].head_after.incarnation, 1);
  EXPECT_EQ(appends[1].head_after.incarnation, 4);
  EXPECT_EQ(appends[2].head_after.incarnation, 7);
  EXPECT_THAT(positions_.Changes(),
              ::testing::IsSupersetOf({PositionMark(of_user, 16, 5)}));
  positions_.TakeBack();
  EXPECT_TRUE(positions_.Changes().empty());
  EXPECT_EQ(positions_.Next(of_user), 0);
  positions_.Keep();
  EXPECT_TRUE(positions_.Changes().empty());
  EXPECT_EQ(positions_.Next(of_user), 1);
}

TEST_F(CommitGroupTest, DropsWhatTheLogOrTheGroupHasSeen) {
  heads_["user"] = {7, 2, kEpochUs, {{"test", 2}}};
  EXPECT_THAT(Admit(MakeAppend(*bundle_, "user", 1, 3)).duplicates,
              ElementsAre(0, 1));
  EXPECT_THAT(Admit(MakeAppend(*bundle_, "user", 3, 4)).duplicates,
              ElementsAre(0));
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 1);
  EXPECT_EQ(appends[0].head_after.incarnation, 7);
  EXPECT_EQ(appends[0].head_after.last_sequence, 4);
  EXPECT_EQ(appends[0].events[0].source_sequence, 3);
  EXPECT_EQ(appends[0].events[1].source_sequence, 4);
}

TEST_F(CommitGroupTest, UsersWithDuplicatesOnlyAreNotWritten) {
  heads_["user"] = {7, 2, kEpochUs, {{"test", 2}}};
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 2)).applied, 0);
  EXPECT_TRUE(std::move(group_).Take().empty());
}

TEST_F(CommitGroupTest, CountsLateEventsAndKeepsTheNewestTime) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 5, 5);
  AddEvent(*bundle_, "user", 2, request);
  request.mutable_events(1)->set_sequence(6);
  const AppendTally tally = Admit(request);
  EXPECT_EQ(tally.applied, 2);
  EXPECT_EQ(tally.late, 1);
  const auto appends = std::move(group_).Take();
  EXPECT_EQ(appends[0].head_after.last_event_time_us,
            appends[0].events[0].time_us);
}

TEST_F(CommitGroupTest, AnEventWithoutActionGetsTheDefault) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 1);
  request.mutable_events(0)->mutable_event()->clear_action();
  EXPECT_EQ(Admit(request).applied, 1);
  EXPECT_EQ(std::move(group_).Take()[0].events[0].action, "view");
}

// One bad user stops no other.
TEST_F(CommitGroupTest, EveryEventHasAnOutcomeOfItsOwn) {
  heads_["full"] = {7, 2, kEpochUs, {{"a", 1}, {"b", 1}}};
  const AppendTally tally =
      Admit(OneOfEach({"ann", "full", "damaged", "unread", "ben"}));
  EXPECT_EQ(tally.applied, 2);
  ASSERT_EQ(tally.refusals.size(), 3);
  EXPECT_EQ(tally.refusals[0].index, 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(tally.refusals[0].status));
  EXPECT_THAT(std::string(tally.refusals[0].status.message()),
              StartsWith("events[1].user_id: \"full\"; already has events of 2 "
                         "open sources"));
  EXPECT_TRUE(absl::IsDataLoss(tally.refusals[1].status));
  EXPECT_TRUE(absl::IsUnavailable(tally.refusals[2].status));
  EXPECT_EQ(std::move(group_).Take().size(), 2);
}

TEST_F(CommitGroupTest, WhatFollowsARefusedEventIsHeldBack) {
  fence_.Refuse("user", "test", 1);
  const AppendTally held = Admit(MakeAppend(*bundle_, "user", 2, 3));
  EXPECT_EQ(held.applied, 0);
  ASSERT_EQ(held.refusals.size(), 2);
  EXPECT_TRUE(absl::IsAborted(held.refusals[0].status));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(
      std::string(*held.refusals[1].status.GetPayload(kErrorInfoType))));
  EXPECT_EQ(info.reason(), "HELD_BACK");
  EXPECT_EQ(info.domain(), "qlarank");
  EXPECT_EQ(info.metadata().at("sequence"), "1");
  // And so is what follows those.
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 1, 1)).applied, 1);
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 4, 4)).applied, 0);
  EXPECT_EQ(Admit(MakeAppend(*bundle_, "user", 2, 4)).applied, 3);
  EXPECT_TRUE(fence_.empty());
}

TEST_F(CommitGroupTest, WhatIsGivenUpHoldsNothingBack) {
  heads_["full"] = {7, 2, kEpochUs, {{"a", 1}, {"b", 1}}};
  v1::AppendEventsRequest request = OneOfEach({"full", "damaged"});
  Admit(request);
  EXPECT_EQ(fence_.size(), 2);
  request.set_give_up_refused(true);
  EXPECT_EQ(Admit(request).refusals.size(), 2);
  EXPECT_TRUE(fence_.empty());
  // But not what is worth sending again.
  request = OneOfEach({"unread"});
  request.set_give_up_refused(true);
  Admit(request);
  EXPECT_EQ(fence_.size(), 1);
}

TEST_F(CommitGroupTest, AtOrBelowItsSourcesMarkAnEventIsADuplicate) {
  ASSERT_TRUE(marks_.Raise("test", {2, ""}).ok());
  const AppendTally tally = Admit(MakeAppend(*bundle_, "user", 1, 3));
  EXPECT_EQ(tally.applied, 1);
  EXPECT_THAT(tally.duplicates, ElementsAre(0, 1));
}

TEST_F(CommitGroupTest, CompleteSourcesNeedNoWatermarkAndCountForNoLimit) {
  heads_["user"] = {7, 4, kEpochUs, {{"a", 2}, {"b", 2}}};
  EXPECT_EQ(Admit(OneOfEach({"user"})).applied, 0);
  ASSERT_TRUE(marks_.Raise("a", {1, ""}).ok());
  EXPECT_EQ(Admit(OneOfEach({"user"})).applied, 0);
  ASSERT_TRUE(marks_.Raise("a", {2, ""}).ok());
  EXPECT_EQ(Admit(OneOfEach({"user"})).applied, 1);
  const auto appends = std::move(group_).Take();
  ASSERT_EQ(appends.size(), 1);
  EXPECT_THAT(appends[0].head_after.watermarks,
              ElementsAre(::testing::Pair("b", 2), ::testing::Pair("test", 1)));
}

}  // namespace
}  // namespace qlarank::testing
