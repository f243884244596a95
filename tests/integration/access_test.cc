// Who is let in: every kind of caller against every method that the server says
// it serves, so that no RPC can be forgotten.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/secure_server.h"
#include "tests/server/http_client.h"

namespace qlarank::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using grpc::StatusCode;

// Who calls, and what becomes of calls that need a role. A caller that TLS
// keeps out does not even reach the methods that are open to anyone.
struct BadCaller {
  std::string name;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string authorization;
  StatusCode expected;
  bool kept_out_by_tls = false;
};

bool IsRefusal(const grpc::Status& status) {
  return status.error_code() == StatusCode::UNAUTHENTICATED ||
         status.error_code() == StatusCode::PERMISSION_DENIED;
}

std::string BearerOf(const std::string& name) {
  return absl::StrCat("Bearer ", SecretOf(name));
}

class AccessTest : public ::testing::TestWithParam<Listener> {
 protected:
  AccessTest() { server_.Start(); }

  std::shared_ptr<grpc::Channel> Connect(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    return server_.Connect(GetParam(), credentials);
  }

  std::vector<std::string> Methods() {
    return ListMethods(Connect(server_.Tls()), BearerOf("admin"));
  }

  std::vector<BadCaller> BadCallers() {
    const TestAuthority& ours = server_.authority();
    const TestAuthority other(server_.Path(""), "other");
    const char kName[] = "DNS:ranker.internal";
    const auto expired = ours.Issue("expired", "c", kName, /*days=*/0);
    const auto wrong_authority = other.Issue("wrong", "c", kName);
    const auto stranger = ours.Issue("stranger", "ranker.internal",
                                     "DNS:stranger.internal");
    return {
        {"no credentials", server_.Tls(), "", StatusCode::UNAUTHENTICATED},
        {"an unknown token", server_.Tls(), "Bearer no",
         StatusCode::UNAUTHENTICATED},
        {"an empty token", server_.Tls(), "Bearer ",
         StatusCode::UNAUTHENTICATED},
        {"another scheme", server_.Tls(), "Basic " + SecretOf("admin"),
         StatusCode::UNAUTHENTICATED},
        {"an expired token", server_.Tls(), BearerOf("expired"),
         StatusCode::UNAUTHENTICATED},
        {"an unknown certificate name", server_.Tls(stranger), "",
         StatusCode::UNAUTHENTICATED},
        {"an unknown token behind a known name",
         server_.Tls(ours.Issue("known", "c", kName)), "Bearer no",
         StatusCode::UNAUTHENTICATED},
        {"an expired certificate", server_.Tls(expired), BearerOf("admin"),
         StatusCode::UNAVAILABLE, true},
        {"another authority's certificate", server_.Tls(wrong_authority),
         BearerOf("admin"), StatusCode::UNAVAILABLE, true},
        {"plaintext", grpc::InsecureChannelCredentials(), BearerOf("admin"),
         StatusCode::UNAVAILABLE, true}};
  }

  SecureServer server_;
};

INSTANTIATE_TEST_SUITE_P(, AccessTest,
                         ::testing::Values(Listener::kMain, Listener::kAdmin),
                         [](const auto& info) {
                           return info.param == Listener::kMain ? "Main"
                                                                : "Admin";
                         });

TEST_P(AccessTest, RefusesEveryBadCallerOnEveryMethod) {
  const std::vector<std::string> methods = Methods();
  for (const BadCaller& caller : BadCallers()) {
    const auto channel = Connect(caller.credentials);
    for (const std::string& method : methods) {
      const MethodAccess* access = FindAccess(method);
      ASSERT_NE(access, nullptr) << method << ": who may call it?";
      const grpc::Status status = Call(channel, method, caller.authorization);
      if (access->role.has_value() || caller.kept_out_by_tls) {
        EXPECT_EQ(status.error_code(), caller.expected)
            << caller.name << ", " << method << ": " << status.error_message();
      } else {
        EXPECT_FALSE(IsRefusal(status)) << caller.name << ", " << method;
      }
    }
  }
}

