// SIGTERM under load: the server says that it is not serving, still answers, and
// loses no request that it has taken; nor does a second signal lose an event
// that was acknowledged.
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/server/http_client.h"
#include "tests/server/server_process.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::AnyOf;

constexpr absl::Duration kDrainDelay = absl::Seconds(2);
// A call sent so long before the door is shut has come through it.
constexpr absl::Duration kOnItsWay = absl::Milliseconds(450);
constexpr int kAppenders = 3;
constexpr int kRankers = 3;

class DrainUnderLoadTest : public ::testing::Test {
 protected:
  DrainUnderLoadTest() {
    std::ofstream(dir_.Path("config")) << absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " port_file: '",
        dir_.Path("ports"), "' } models { name: 'm' version: 1 path: '",
        GoldenModel().path, "' } store { path: '", dir_.Path("store"),
        "' } lifecycle { drain_delay { seconds: ",
        absl::ToInt64Seconds(kDrainDelay), " } } rank { workers: 2 }");
    server_ = std::make_unique<ServerProcess>(
        QLARANK_SERVER,
        std::vector<std::string>{"--config_file=" + dir_.Path("config")},
        dir_.path());
    while (!std::filesystem::exists(dir_.Path("ports"))) {
      if (server_->Wait(absl::Milliseconds(10)).has_value()) {
        ADD_FAILURE() << server_->Stderr();
        break;
      }
    }
    std::ifstream(dir_.Path("ports")) >> grpc_port_ >> http_port_;
  }

  void TearDown() override {
    killed_ = true;
    server_ = nullptr;
    Join();
  }

  std::shared_ptr<grpc::Channel> Connect() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", grpc_port_),
                                     grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  // Calls until a call is refused, from `num_clients` threads: each gets the
  // number of its client and counts what was answered.
  void Load(int num_clients,
            const std::function<grpc::Status(grpc::Channel&, int)>& call) {
    for (int client = 0; client < num_clients; ++client) {
      clients_.emplace_back([this, client, call] {
        const auto channel = Connect();
        while (true) {
          const absl::Time begin = absl::Now();
          const grpc::Status status = call(*channel, client);
          if (status.ok()) {
            ++answered_;
            continue;
          }
          refused_.fetch_add(1);
          EXPECT_THAT(status.error_code(),
                      AnyOf(grpc::StatusCode::UNAVAILABLE,
                            grpc::StatusCode::CANCELLED))
              << status.error_message();
          // Whatever was taken before the door was shut is answered.
          if (!killed_) {
            EXPECT_GT(begin, told() + kDrainDelay - kOnItsWay)
                << status.error_message();
          }
          return;
        }
      });
    }
  }

  void LoadWithEverything() {
    Load(kRankers, [this](grpc::Channel& channel, int client) {
      const auto stub = v1::RankService::NewStub(SharedChannel(channel));
      grpc::ClientContext context;
      v1::RankResponse response;
      return stub->Rank(&context,
                        MakeRank(*bundle_, absl::StrCat("user", client),
                                 CatalogueItems(*bundle_, 2000)),
                        &response);
    });
    Load(kAppenders, [this](grpc::Channel& channel, int client) {
      const auto stub = v1::IngestService::NewStub(SharedChannel(channel));
      grpc::ClientContext context;
      v1::AppendEventsResponse response;
      const uint64_t next = acknowledged_[client] + 1;
      const grpc::Status status = stub->AppendEvents(
          &context,
          MakeAppend(*bundle_, absl::StrCat("user", client), next, next + 4),
          &response);
      if (status.ok()) acknowledged_[client] += 5;
      return status;
    });
  }

  // A stub wants to own its channel; this one outlives it.
  static std::shared_ptr<grpc::Channel> SharedChannel(grpc::Channel& channel) {
    return std::shared_ptr<grpc::Channel>(&channel, [](grpc::Channel*) {});
  }

  // When it was told to stop.
  absl::Time told() const { return absl::FromUnixNanos(told_ns_); }

  void Join() {
    for (std::thread& client : clients_) client.join();
    clients_.clear();
  }

  // Every acknowledged event is there, and nothing twice.
  void ExpectStored() {
    RocksDbOptions options;
    options.path = dir_.Path("store");
    const auto store = OpenRocksDbStateStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    for (int client = 0; client < kAppenders; ++client) {
      const auto log =
          (*store)->ReadEvents(absl::StrCat("user", client), 1, SIZE_MAX);
      ASSERT_TRUE(log.ok()) << log.status();
      EXPECT_GE(log->size(), acknowledged_[client]);
      EXPECT_LE(log->size(), acknowledged_[client] + 5);
      for (uint64_t n = 1; n <= log->size(); ++n) {
        ASSERT_EQ((*log)[n - 1].source_sequence, n);
      }
    }
  }

  TempDir dir_;
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  std::unique_ptr<ServerProcess> server_;
  int grpc_port_ = 0;
  int http_port_ = 0;
  std::vector<std::thread> clients_;
  std::vector<uint64_t> acknowledged_ = std::vector<uint64_t>(kAppenders, 0);
  std::atomic<uint64_t> answered_ = 0;
  std::atomic<uint64_t> refused_ = 0;
  std::atomic<int64_t> told_ns_ = std::numeric_limits<int64_t>::max();
  std::atomic<bool> killed_ = false;
};

TEST_F(DrainUnderLoadTest, LosesNoRequestInFlight) {
  LoadWithEverything();
  absl::SleepFor(absl::Milliseconds(300));
  told_ns_ = absl::GetCurrentTimeNanos();
  server_->Signal(SIGTERM);
  // Not serving comes first, and what comes all the same is answered.
  while (HttpGet(http_port_, "/readyz").body != "draining\n") {
    ASSERT_LT(absl::Now(), told() + kDrainDelay);
    absl::SleepFor(absl::Milliseconds(1));
  }
  const uint64_t answered = answered_;
  absl::SleepFor(kDrainDelay / 2);
  EXPECT_GT(answered_, answered);
  Join();
  EXPECT_EQ(server_->Wait(), 0) << server_->Stderr();
  EXPECT_EQ(refused_, kRankers + kAppenders);
  ExpectStored();
}

TEST_F(DrainUnderLoadTest, ASecondSignalEndsItAtOnceAndLosesNoEvent) {
  LoadWithEverything();
  absl::SleepFor(absl::Milliseconds(300));
  told_ns_ = absl::GetCurrentTimeNanos();
  server_->Signal(SIGTERM);
  while (HttpGet(http_port_, "/readyz").body != "draining\n") {
    ASSERT_LT(absl::Now(), told() + kDrainDelay);
    absl::SleepFor(absl::Milliseconds(1));
  }
  killed_ = true;
  const absl::Time second = absl::Now();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 3) << server_->Stderr();
  EXPECT_LT(absl::Now() - second, kDrainDelay);
  Join();
  ExpectStored();
}

}  // namespace
}  // namespace qlarank::testing
