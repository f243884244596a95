// The server as users run it: command line, files, signals, exit codes.
#include "tests/server/server_process.h"

#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/health_client.h"
#include "tests/server/http_client.h"

namespace qlarank {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class ServerProcessTest : public ::testing::Test {
 protected:
  ServerProcessTest() {
    std::string name = absl::StrCat(::testing::TempDir(), "/serverXXXXXX");
    folder_ = mkdtemp(name.data());
    config_ = folder_ + "/config.textproto";
  }

  ~ServerProcessTest() override { std::filesystem::remove_all(folder_); }

  void WriteConfig(const std::string& text) { std::ofstream(config_) << text; }

  // A small model over a store in memory, on free ports, and `more`.
  void WriteGoodConfig(const std::string& more = "") {
    WriteConfig(absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " port_file: '",
        PortFile(), "' } models { name: 'dot_l1_plain' version: 1 path: '",
        QLARANK_SOURCE_DIR, "/tests/golden/dot_l1_plain/bundle' }",
        "store { engine: ENGINE_MEMORY } ", more));
  }

  std::string PortFile() const { return folder_ + "/ports"; }

  std::unique_ptr<ServerProcess> Run(const std::vector<std::string>& flags) {
    return std::make_unique<ServerProcess>(QLARANK_SERVER, flags, folder_);
  }

  // Starts it with config_ and waits until it serves.
  std::unique_ptr<ServerProcess> Serve() {
    auto server = Run({"--config_file=" + config_});
    while (!std::filesystem::exists(PortFile())) {
      if (server->Wait(absl::Milliseconds(10)).has_value()) {
        ADD_FAILURE() << server->Stderr();
        break;
      }
    }
    std::ifstream(PortFile()) >> grpc_port_ >> http_port_;
    return server;
  }

  std::shared_ptr<grpc::Channel> Connect() const {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", grpc_port_),
                               grpc::InsecureChannelCredentials());
  }

  void WaitUntilDraining() {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (HttpGet(http_port_, "/readyz").body != "draining\n") {
      ASSERT_LT(absl::Now(), end);
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  std::string folder_;
  std::string config_;
  int grpc_port_ = 0;
  int http_port_ = 0;
};

TEST_F(ServerProcessTest, ServesUntilSigterm) {
  WriteGoodConfig();
  auto server = Serve();
  EXPECT_EQ(HttpGet(http_port_, "/livez").body, "ok\n");
  EXPECT_EQ(HttpGet(http_port_, "/readyz").body, "ok\n");
  EXPECT_THAT(HttpGet(http_port_, "/metrics").body,
              HasSubstr("\nqlarank_build_info{"));
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0) << server->Stderr();
  EXPECT_THAT(server->Stderr(), HasSubstr(" INFO stopped\n"));
  EXPECT_FALSE(std::filesystem::exists(PortFile()));
}

TEST_F(ServerProcessTest, SigintStopsItToo) {
  WriteGoodConfig();
  auto server = Serve();
  server->Signal(SIGINT);
  EXPECT_EQ(server->Wait(), 0) << server->Stderr();
}

TEST_F(ServerProcessTest, SaysThatItDrainsWhileItStillServes) {
  WriteGoodConfig("lifecycle { drain_delay { seconds: 1 } }");
  auto server = Serve();
  auto client = std::make_unique<HealthClient>(Connect());
  grpc::Status error;
  EXPECT_EQ(client->Check("", error), ServingStatus::kServing);
  server->Signal(SIGTERM);
  WaitUntilDraining();
  EXPECT_EQ(HttpGet(http_port_, "/readyz").code, 503);
  EXPECT_EQ(HttpGet(http_port_, "/livez").code, 200);
  EXPECT_EQ(client->Check("", error), ServingStatus::kNotServing);
  // Between calls this client looks at its connection every five seconds only,
  // and so long the server would wait for it to hang up.
  client = nullptr;
  EXPECT_EQ(server->Wait(), 0) << server->Stderr();
}

TEST_F(ServerProcessTest, SecondSignalEndsItAtOnce) {
  WriteGoodConfig("lifecycle { drain_delay { seconds: 600 } }");
  auto server = Serve();
  server->Signal(SIGTERM);
  WaitUntilDraining();
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 3) << server->Stderr();
}

