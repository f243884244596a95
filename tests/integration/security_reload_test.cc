// What changes while the server runs: tokens, certificates, their authority.
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/logging.h"
#include "tests/integration/secure_server.h"
#include "tests/server/http_client.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using grpc::StatusCode;

constexpr char kErase[] = "/qlarank.v1.StateService/DeleteUser";

class SecurityReloadTest : public ::testing::Test {
 protected:
  SecurityReloadTest() { InitLogging({}, log_); }
  ~SecurityReloadTest() override {
    server_.Stop();
    InitLogging({});
  }

  // At once, as operators should: whoever looks sees one file or the other.
  void Replace(const std::string& path, const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }

  StatusCode Erase(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                   const std::string& token) {
    return Call(server_.Connect(Listener::kAdmin, credentials), kErase,
                "Bearer " + token)
        .error_code();
  }

  // The server looks once a second.
  static bool Eventually(const std::function<bool()>& holds) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (!holds()) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(100));
    }
    return true;
  }

  std::string Metrics() {
    return HttpGet(server_.server().http_port(), "/metrics").body;
  }

  std::stringstream log_;
  SecureServer server_;
};

TEST_F(SecurityReloadTest, TakesTokensThatChange) {
  server_.Start();
  const std::string path = server_.options().security.token_file;
  EXPECT_EQ(Erase(server_.Tls(), "new-token"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")),
            StatusCode::INVALID_ARGUMENT);  // let in: the user id is missing
  Replace(path, TokenEntry("new", "new-token", "roles: ROLE_ADMIN"));
  EXPECT_TRUE(Eventually([&] {
    return Erase(server_.Tls(), "new-token") == StatusCode::INVALID_ARGUMENT;
  }));
  // What is not in the file any more is revoked.
  EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")),
            StatusCode::UNAUTHENTICATED);
}

TEST_F(SecurityReloadTest, KeepsItsTokensWhenTheFileIsWrongAndTellsNoSecret) {
  server_.Start();
  const std::string path = server_.options().security.token_file;
  const auto refused = [&](int times) {
    return Eventually([&] {
      return absl::StrContains(
          Metrics(), absl::StrCat("qlarank_security_reloads_total{file="
                                  "\"tokens\",result=\"error\"} ",
                                  times, "\n"));
    });
  };
  // A token where its digest belongs, well-formed and not.
  Replace(path, "tokens { name: 'x' sha256: 'open-sesame' roles: ROLE_RANK }");
  EXPECT_TRUE(refused(1));
  Replace(path, "tokens { name: 'x' sha256: open-sesame roles: ROLE_RANK } ");
  EXPECT_TRUE(refused(2));
  EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")),
            StatusCode::INVALID_ARGUMENT);
  server_.Stop();
  EXPECT_THAT(log_.str(), HasSubstr("changed security file is wrong"));
  EXPECT_THAT(log_.str(), HasSubstr("tokens[0].sha256: expected 64"));
  EXPECT_THAT(log_.str(), Not(HasSubstr("open-sesame")));
  EXPECT_THAT(log_.str(), Not(HasSubstr("secret-of")));
}

// An empty file is more often one that was cut short than the wish that nobody
// may call.
TEST_F(SecurityReloadTest, KeepsItsTokensWhenTheFileIsEmptiedOrGone) {
  server_.Start();
  const std::string path = server_.options().security.token_file;
  const std::string good = ReadFile(path);
  const auto degraded = [&](int value) {
    return Eventually([&] {
      return absl::StrContains(
          Metrics(),
          absl::StrCat("qlarank_degraded{part=\"tokens\"} ", value, "\n"));
    });
  };
  const auto readyz = [&] {
    return HttpGet(server_.server().http_port(), "/readyz");
  };
  const std::vector<std::function<void()>> mistakes = {
      [&] { std::ofstream(path, std::ios::trunc).flush(); },
      [&] { std::filesystem::remove(path); },
      [&] { Replace(path, "# all of them gone\n"); }};
  for (const auto& mistake : mistakes) {
    mistake();
    EXPECT_TRUE(degraded(1));
    EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")),
              StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(readyz().code, 200);
    EXPECT_EQ(readyz().body,
              "degraded\ntokens: the changed file is wrong, the log says why; "
              "the tokens of the one before stay valid\n");
    Replace(path, good);
    EXPECT_TRUE(degraded(0));
    EXPECT_EQ(readyz().body, "ok\n");
  }
  // How it is really done: docs/security.md.
  Replace(path, TokenEntry("admin", SecretOf("admin"),
                           "roles: ROLE_ADMIN expires: "
                           "'2020-01-01T00:00:00Z'"));
  EXPECT_TRUE(Eventually([&] {
    return Erase(server_.Tls(), SecretOf("admin")) ==
           StatusCode::UNAUTHENTICATED;
  }));
  server_.Stop();
  EXPECT_THAT(log_.str(), HasSubstr("tokens.textproto: holds no token"));
  EXPECT_THAT(log_.str(), HasSubstr("cannot be read: No such file"));
}

TEST_F(SecurityReloadTest, AServerWithoutATokenDoesNotStart) {
  Replace(server_.options().security.token_file, "");
  EXPECT_THAT(std::string(Server::Start(server_.options()).status().message()),
              HasSubstr("security.token_file: "));
}

