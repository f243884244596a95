#include "cli/client_security.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

// Any command that talks to a server; nobody listens at port 1.
CliResult Check(std::vector<std::string> options) {
  options.insert(options.begin(), {"serve-check", "--timeout", "0.2"});
  return RunCli(options);
}

void ExpectBadInput(const CliResult& result, const std::string& message) {
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr(message));
}

TEST(ClientSecurityTest, NamesWhatIsMissing) {
  ExpectBadInput(Check({"--tls-ca", "/no/such"}),
                 "--tls-ca: \"/no/such\" cannot be read, or is empty");
  ExpectBadInput(Check({"--tls-cert", "c"}), "--tls-cert and --tls-key");
  ExpectBadInput(Check({"--tls-key", "k"}), "--tls-cert and --tls-key");
  ExpectBadInput(Check({"--tls-cert", "c", "--tls-key", "k"}),
                 "--tls-cert needs --tls-ca");
  ExpectBadInput(Check({"--token-file", WriteFile("empty", "")}),
                 "cannot be read, or is empty");
  ExpectBadInput(Check({"--token-file", WriteFile("two", "one two\n")}),
                 "holds more than one token");
}

TEST(ClientSecurityTest, KeepsATokenOffTheNetworkWithoutTls) {
  const std::string token = WriteFile("token", "abracadabra\n");
  const CliResult result = Check(
      {"--token-file", token, "--server", "ranker.example.com:8500"});
  ExpectBadInput(result, "would cross the network to "
                         "\"ranker.example.com:8500\" in the clear");
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("abracadabra")));
  ExpectBadInput(Check({"--token-file", token, "--admin-server", "10.0.0.1:1"}),
                 "needs --tls-ca");
  EXPECT_EQ(Check({"--token-file", token, "--server", "127.0.0.1:1"}).code,
            ExitCode::kUnavailable);
}

TEST(ClientSecurityTest, TakesWhiteSpaceOffATokenFile) {
  const auto security = LoadClientSecurity(
      {.tls_ca = "", .tls_cert = "", .tls_key = "",
       .token = WriteFile("token", " abracadabra\r\n")},
      {"127.0.0.1:1"});
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_EQ(security->token, "abracadabra");
}

}  // namespace
}  // namespace qlarank
