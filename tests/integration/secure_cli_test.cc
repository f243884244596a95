// The command line against a server with TLS, tokens and certificate names.
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/secure_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SecureCliTest : public ::testing::Test {
 protected:
  SecureCliTest() {
    // Of a model whose events have no features.
    server_.options().models = {GoldenModel("dot_l2_decay_conv")};
    server_.Start();
    for (const char* name : {"rank", "ingest", "admin", "twice"}) {
      std::ofstream(server_.Path(name)) << SecretOf(name) << "\n";
    }
  }

  // With the token of that name, unless "".
  CliResult Run(const std::string& token, std::vector<std::string> arguments) {
    std::vector<std::string> all = {
        "--server", absl::StrCat("localhost:", server_.server().grpc_port()),
        "--admin-server",
        absl::StrCat("localhost:", server_.server().admin_port()),
        "--tls-ca", server_.authority().certificate_file()};
    if (!token.empty()) {
      all.insert(all.end(), {"--token-file", server_.Path(token)});
    }
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunCli(all);
  }

  SecureServer server_;
};

TEST_F(SecureCliTest, EachTokenDoesItsPart) {
  const std::string events = WriteFile(
      "events.csv", "user,item,time\nann,1,1700000000\nann,2,1700000060\n");
  const CliResult imported = Run("ingest", {"import", events});
  EXPECT_EQ(imported.code, ExitCode::kOk) << imported.err;
  EXPECT_EQ(Run("rank", {"state", "--user", "ann"}).code, ExitCode::kOk);
  EXPECT_EQ(Run("rank", {"model", "show"}).code, ExitCode::kOk);
  const CliResult erased =
      Run("admin", {"delete-user", "--user", "ann", "--yes"});
  EXPECT_EQ(erased.code, ExitCode::kOk) << erased.err;

  const CliResult refused = Run("rank", {"import", events});
  EXPECT_EQ(refused.code, ExitCode::kRpcError);
  EXPECT_THAT(refused.err, HasSubstr("needs the role ingest, which \"rank\" "
                                     "does not have"));
  for (const char* token : {"ingest", "admin", ""}) {
    EXPECT_EQ(Run(token, {"model", "list"}).code, ExitCode::kRpcError) << token;
    EXPECT_EQ(Run(token, {"model", "show"}).code, ExitCode::kRpcError) << token;
  }
  EXPECT_EQ(Run("", {"state", "--user", "ann"}).code, ExitCode::kRpcError);
  EXPECT_EQ(Run("twice", {"delete-user", "--user", "ann", "--yes"}).code,
            ExitCode::kRpcError);
  for (const CliResult& result : {imported, erased, refused}) {
    EXPECT_THAT(result.err + result.out, Not(HasSubstr("secret-of")));
  }
}

TEST_F(SecureCliTest, ACertificateDoes) {
  const KeyPair pair =
      server_.authority().Issue("client", "c", "DNS:ranker.internal");
  EXPECT_EQ(Run("", {"--tls-cert", pair.certificate_file, "--tls-key",
                     pair.private_key_file, "state", "--user", "nobody"})
                .code,
            ExitCode::kNegative);  // let in: there is no such user
}

TEST_F(SecureCliTest, DoesNotTalkToAServerThatItCannotTrust) {
  const TestAuthority other(server_.Path(""), "other");
  const CliResult result =
      RunCli({"--server",
              absl::StrCat("localhost:", server_.server().grpc_port()),
              "--tls-ca", other.certificate_file(), "--token-file",
              server_.Path("rank"), "--timeout", "2", "state", "--user", "a"});
  EXPECT_EQ(result.code, ExitCode::kUnavailable) << result.err;
}

}  // namespace
}  // namespace qlarank::testing
