#include "server/security/client_connections.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

// A socket, and its other end.
class Pair {
 public:
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, files_), 0); }
  ~Pair() {
    Close();
    close(files_[1]);
  }
  Pair(const Pair&) = delete;

  int file() const { return files_[0]; }
  void Close() {
    if (files_[0] >= 0) close(files_[0]);
    files_[0] = -1;
  }

 private:
  int files_[2];
};

using Verdict = ClientConnections::Verdict;

bool Admits(ClientConnections& connections, absl::string_view client,
            int file) {
  return connections.Admit(client, file, absl::UnixEpoch()) ==
         Verdict::kAdmitted;
}

TEST(ClientConnectionsTest, EachClientHasItsOwnShare) {
  ClientConnections connections(2, 1'000);
  Pair a, b, c, d;
  EXPECT_TRUE(Admits(connections, "1.1.1.1", a.file()));
  EXPECT_TRUE(Admits(connections, "1.1.1.1", b.file()));
  EXPECT_FALSE(Admits(connections, "1.1.1.1", c.file()));
  EXPECT_TRUE(Admits(connections, "2.2.2.2", c.file()));
  EXPECT_EQ(connections.open(), 3u);
  EXPECT_FALSE(Admits(connections, "1.1.1.1", d.file()));
}

TEST(ClientConnectionsTest, AConnectionThatEndedCountsNoMore) {
  ClientConnections connections(1, 1'000);
  Pair first, second, third;
  EXPECT_TRUE(Admits(connections, "1.1.1.1", first.file()));
  EXPECT_FALSE(Admits(connections, "1.1.1.1", second.file()));
  first.Close();
  EXPECT_EQ(connections.open(), 0u);
  EXPECT_TRUE(Admits(connections, "1.1.1.1", second.file()));
  EXPECT_FALSE(Admits(connections, "1.1.1.1", third.file()));
}

// The number of a closed file goes to the next socket that is opened.
TEST(ClientConnectionsTest, ANumberThatIsUsedAgainIsAnotherConnection) {
  ClientConnections connections(1, 1'000);
  Pair first;
  const int number = first.file();
  EXPECT_TRUE(Admits(connections, "1.1.1.1", number));
  first.Close();
  Pair next;
  ASSERT_EQ(next.file(), number);
  EXPECT_EQ(connections.open(), 0u);
  EXPECT_TRUE(Admits(connections, "1.1.1.1", next.file()));
  EXPECT_EQ(connections.open(), 1u);
}

TEST(ClientConnectionsTest, AllTogetherHaveSoManyAndNoMore) {
  ClientConnections connections(2, 3);
  Pair a, b, c, d;
  EXPECT_TRUE(Admits(connections, "1.1.1.1", a.file()));
  EXPECT_TRUE(Admits(connections, "1.1.1.1", b.file()));
  EXPECT_TRUE(Admits(connections, "2.2.2.2", c.file()));
  const absl::Time now = absl::UnixEpoch() + absl::Seconds(1);
  EXPECT_EQ(connections.Admit("3.3.3.3", d.file(), now),
            Verdict::kAllHaveTooMany);
  // One that ended is noticed a moment later.
  a.Close();
  EXPECT_EQ(connections.Admit("3.3.3.3", d.file(), now),
            Verdict::kAllHaveTooMany);
  EXPECT_EQ(connections.Admit("3.3.3.3", d.file(),
                              now + absl::Milliseconds(100)),
            Verdict::kAdmitted);
  // Whatever the clock does.
  b.Close();
  Pair e;
  EXPECT_EQ(connections.Admit("3.3.3.3", e.file(), now - absl::Hours(1)),
            Verdict::kAdmitted);
}

TEST(ClientConnectionsTest, OneClientLeavesAQuarterToOthers) {
  ClientConnections connections(1'000, 8);
  Pair pairs[9];
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(Admits(connections, "1.1.1.1", pairs[i].file()));
  }
  EXPECT_EQ(connections.Admit("1.1.1.1", pairs[6].file(), absl::UnixEpoch()),
            Verdict::kClientHasTooMany);
  EXPECT_TRUE(Admits(connections, "2.2.2.2", pairs[6].file()));
  EXPECT_TRUE(Admits(connections, "3.3.3.3", pairs[7].file()));
  EXPECT_EQ(connections.Admit("4.4.4.4", pairs[8].file(), absl::UnixEpoch()),
            Verdict::kAllHaveTooMany);
}

TEST(ClientConnectionsTest, ForgetsClientsThatLeft) {
  ClientConnections connections(1, 1'000);
  for (int i = 0; i < 1000; ++i) {
    Pair passing;
    EXPECT_TRUE(Admits(connections, absl::StrCat(i), passing.file()));
  }
  EXPECT_EQ(connections.open(), 0u);
}

}  // namespace
}  // namespace qlarank
