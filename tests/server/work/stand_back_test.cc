#include "server/work/stand_back.h"

#include <sys/resource.h>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

int Nice() { return ::getpriority(PRIO_PROCESS, 0); }

TEST(StandBackTest, WorkIsDoneByANicerThread) {
  const int before = Nice();
  int within = -1;
  RunStandingBack([&] { within = Nice(); });
  EXPECT_EQ(within, 19);
  EXPECT_EQ(Nice(), before);
}

}  // namespace
}  // namespace qlarank
