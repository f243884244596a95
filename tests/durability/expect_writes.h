// What everybody who asks is told while the store refuses writes.
#ifndef QLARANK_TESTS_DURABILITY_EXPECT_WRITES_H_
#define QLARANK_TESTS_DURABILITY_EXPECT_WRITES_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/integration/test_server.h"
#include "tests/server/health_client.h"
#include "tests/server/http_client.h"

namespace qlarank::testing {

inline ServingStatus HealthOf(const std::string& address,
                              const std::string& service) {
  grpc::Status error;
  return HealthClient(grpc::CreateChannel(address,
                                          grpc::InsecureChannelCredentials()))
      .Check(service, error);
}

inline CliResult ServeCheck(TestServer& server) {
  return RunCli({"--server", absl::StrCat("127.0.0.1:", server.grpc_port()),
                 "serve-check"});
}

// It ranks, and says that it does no more than that, and why.
inline void ExpectWritesRefused(TestServer& server, const std::string& why) {
  using ::testing::HasSubstr;
  using ::testing::StartsWith;
  const std::string main = absl::StrCat("127.0.0.1:", server.grpc_port());
  for (const char* service :
       {"", "qlarank.v1.RankService", "qlarank.v1.StateService"}) {
    EXPECT_EQ(HealthOf(main, service), ServingStatus::kServing) << service;
  }
  EXPECT_EQ(HealthOf(main, "qlarank.v1.IngestService"),
            ServingStatus::kNotServing);
  // There it erases.
  EXPECT_EQ(HealthOf(server.admin_address(), "qlarank.v1.StateService"),
            ServingStatus::kNotServing);
  EXPECT_EQ(HealthOf(server.admin_address(), "qlarank.v1.AdminService"),
            ServingStatus::kServing);
  const HttpReply readyz = HttpGet(server.http_port(), "/readyz");
  EXPECT_EQ(readyz.code, 200);
  EXPECT_THAT(readyz.body, StartsWith("degraded\nwrites: "));
  EXPECT_THAT(readyz.body, HasSubstr(why));
  EXPECT_EQ(MetricValue(server, "qlarank_degraded{part=\"writes\"}"), 1);
  const CliResult check = ServeCheck(server);
  EXPECT_EQ(check.code, ExitCode::kNegative) << check.out;
  EXPECT_THAT(check.out,
              ::testing::ContainsRegex("qlarank.v1.IngestService +NOT_SERVING"));
  EXPECT_THAT(check.out, HasSubstr(why));
}

inline void ExpectWritesTaken(TestServer& server) {
  EXPECT_EQ(HealthOf(absl::StrCat("127.0.0.1:", server.grpc_port()),
                     "qlarank.v1.IngestService"),
            ServingStatus::kServing);
  EXPECT_EQ(HttpGet(server.http_port(), "/readyz").body, "ok\n");
  EXPECT_EQ(MetricValue(server, "qlarank_degraded{part=\"writes\"}"), 0);
  const CliResult check = ServeCheck(server);
  EXPECT_EQ(check.code, ExitCode::kOk) << check.out;
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_DURABILITY_EXPECT_WRITES_H_
