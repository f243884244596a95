// The rules about who may call, and from where.
#include <string>

#include "absl/strings/str_cat.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

absl::StatusOr<ServerOptions> Parse(const std::string& more) {
  return ParseServerConfig(
      absl::StrCat("models { name: 'm' version: 1 } store { path: 's' }", more),
      "f");
}

struct BadSecurity {
  const char* name;
  const char* text;
  const char* error;
};

class BadSecurityTest : public ::testing::TestWithParam<BadSecurity> {};

TEST_P(BadSecurityTest, IsRefused) {
  EXPECT_EQ(Parse(GetParam().text).status(),
            absl::InvalidArgumentError(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    , BadSecurityTest,
    ::testing::Values(
        BadSecurity{"CertificateWithoutKey",
                    "security { tls { certificate_file: 'c' } }",
                    "f: security.tls.private_key_file: \"\"; is required: a "
                    "certificate and its key go together"},
        BadSecurity{"KeyWithoutCertificate",
                    "security { tls { private_key_file: 'k' } }",
                    "f: security.tls.certificate_file: \"\"; is required: a "
                    "certificate and its key go together"},
        BadSecurity{"ClientCaWithoutTls",
                    "security { tls { client_ca_file: 'a' } }",
                    "f: security.tls.client_ca_file: \"a\"; needs "
                    "security.tls.certificate_file"},
        BadSecurity{"RequiresACertificateOfNoAuthority",
                    "security { tls { certificate_file: 'c' private_key_file: "
                    "'k' require_client_certificate: true } }",
                    "f: security.tls.require_client_certificate: true; needs "
                    "security.tls.client_ca_file"},
        BadSecurity{"NamesWithoutCertificates",
                    "security { client_names { name: 'n' roles: ROLE_RANK } }",
                    "f: security.client_names: 1; needs "
                    "security.tls.client_ca_file"},
        BadSecurity{"NamelessTwiceAndWithoutRoles",
                    "security { tls { certificate_file: 'c' private_key_file: "
                    "'k' client_ca_file: 'a' }"
                    "client_names { roles: ROLE_RANK }"
                    "client_names { name: 'n' roles: ROLE_RANK }"
                    "client_names { name: 'n' }"
                    "client_names { name: 'o' roles: 9 } }",
                    "f: security.client_names[0].name: \"\"; is required\n"
                    "f: security.client_names[2].roles: none; expected at "
                    "least one of ROLE_RANK, ROLE_INGEST and ROLE_ADMIN\n"
                    "f: security.client_names[2].name: \"n\"; is there "
                    "already\n"
                    "f: security.client_names[3].roles: unknown; expected at "
                    "least one of ROLE_RANK, ROLE_INGEST and ROLE_ADMIN"},
        BadSecurity{"ReloadsAllTheTime",
                    "security { reload_interval { nanos: 1000000 } }",
                    "f: security.reload_interval: 1ms; must be at least 1 s"},
        BadSecurity{"TokensInTheClear",
                    "listen { grpc_address: '0.0.0.0:1' }"
                    "security { token_file: 't' }",
                    "f: listen.grpc_address: \"0.0.0.0:1\"; must be a loopback "
                    "address: without security.tls, tokens would cross the "
                    "network in the clear"},
        BadSecurity{"AdminForEveryone",
                    "listen { admin_address: '[::]:1' }",
                    "f: listen.admin_address: \"[::]:1\"; must be a loopback "
                    "address without security.tls and one of "
                    "security.token_file and security.client_names"},
        BadSecurity{"AdminForWhoeverHasTls",
                    "listen { admin_address: '0.0.0.0:1' } security { tls { "
                    "certificate_file: 'c' private_key_file: 'k' } }",
                    "f: listen.admin_address: \"0.0.0.0:1\"; must be a loopback "
                    "address without security.tls and one of "
                    "security.token_file and security.client_names"},
        BadSecurity{"TooManyStreams",
                    "connections { max_streams: 2147483648 }",
                    "f: connections.max_streams: 2147483648; must be at most "
                    "2147483647"},
        BadSecurity{"NegativeIdleness",
                    "connections { max_idle { seconds: -1 } }",
                    "f: connections.max_idle: { seconds: -1 nanos: 0 }; must "
                    "not be negative"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SecurityConfigTest, AllowsEveryAddressWithTlsAndAuthentication) {
  const auto options = Parse(
      "listen { grpc_address: '0.0.0.0:1' admin_address: '0.0.0.0:2' }"
      "security { token_file: 't' tls { certificate_file: 'c' "
      "private_key_file: 'k' } }");
  EXPECT_TRUE(options.ok()) << options.status();
}

// A loopback for development needs nothing.
TEST(SecurityConfigTest, AllowsEverythingToBeOff) {
  const auto options = Parse("security { tls {} } listen { grpc_address: "
                             "'0.0.0.0:1' }");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->security.authenticates());
}

}  // namespace
}  // namespace qlarank
