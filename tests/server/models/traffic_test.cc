#include "server/models/traffic.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/request_log/request_sample.h"
#include "state_store/partition_hash.h"

namespace qlarank::testing {
namespace {

constexpr int kUsers = 20'000;

std::string User(int i) { return absl::StrCat("user-", i); }

int CountIn(const Traffic& traffic, const std::string& model = "m") {
  int count = 0;
  for (int i = 0; i < kUsers; ++i) count += traffic.Has(model, User(i));
  return count;
}

TEST(TrafficTest, HasItsShareOfTheUsersAndThoseWhoAreNamed) {
  EXPECT_EQ(CountIn({"canary", 0}), 0);
  EXPECT_EQ(CountIn({"canary", 1}), kUsers);
  EXPECT_NEAR(CountIn({"canary", .05}), .05 * kUsers, 100);
  EXPECT_EQ(CountIn({"canary", 0, {User(17), User(5)}}), 2);
}

TEST(TrafficTest, ALargerShareHasAllOfASmallerOne) {
  for (int i = 0; i < kUsers; ++i) {
    if (Traffic{"canary", .05}.Has("m", User(i))) {
      EXPECT_TRUE((Traffic{"canary", .1}.Has("m", User(i))));
    }
  }
}

// Stays as it is: users must not change sides with a release.
TEST(TrafficTest, IsTheSameInEveryProcess) {
  EXPECT_TRUE((Traffic{"canary", .66}.Has("m", "user-1")));
  EXPECT_FALSE((Traffic{"canary", .65}.Has("m", "user-1")));
}

TEST(TrafficTest, OfOneModelSaysNothingOfAnothers) {
  int both = 0;
  for (int i = 0; i < kUsers; ++i) {
    both += Traffic{"canary", .1}.Has("m", User(i)) &&
            Traffic{"canary", .1}.Has("n", User(i));
  }
  EXPECT_NEAR(both, .01 * kUsers, 60);
}

TEST(TrafficTest, IsSpreadOverPartitionsAndSamples) {
  const RequestSample sample(.5, /*users=*/true);
  std::map<uint32_t, int> by_partition;
  int sampled = 0;
  for (int i = 0; i < kUsers; ++i) {
    if (!Traffic{"canary", .1}.Has("m", User(i))) continue;
    ++by_partition[PartitionOf(User(i), 4)];
    v1::RankRequest request;
    request.set_user_id(User(i));
    sampled += sample.Has(request, 0);
  }
  for (uint32_t partition = 0; partition < 4; ++partition) {
    EXPECT_NEAR(by_partition[partition], .025 * kUsers, 90);
  }
  EXPECT_NEAR(sampled, .05 * kUsers, 130);
}

}  // namespace
}  // namespace qlarank::testing
