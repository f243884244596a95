#include "config/host_port.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(HostPortTest, ParsesNamesAndAddresses) {
  const std::optional<HostPort> name = ParseHostPort("localhost:8500");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->host, "localhost");
  EXPECT_EQ(name->port, 8500);

  const std::optional<HostPort> ipv6 = ParseHostPort("[::1]:0");
  ASSERT_TRUE(ipv6.has_value());
  EXPECT_EQ(ipv6->host, "::1");
  EXPECT_EQ(ipv6->port, 0);
}

TEST(HostPortTest, RefusesWhatIsNeither) {
  for (const char* address :
       {"", ":", "foo", ":8500", "foo:", "foo:x", "foo:-1", "foo:+1", "foo: 1",
        "foo:65536", "::1:8500", "[]:1"}) {
    EXPECT_FALSE(ParseHostPort(address).has_value()) << address;
  }
}

TEST(HostPortTest, FormatsWhatItParsed) {
  for (const char* address : {"localhost:8500", "[::1]:65535", "0.0.0.0:0"}) {
    EXPECT_EQ(FormatHostPort(*ParseHostPort(address)), address);
  }
}

TEST(HostPortTest, KnowsWhatOnlyThisMachineReaches) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.8.7", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "example.com", "",
        "127.0.0.1.example.com", "localhost.example.com", "127.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace qlarank
