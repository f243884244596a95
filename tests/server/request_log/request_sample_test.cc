#include "server/request_log/request_sample.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

RequestSample Share(double share, bool users = false) {
  RequestLogOptions options;
  options.sample = share;
  options.sample_users = users;
  return RequestSample(options);
}

v1::RankRequest Request(int user, int id) {
  v1::RankRequest request;
  request.set_user_id(absl::StrCat("u", user));
  if (id >= 0) request.set_request_id(absl::StrCat("r", id));
  return request;
}

// Of 100 users' 100 requests.
int Count(const RequestSample& sample) {
  int count = 0;
  for (int user = 0; user < 100; ++user) {
    for (int id = 0; id < 100; ++id) {
      count += sample.Has(Request(user, id), 0);
    }
  }
  return count;
}

// Within 5 standard deviations.
TEST(RequestSampleTest, IsTheShareThatWasAskedFor) {
  EXPECT_EQ(Count(Share(1)), 10'000);
  EXPECT_NEAR(Count(Share(.5)), 5'000, 250);
  EXPECT_NEAR(Count(Share(.01)), 100, 50);
  EXPECT_NEAR(Count(Share(.5, true)), 5'000, 2'500);
  EXPECT_EQ(Count(Share(1e-18)), 0);
}

TEST(RequestSampleTest, IsTheSameInEveryProcess) {
  EXPECT_EQ(Count(Share(.1)), 952);
  EXPECT_EQ(Count(Share(.1, true)), 1'000);
}

TEST(RequestSampleTest, OfUsersHasAllOfTheirRequests) {
  const RequestSample sample = Share(.5, true);
  for (int user = 0; user < 100; ++user) {
    for (int id = 0; id < 10; ++id) {
      EXPECT_EQ(sample.Has(Request(user, id), id),
                sample.Has(Request(user, 0), 0));
    }
  }
}

TEST(RequestSampleTest, TakesTheTimeOfARequestWithoutAnId) {
  const RequestSample sample = Share(.5);
  int count = 0;
  for (int time = 0; time < 1000; ++time) {
    count += sample.Has(Request(1, -1), time);
    EXPECT_EQ(sample.Has(Request(1, 7), time), sample.Has(Request(1, 7), 0));
  }
  EXPECT_NEAR(count, 500, 80);
}

}  // namespace
}  // namespace qlarank
