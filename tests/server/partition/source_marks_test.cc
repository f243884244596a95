#include "server/partition/source_marks.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "tests/testing/faulty_state_store.h"

namespace qlarank::testing {
namespace {

class SourceMarksTest : public ::testing::Test {
 protected:
  Metrics metrics_;
  FaultyStateStore store_;
  SourceMarks marks_{store_, metrics_.ingest.source_marks};
};

TEST_F(SourceMarksTest, AMarkOnlyGoesForward) {
  EXPECT_TRUE(marks_.empty());
  EXPECT_EQ(*marks_.Raise("a", {5, "five"}), (SourceMark{5, "five"}));
  EXPECT_EQ(*marks_.Raise("a", {3, "three"}), (SourceMark{5, "five"}));
  EXPECT_EQ(marks_.CompleteThrough("a"), 5);
  EXPECT_EQ(*marks_.Raise("a", {5, "again"}), (SourceMark{5, "again"}));
  EXPECT_EQ(*marks_.Raise("a", {6, ""}), (SourceMark{6, ""}));
  EXPECT_EQ(*marks_.Get("a"), (SourceMark{6, ""}));
  EXPECT_EQ(marks_.CompleteThrough("b"), 0);
  EXPECT_EQ(marks_.Get("b")->complete_through, 0);
  EXPECT_EQ(metrics_.ingest.source_marks.Value(), 1);
}

TEST_F(SourceMarksTest, AnotherLifeFindsThemAgain) {
  for (uint64_t n = 1; n <= 1000; ++n) {
    ASSERT_TRUE(marks_.Raise(absl::StrCat("source", n), {n, ""}).ok());
  }
  Metrics metrics;
  SourceMarks again(store_, metrics.ingest.source_marks);
  ASSERT_TRUE(again.Load().ok());
  for (uint64_t n = 1; n <= 1000; ++n) {
    ASSERT_EQ(again.CompleteThrough(absl::StrCat("source", n)), n);
  }
  EXPECT_EQ(metrics.ingest.source_marks.Value(), 1000);
}

TEST_F(SourceMarksTest, WhatCouldNotBeWrittenDoesNotHold) {
  store_.before_mark = [](auto) { return absl::UnavailableError("full"); };
  EXPECT_TRUE(absl::IsUnavailable(marks_.Raise("a", {5, ""}).status()));
  EXPECT_EQ(marks_.CompleteThrough("a"), 0);
}

}  // namespace
}  // namespace qlarank::testing
