#include "server/ops/file_limit.h"

#include <sys/resource.h>

#include <algorithm>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(FileLimitTest, ConnectionsGetWhatOthersLeave) {
  EXPECT_EQ(ShareFiles(1'024).tables, 256u);
  EXPECT_EQ(ShareFiles(1'024).connections, 512u);
  EXPECT_EQ(ShareFiles(20'000).tables, 1'000u);
  EXPECT_EQ(ShareFiles(20'000).connections, 18'744u);
  // Too few for anything, but a share for each.
  EXPECT_EQ(ShareFiles(64).tables, 16u);
  EXPECT_EQ(ShareFiles(64).connections, 32u);
}

TEST(FileLimitTest, RaisesTheSoftLimitToTheHardOne) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 512;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(ShareFiles().connections, ShareFiles(512).connections);
  RaiseFileLimit();
  rlimit after;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, std::min<rlim_t>(before.rlim_max, kMostFiles));
  EXPECT_EQ(ShareFiles().connections, ShareFiles(after.rlim_cur).connections);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace qlarank
