// The load generator against a real server.
#include "bench/load/load_run.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::bench {
namespace {

using ::testing::HasSubstr;

// Of a model whose candidates have no features: the generator sends none.
ServerOptions ServedOptions() {
  return testing::TestOptions(testing::GoldenModel("all_l1_plain"));
}

LoadRun::Options OptionsFor(int port) {
  LoadRun::Options options;
  options.server = absl::StrCat("127.0.0.1:", port);
  options.population = {"user-", /*users=*/5, /*items=*/100};
  options.warm_up = absl::Milliseconds(50);
  options.duration = absl::Milliseconds(400);
  return options;
}

nlohmann::json RunOrFail(const LoadRun::Options& options,
                         const std::vector<Flow>& flows) {
  auto report = LoadRun(options, flows).Run();
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : nlohmann::json();
}

constexpr bool kOpen = true, kClosed = false;

TEST(LoadRunTest, FlowsRunSideBySide) {
  testing::TestServer server(ServedOptions());
  const auto report =
      RunOrFail(OptionsFor(server.grpc_port()),
                {{"small", kOpen, 200, 10}, {"large", kClosed, 3, 2'000}});
  ASSERT_EQ(report["flows"].size(), 2);
  const auto& small = report["flows"][0];
  EXPECT_EQ(small["name"], "small");
  EXPECT_EQ(small["kind"], "open");
  // 80 are expected, and chance is what the seed says.
  EXPECT_GT(small["completed"], 50);
  EXPECT_LT(small["completed"], 120);
  const auto& large = report["flows"][1];
  EXPECT_EQ(large["kind"], "closed");
  EXPECT_GT(large["completed"], 0);
  for (const auto& flow : report["flows"]) {
    EXPECT_EQ(flow["errors"].size(), 0) << flow["errors"];
    EXPECT_GT(flow["latency_ms"]["p50"], 0);
  }
  EXPECT_GE(small["late_ms"]["p50"], 0);
  EXPECT_GE(small["late_ms"]["p99"], small["late_ms"]["p50"]);
  EXPECT_GT(report["client_processors"], 0);
}

// HTTP/2 lets 64 KiB of a request come before the server makes room.
TEST(LoadRunTest, MessagesMayBeLargerThanAWindow) {
  testing::TestServer server(ServedOptions());
  const auto report =
      RunOrFail(OptionsFor(server.grpc_port()), {{"huge", kClosed, 2, 20'000}});
  EXPECT_GT(report["flows"][0]["completed"], 0);
  EXPECT_EQ(report["flows"][0]["errors"].size(), 0);
}

TEST(LoadRunTest, CountsRefusalsByTheirReason) {
  ServerOptions server_options = ServedOptions();
  server_options.rank.max_inflight_requests = 1;
  testing::TestServer server(server_options);
  const auto report =
      RunOrFail(OptionsFor(server.grpc_port()), {{"flood", kClosed, 8, 2'000}});
  const auto& errors = report["flows"][0]["errors"];
  ASSERT_EQ(errors.size(), 1) << errors;
  EXPECT_THAT(errors.begin().key(), HasSubstr("8: too many requests"));
  EXPECT_GT(errors.begin().value(), 0);
}

TEST(LoadRunTest, CountsWhatIsNotAnsweredInTime) {
  testing::TestServer server(ServedOptions());
  LoadRun::Options options = OptionsFor(server.grpc_port());
  options.timeout = absl::Milliseconds(2);
  const auto report = RunOrFail(options, {{"late", kClosed, 4, 20'000}});
  const auto& flow = report["flows"][0];
  int late = 0;
  for (const auto& [reason, count] : flow["errors"].items()) {
    if (reason.starts_with("4: ")) late += count.get<int>();
  }
  EXPECT_GT(late, 10) << flow["errors"];
  // Some may be in time: how many is the processor's affair.
  EXPECT_LT(flow["completed"], late);
  // The server has forgotten them, too.
  options.timeout = absl::Seconds(30);
  int completed = 0;
  const absl::Time begin = absl::Now();
  while (completed == 0 && absl::Now() < begin + absl::Seconds(60)) {
    completed = RunOrFail(
        options, {{"a", kClosed, 1, 10}})["flows"][0]["completed"];
  }
  EXPECT_GT(completed, 0);
}

TEST(LoadRunTest, ComesFromAnyAddressOfThisMachine) {
  testing::TestServer server(ServedOptions());
  LoadRun::Options options = OptionsFor(server.grpc_port());
  options.source_address = "127.0.0.2";
  EXPECT_GT(
      RunOrFail(options, {{"a", kClosed, 1, 10}})["flows"][0]["completed"], 0);
}

// A port of this machine that is listened at; what comes is not accepted.
class Listener {
 public:
  Listener() : file_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(file_, any, size), 0);
    EXPECT_EQ(listen(file_, 1), 0);
    EXPECT_EQ(getsockname(file_, any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { Close(); }

  void Close() {
    if (file_ >= 0) close(file_);
    file_ = -1;
  }
  int port() const { return port_; }
  int file() const { return file_; }

 private:
  int file_;
  int port_ = 0;
};

TEST(LoadRunTest, EndsWithAReasonWhenTheServerIsNotThere) {
  Listener listener;
  listener.Close();
  const auto report =
      LoadRun(OptionsFor(listener.port()), {{"a", kClosed, 1, 10}}).Run();
  EXPECT_TRUE(absl::IsUnavailable(report.status())) << report.status();
  EXPECT_THAT(report.status().message(), HasSubstr("cannot connect to 127."));
}

TEST(LoadRunTest, EndsWithAReasonWhenTheServerGoesAway) {
  Listener listener;
  std::thread server([&] { close(accept(listener.file(), nullptr, nullptr)); });
  const auto report =
      LoadRun(OptionsFor(listener.port()), {{"a", kClosed, 1, 10}}).Run();
  server.join();
  EXPECT_TRUE(absl::IsUnavailable(report.status())) << report.status();
  EXPECT_THAT(report.status().message(), HasSubstr("broke: "));
}

}  // namespace
}  // namespace qlarank::bench