// Every call in flight is answered, and those after it are told to go
// elsewhere.
TEST_F(ServerProcessTest, StopsCleanlyUnderLoad) {
  WriteGoodConfig();
  auto server = Serve();
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      HealthClient client(Connect());
      grpc::Status error;
      while (client.Check("", error) != ServingStatus::kNone) ++answered;
      EXPECT_THAT(error.error_code(), AnyOf(grpc::StatusCode::UNAVAILABLE,
                                            grpc::StatusCode::CANCELLED))
          << error.error_message();
    });
  }
  for (int i = 0; i < 10'000 && answered < 100; ++i) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GE(answered, 100);
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0) << server->Stderr();
  for (std::thread& client : clients) client.join();
}

TEST_F(ServerProcessTest, LogsJsonWhenAsked) {
  WriteGoodConfig("log { format: FORMAT_JSON }");
  auto server = Serve();
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0);
  const std::string log = server->Stderr();
  for (absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(std::string(line))) << line;
  }
  EXPECT_THAT(log, HasSubstr("\"message\":\"serving\""));
}

TEST_F(ServerProcessTest, NamesAnAddressInUse) {
  WriteGoodConfig();
  auto first = Serve();
  WriteConfig(absl::StrCat("listen { grpc_address: '127.0.0.1:", grpc_port_,
                           "' http_address: '127.0.0.1:0' } models { name: "
                           "'dot_l1_plain' version: 1 path:",
                           "'", QLARANK_SOURCE_DIR,
                           "/tests/golden/dot_l1_plain/bundle' }",
                           "store { engine: ENGINE_MEMORY }"));
  std::filesystem::create_directory(folder_ + "/second");
  ServerProcess second(QLARANK_SERVER, {"--config_file=" + config_},
                       folder_ + "/second");
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_THAT(
      second.Stderr(),
      HasSubstr(absl::StrCat("listen.grpc_address: cannot listen at "
                             "\\\"127.0.0.1:",
                             grpc_port_, "\\\": Address already in use")));
}

TEST_F(ServerProcessTest, ValidatesAGoodConfig) {
  WriteGoodConfig();
  auto server = Run({"--config_file=" + config_, "--validate_config"});
  EXPECT_EQ(server->Wait(), 0);
  EXPECT_EQ(server->Stdout(), config_ + ": ok\n");
  EXPECT_EQ(server->Stderr(), "");
}

TEST_F(ServerProcessTest, NamesWhatIsWrongWithABadConfig) {
  WriteConfig("models { name: 'm' version: 1 }\nmodels { name: 'm' }");
  auto server = Run({"--config_file=" + config_, "--validate_config"});
  EXPECT_EQ(server->Wait(), 2);
  EXPECT_EQ(server->Stdout(), "");
  EXPECT_EQ(
      server->Stderr(),
      absl::StrCat(config_, ": models[1].version: 0; must be at least 1\n",
                   config_,
                   ": store.path: \"\"; is required for ENGINE_ROCKSDB\n"));
}

TEST_F(ServerProcessTest, ValidatesTheFilesThatTheConfigNames) {
  const std::string tokens = folder_ + "/tokens";
  WriteGoodConfig(absl::StrCat("security { token_file: '", tokens, "' }"));
  const auto problem = [&] {
    auto server = Run({"--config_file=" + config_, "--validate_config"});
    EXPECT_EQ(server->Wait(), 2);
    EXPECT_EQ(server->Stdout(), "");
    return server->Stderr();
  };
  EXPECT_EQ(problem(),
            absl::StrCat(config_, ": security.token_file: \"", tokens,
                         "\": cannot be read: No such file or directory\n"));
  std::ofstream(tokens) << "tokens { name: 'a' sha256: '"
                        << std::string(64, 'a') << "  -' roles: ROLE_RANK }";
  EXPECT_EQ(
      problem(),
      absl::StrCat(config_, ": security.token_file: ", tokens,
                   ": tokens[0].sha256: expected 64 lower-case hex digits; cut "
                   "off what stands behind them, which sha256sum prints too: "
                   "two spaces and the file's name, or \"-\"\n"));
  std::ofstream(tokens) << "tokens { name: 'a' sha256: '"
                        << std::string(64, 'a') << "' roles: ROLE_RANK }";
  auto good = Run({"--config_file=" + config_, "--validate_config"});
  EXPECT_EQ(good->Wait(), 0) << good->Stderr();

  // All of them at once.
  WriteConfig(absl::StrCat(
      "models { name: 'm' version: 1 path: '", folder_, "/no_bundle' }",
      "store { engine: ENGINE_MEMORY } security { token_file: '", folder_,
      "/no_tokens' tls { certificate_file: '", config_,
      "' private_key_file: '/no_key' } }"));
  EXPECT_THAT(problem(),
              AllOf(HasSubstr(config_ + ": models[0].path: "),
                    HasSubstr(config_ + ": security.token_file: \""),
                    HasSubstr(config_ + ": security.tls.certificate_file: ")));
}