TEST_F(SecurityReloadTest, TakesCertificatesThatChange) {
  server_.Start();
  const TestAuthority next(server_.Path(""), "next");
  const auto trusts_next =
      grpc::SslCredentials({ReadFile(next.certificate_file()), "", ""});
  EXPECT_EQ(Erase(trusts_next, SecretOf("admin")), StatusCode::UNAVAILABLE);
  const std::string before = Metrics();
  const KeyPair pair = next.Issue("next_server", "server", "DNS:localhost", 5);
  const TlsOptions& tls = server_.options().security.tls;
  Replace(tls.private_key_file, ReadFile(pair.private_key_file));
  Replace(tls.certificate_file, ReadFile(pair.certificate_file));
  EXPECT_TRUE(Eventually([&] {
    return Erase(trusts_next, SecretOf("admin")) ==
           StatusCode::INVALID_ARGUMENT;
  }));
  EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")), StatusCode::UNAVAILABLE);
  // The new one ends sooner: its end is what the metric tells.
  const auto end_in = [](const std::string& metrics) {
    const std::string name =
        "qlarank_tls_certificate_expiry_timestamp_seconds{certificate="
        "\"server\"} ";
    return std::stod(metrics.substr(metrics.find(name) + name.size()));
  };
  EXPECT_TRUE(Eventually([&] { return end_in(Metrics()) < end_in(before); }));
  EXPECT_NEAR(end_in(Metrics()),
              absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()) +
                  5 * 24 * 3600,
              3600);
}

TEST_F(SecurityReloadTest, TakesAnAuthorityOfClientsThatChanges) {
  server_.options().security.tls.require_client_certificate = true;
  server_.Start();
  const TestAuthority next(server_.Path(""), "next");
  const auto client = server_.Tls(next.Issue("client", "c", "DNS:c"));
  EXPECT_EQ(Erase(client, SecretOf("admin")), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Erase(server_.Tls(), SecretOf("admin")), StatusCode::UNAVAILABLE);
  Replace(server_.options().security.tls.client_ca_file,
          ReadFile(next.certificate_file()));
  EXPECT_TRUE(Eventually([&] {
    return Erase(client, SecretOf("admin")) == StatusCode::INVALID_ARGUMENT;
  }));
}

// A key before its certificate, as tools write them: it heals by itself.
TEST_F(SecurityReloadTest, RecoversFromAKeyOfAnotherCertificate) {
  server_.Start();
  const TlsOptions& tls = server_.options().security.tls;
  const std::string key = ReadFile(tls.private_key_file);
  const KeyPair other =
      server_.authority().Issue("another", "server", "DNS:localhost");
  Replace(tls.private_key_file, ReadFile(other.private_key_file));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Metrics(),
                             "qlarank_security_reloads_total{file="
                             "\"certificates\",result=\"error\"} 1\n");
  }));
  EXPECT_THAT(HttpGet(server_.server().http_port(), "/readyz").body,
              HasSubstr("degraded\ncertificates: the changed file is wrong"));
  Replace(tls.private_key_file, key);
  EXPECT_TRUE(Eventually([&] {
    return Erase(server_.Tls(), SecretOf("admin")) ==
           StatusCode::INVALID_ARGUMENT;
  }));
  server_.Stop();
  EXPECT_THAT(log_.str(), HasSubstr("is not the key of"));
  EXPECT_THAT(log_.str(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_F(SecurityReloadTest, WithoutItsFilesAServerDoesNotStart) {
  SecurityOptions& security = server_.options().security;
  const SecurityOptions good = security;
  const auto error = [&] {
    return std::string(Server::Start(server_.options()).status().message());
  };
  security.token_file = "/no/such";
  EXPECT_THAT(error(), HasSubstr("security.token_file: \"/no/such\": cannot be "
                                 "read"));
  security.token_file = server_.Path("");
  EXPECT_THAT(error(), HasSubstr(": cannot be read"));
  security = good;
  security.tls.certificate_file = "/no/such";
  EXPECT_THAT(error(), HasSubstr("security.tls.certificate_file: \"/no/such\": "
                                 "cannot be read"));
  security = good;
  security.tls.certificate_file =
      server_.authority().Issue("old", "server", "DNS:localhost", 0)
          .certificate_file;
  security.tls.private_key_file = server_.Path("old.key");
  EXPECT_THAT(error(), HasSubstr("a certificate expired at "));
}

// On a loopback, tokens work without TLS.
TEST_F(SecurityReloadTest, TakesTokensInTheClearFromThisMachine) {
  server_.options().security.tls = {};
  server_.options().security.client_names = {};
  server_.Start();
  const auto plaintext = grpc::InsecureChannelCredentials();
  EXPECT_EQ(Erase(plaintext, SecretOf("admin")), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Erase(plaintext, SecretOf("rank")), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Erase(plaintext, "no"), StatusCode::UNAUTHENTICATED);
}

TEST_F(SecurityReloadTest, WarnsOnceWhenAnyoneMayCall) {
  server_.options().security = {};
  server_.options().listen.grpc_address = "0.0.0.0:0";
  server_.Start();
  EXPECT_THAT(log_.str(), HasSubstr("WARNING anyone who reaches the address "
                                    "may call or listen in "
                                    "address=0.0.0.0:0"));
  server_.Stop();
  log_.str("");
  server_.options().listen.grpc_address = "127.0.0.1:0";
  server_.Start();
  server_.Stop();
  EXPECT_THAT(log_.str(), Not(HasSubstr("WARN")));
}

}  // namespace
}  // namespace qlarank::testing
