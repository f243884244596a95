// That a change was refused, and why.
#ifndef QLARANK_TESTS_SERVER_ROLLOUT_EXPECT_REFUSED_H_
#define QLARANK_TESTS_SERVER_ROLLOUT_EXPECT_REFUSED_H_

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank::testing {

inline void ExpectRefused(const absl::Status& status, absl::StatusCode code,
                          const std::string& why) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(why));
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_ROLLOUT_EXPECT_REFUSED_H_