TEST_F(ServerProcessTest, NamesAnUnknownField) {
  WriteConfig("models { nam: 'm' }");
  auto server = Run({"--config_file=" + config_});
  EXPECT_EQ(server->Wait(), 2);
  EXPECT_EQ(server->Stderr(),
            absl::StrCat(config_,
                         ":1:13: Message type \"qlarank.config.v1.ModelConfig\""
                         " has no field named \"nam\".\n"));
}

TEST_F(ServerProcessTest, RebuildsStatesWithoutServing) {
  const std::string model = absl::StrCat(
      "models { name: 'dot_l1_plain' version: 1 path: '", QLARANK_SOURCE_DIR,
      "/tests/golden/dot_l1_plain/bundle'");
  const std::string store =
      absl::StrCat(" } store { path: '", folder_, "/store' }");
  WriteConfig(model + store);
  auto server = Run({"--config_file=" + config_, "--rebuild_states"});
  EXPECT_EQ(server->Wait(), 0) << server->Stderr();
  EXPECT_THAT(server->Stderr(), HasSubstr("rebuilt states"));

  // As when serving, not with another bundle than is expected.
  WriteConfig(absl::StrCat(model, " expected_fingerprint: '",
                           std::string(64, 'a'), "'", store));
  server = Run({"--config_file=" + config_, "--rebuild_states"});
  EXPECT_EQ(server->Wait(), 1);
  EXPECT_THAT(server->Stderr(), HasSubstr("dot_l1_plain"));
  EXPECT_THAT(server->Stderr(),
              HasSubstr("expected " + std::string(64, 'a')));
}

TEST_F(ServerProcessTest, PrintsAConfigThatPrintsTheSame) {
  WriteGoodConfig();
  auto server = Run({"--config_file=" + config_, "--print_config"});
  EXPECT_EQ(server->Wait(), 0);
  const std::string printed = server->Stdout();
  EXPECT_THAT(printed, HasSubstr("max_candidates: 50000"));
  WriteConfig(printed);
  auto again = Run({"--config_file=" + config_, "--print_config"});
  EXPECT_EQ(again->Wait(), 0);
  EXPECT_EQ(again->Stdout(), printed);
}

TEST_F(ServerProcessTest, TellsItsVersion) {
  auto server = Run({"--version"});
  EXPECT_EQ(server->Wait(), 0);
  EXPECT_THAT(
      server->Stdout(),
      ::testing::MatchesRegex("qlarank_server [0-9]+\\.[0-9]+\\.[0-9]+.*\n"));
}

#ifndef QLARANK_SANITIZED
// jemalloc is told so by server/malloc_conf.cc, and says what it understood.
TEST_F(ServerProcessTest, GivesFreedMemoryBackSoon) {
  ASSERT_EQ(setenv("MALLOC_CONF", "stats_print:true", 1), 0);
  auto server = Run({"--version"});
  ASSERT_EQ(server->Wait(), 0);
  unsetenv("MALLOC_CONF");
  EXPECT_THAT(server->Stderr(), HasSubstr("opt.percpu_arena: \"percpu\""));
  EXPECT_THAT(server->Stderr(), HasSubstr("opt.dirty_decay_ms: 1000 "));
  EXPECT_THAT(server->Stderr(), HasSubstr("opt.muzzy_decay_ms: 0 "));
  EXPECT_THAT(server->Stderr(), HasSubstr("opt.background_thread: true "));
}
#endif

TEST_F(ServerProcessTest, RefusesACommandLineThatMakesNoSense) {
  auto nothing = Run({});
  EXPECT_EQ(nothing->Wait(), 2);
  EXPECT_THAT(nothing->Stderr(), HasSubstr("--config_file is required"));
  auto argument = Run({"serve"});
  EXPECT_EQ(argument->Wait(), 2);
  EXPECT_THAT(argument->Stderr(), HasSubstr("unexpected argument \"serve\""));
  auto flag = Run({"--no_such_flag"});
  EXPECT_EQ(flag->Wait(), 1);
  EXPECT_THAT(flag->Stderr(),
              HasSubstr("Unknown command line flag 'no_such_flag'"));
}

}  // namespace
}  // namespace qlarank
