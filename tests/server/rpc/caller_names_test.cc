#include "server/rpc/caller_names.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(HostOfPeerTest, IsTheHostWhateverThePort) {
  EXPECT_EQ(HostOfPeer("ipv4:10.0.0.7:4000"), "ipv4:10.0.0.7");
  EXPECT_EQ(HostOfPeer("ipv4:10.0.0.7:1"), "ipv4:10.0.0.7");
}

TEST(HostOfPeerTest, IsTheNetworkOfAnIPv6Host) {
  EXPECT_EQ(HostOfPeer("ipv6:[2001:db8:1:2:3:4:5:6]:4000"),
            "ipv6:2001:db8:1:2::");
  EXPECT_EQ(HostOfPeer("ipv6:%5B2001:db8:1:2:ff::1%5D:4000"),
            "ipv6:2001:db8:1:2::");
  EXPECT_NE(HostOfPeer("ipv6:[2001:db8:1:3::1]:4000"), "ipv6:2001:db8:1:2::");
  EXPECT_EQ(HostOfPeer("ipv6:[::1]:4000"), "ipv6:::1");
  EXPECT_EQ(HostOfPeer("ipv6:%5Bfe80::1%25eth0%5D:4000"), "ipv6:fe80::");
}

TEST(HostOfPeerTest, KeepsHostsApartThatCallOverIPv4) {
  EXPECT_EQ(HostOfPeer("ipv6:[::ffff:10.0.0.7]:4000"),
            "ipv6:::ffff:10.0.0.7");
}

TEST(HostOfPeerTest, TakesOtherPeersAsTheyAre) {
  EXPECT_EQ(HostOfPeer("unix:"), "unix:");
  EXPECT_EQ(HostOfPeer("unix:/run/q:1"), "unix:/run/q:1");
  EXPECT_EQ(HostOfPeer("ipv6:[no address]:4000"), "ipv6:no address");
  EXPECT_EQ(HostOfPeer(""), "");
}

}  // namespace
}  // namespace qlarank