TEST_P(AccessTest, LetsThoseWithTheRoleThroughAndNobodyElse) {
  const auto channel = Connect(server_.Tls());
  for (const std::string& method : Methods()) {
    const MethodAccess* access = FindAccess(method);
    ASSERT_NE(access, nullptr) << method << ": who may call it?";
    for (const Role role : {Role::kRank, Role::kIngest, Role::kAdmin}) {
      const grpc::Status status =
          Call(channel, method, BearerOf(RoleName(role)));
      if (!access->role.has_value() || *access->role == role) {
        EXPECT_FALSE(IsRefusal(status)) << RoleName(role) << ", " << method;
        EXPECT_NE(status.error_code(), StatusCode::UNAVAILABLE) << method;
      } else {
        EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED)
            << RoleName(role) << ", " << method;
        EXPECT_THAT(status.error_message(), HasSubstr("needs the role"));
      }
    }
  }
}

TEST_P(AccessTest, ServesWhatTheTableSaysAndNothingElse) {
  const std::vector<std::string> methods = Methods();
  const auto channel = Connect(server_.Tls());
  for (const MethodAccess& entry : AccessTable()) {
    const std::string path =
        absl::StrCat("/", entry.service, "/", entry.method);
    const std::string role =
        entry.role.has_value() ? RoleName(*entry.role) : "rank";
    const bool served = Call(channel, path, BearerOf(role)).error_code() !=
                        StatusCode::UNIMPLEMENTED;
    EXPECT_EQ(served, IsServedOn(GetParam(), entry.service, entry.method))
        << path;
    // Reflection names whole services.
    if (served) {
      EXPECT_THAT(methods, Contains(path));
    }
  }
}

// The second is what grpcurl asks for first: it goes on to v1alpha where it is
// told that there is none.
TEST_P(AccessTest, AMethodThatIsInNoTableDoesNotExist) {
  const auto channel = Connect(server_.Tls());
  for (const char* path :
       {"/qlarank.v1.RankService/NoSuchMethod",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/no.such.Service/Method", "/"}) {
    SCOPED_TRACE(path);
    EXPECT_EQ(Call(channel, path, "").error_code(),
              StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(Call(channel, path, "Bearer no").error_code(),
              StatusCode::UNAUTHENTICATED);
    for (const char* name : {"admin", "rank"}) {
      EXPECT_EQ(Call(channel, path, BearerOf(name)).error_code(),
                StatusCode::UNIMPLEMENTED);
    }
  }
}

TEST_P(AccessTest, KnowsClientsByTheNamesInTheirCertificates) {
  const TestAuthority& ours = server_.authority();
  const auto by_alternative_name = server_.Tls(ours.Issue(
      "san", "c", "DNS:other.internal,DNS:ranker.internal"));
  const auto by_common_name =
      server_.Tls(ours.Issue("cn", "ranker.internal", ""));
  for (const auto& credentials : {by_alternative_name, by_common_name}) {
    const auto channel = Connect(credentials);
    // Its role ranks, where ranking is served.
    const grpc::Status rank =
        Call(channel, "/qlarank.v1.RankService/Rank", "");
    EXPECT_FALSE(IsRefusal(rank)) << rank.error_message();
    EXPECT_EQ(rank.error_code() == StatusCode::UNIMPLEMENTED,
              GetParam() == Listener::kAdmin)
        << rank.error_message();
    EXPECT_EQ(
        Call(channel, "/qlarank.v1.StateService/DeleteUser", "").error_code(),
        StatusCode::PERMISSION_DENIED);
    // A token counts instead.
    EXPECT_FALSE(IsRefusal(Call(
        channel, "/qlarank.v1.StateService/DeleteUser", BearerOf("admin"))));
  }
}

TEST_P(AccessTest, CountsWhatItRefuses) {
  const auto channel = Connect(server_.Tls());
  const std::string path = "/qlarank.v1.StateService/DeleteUser";
  Call(channel, path, "");
  Call(channel, path, "Bearer no");
  Call(channel, path, BearerOf("expired"));
  Call(channel, path, BearerOf("rank"));
  Call(channel, path, BearerOf("rank"));
  const std::string metrics =
      HttpGet(server_.server().http_port(), "/metrics").body;
  for (const char* line :
       {"reason=\"no_credentials\"} 1\n", "reason=\"unknown_token\"} 1\n",
        "reason=\"expired_token\"} 1\n", "reason=\"wrong_role\"} 2\n",
        "reason=\"malformed\"} 0\n"}) {
    EXPECT_THAT(metrics,
                HasSubstr(absl::StrCat("qlarank_auth_denied_total{", line)));
  }
}

}  // namespace
}  // namespace qlarank::testing
