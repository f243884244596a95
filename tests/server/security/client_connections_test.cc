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

TEST(ClientConnectionsTest, EachClientHasItsOwnShare) {
  ClientConnections connections(2);
  Pair a, b, c, d;
  EXPECT_TRUE(connections.Admit("1.1.1.1", a.file()));
  EXPECT_TRUE(connections.Admit("1.1.1.1", b.file()));
  EXPECT_FALSE(connections.Admit("1.1.1.1", c.file()));
  EXPECT_TRUE(connections.Admit("2.2.2.2", c.file()));
  EXPECT_EQ(connections.open(), 3u);
  EXPECT_FALSE(connections.Admit("1.1.1.1", d.file()));
}

TEST(ClientConnectionsTest, AConnectionThatEndedCountsNoMore) {
  ClientConnections connections(1);
  Pair first, second, third;
  EXPECT_TRUE(connections.Admit("1.1.1.1", first.file()));
  EXPECT_FALSE(connections.Admit("1.1.1.1", second.file()));
  first.Close();
  EXPECT_EQ(connections.open(), 0u);
  EXPECT_TRUE(connections.Admit("1.1.1.1", second.file()));
  EXPECT_FALSE(connections.Admit("1.1.1.1", third.file()));
}

// The number of a closed file goes to the next socket that is opened.
TEST(ClientConnectionsTest, ANumberThatIsUsedAgainIsAnotherConnection) {
  ClientConnections connections(1);
  Pair first;
  const int number = first.file();
  EXPECT_TRUE(connections.Admit("1.1.1.1", number));
  first.Close();
  Pair next;
  ASSERT_EQ(next.file(), number);
  EXPECT_EQ(connections.open(), 0u);
  EXPECT_TRUE(connections.Admit("1.1.1.1", next.file()));
  EXPECT_EQ(connections.open(), 1u);
}

TEST(ClientConnectionsTest, ForgetsClientsThatLeft) {
  ClientConnections connections(1);
  for (int i = 0; i < 1000; ++i) {
    Pair passing;
    EXPECT_TRUE(connections.Admit(absl::StrCat(i), passing.file()));
  }
  EXPECT_EQ(connections.open(), 0u);
}

}  // namespace
}  // namespace qlarank
