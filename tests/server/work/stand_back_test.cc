#include "server/work/stand_back.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

int Nice() { return ::getpriority(PRIO_PROCESS, 0); }

TEST(StandBackTest, WorkIsDoneByANicerThread) {
  const int before = Nice();
  EXPECT_EQ(StandingBack([] { return Nice(); }), std::max(before, 10));
  int within = -1;
  StandingBack([&] { within = Nice(); });
  EXPECT_EQ(within, std::max(before, 10));
  EXPECT_EQ(Nice(), before);
}

TEST(StandBackTest, PieceAfterPieceByOneThread) {
  StandBackThread thread;
  std::set<pid_t> by;
  int pieces = 0;
  for (int i = 0; i < 1000; ++i) {
    thread.Run([&] {
      by.insert(::gettid());
      ++pieces;
    });
    EXPECT_EQ(pieces, i + 1);
  }
  EXPECT_EQ(by.size(), 1);
  EXPECT_EQ(by.count(::gettid()), 0);
}

}  // namespace
}  // namespace qlarank
