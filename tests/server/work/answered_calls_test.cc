#include "server/work/answered_calls.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qlarank/v1/model_admin_service.pb.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

std::string DigestOf(const google::protobuf::Message& request) {
  return AskedFor(request, "id")->digest;
}

TEST(AskedForTest, IsTheSameForTheSameRequestOnly) {
  v1::UpsertItemsRequest request;
  auto& attributes = *request.add_items()->mutable_attributes();
  for (int i = 0; i < 100; ++i) attributes[absl::StrCat(i)].add_values("x");
  v1::UpsertItemsRequest same;
  auto& backwards = *same.add_items()->mutable_attributes();
  for (int i = 100; i-- > 0;) backwards[absl::StrCat(i)].add_values("x");
  EXPECT_EQ(DigestOf(request), DigestOf(same));
  backwards["7"].add_values("y");
  EXPECT_NE(DigestOf(request), DigestOf(same));
  // Of another kind, with the same bytes.
  EXPECT_NE(DigestOf(v1::RollbackRequest()), DigestOf(v1::SetLabelRequest()));
}

TEST(AskedForTest, NothingWithoutAnIdAndForATrial) {
  v1::RollbackRequest request;
  EXPECT_EQ(*AskedFor(request), AskedChange());
  request.set_request_id("a");
  EXPECT_EQ(AskedFor(request)->request_id, "a");
  request.set_validate_only(true);
  EXPECT_EQ(*AskedFor(request), AskedChange());
}

TEST(AskedForTest, AnIdThatIsTooLongIsNamed) {
  v1::RollbackRequest request;
  request.set_request_id(std::string(64, 'a'));
  EXPECT_TRUE(AskedFor(request).ok());
  request.set_request_id(std::string(65, 'a'));
  const absl::Status status = AskedFor(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("request_id: \"aaa"));
}

TEST(AnsweredCallsTest, RemembersTheLastOnes) {
  AnsweredCalls<int> calls(2);
  for (int i = 0; i < 3; ++i) calls.Add({absl::StrCat(i), "digest"}, i);
  EXPECT_EQ(*calls.Find({"0", "digest"}), nullptr);
  EXPECT_EQ(**calls.Find({"1", "digest"}), 1);
  EXPECT_EQ(**calls.Find({"2", "digest"}), 2);
  EXPECT_EQ(calls.Find({"2", "another"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(AnsweredCallsTest, WhatHasNoIdIsNotRemembered) {
  AnsweredCalls<int> calls(2);
  calls.Add({}, 1);
  EXPECT_EQ(*calls.Find({}), nullptr);
  EXPECT_EQ(calls.calls().size(), 0);
}

}  // namespace
}  // namespace qlarank
