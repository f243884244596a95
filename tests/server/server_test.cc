#include "server/server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "config/memory_plan.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "model/bundle.h"
#include "model/catalogue.h"
#include "model/item_table.h"
#include "server/connection_taker.h"
#include "server/services.h"
#include "tests/server/health_client.h"
#include "tests/server/http_client.h"
#include "tests/testing/temp_dir.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

ServerOptions OnFreePorts() {
  ServerOptions options;
  options.listen.grpc_address = "127.0.0.1:0";
  options.listen.http_address = "127.0.0.1:0";
  options.models = {
      {"dot_l1_plain", 1,
       absl::StrCat(QLARANK_SOURCE_DIR, "/tests/golden/dot_l1_plain/bundle"),
       "", true}};
  options.store.engine = StoreEngine::kMemory;
  return options;
}

std::unique_ptr<Server> StartOrDie(const ServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::shared_ptr<grpc::Channel> Connect(const Server& server) {
  return grpc::CreateChannel(absl::StrCat("127.0.0.1:", server.grpc_port()),
                             grpc::InsecureChannelCredentials());
}

// The store keeps as many files open as connections leave it.
TEST(RocksDbOptionsOfTest, HasItsShareOfTheFiles) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 400;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_EQ(RocksDbOptionsOf(StoreOptions()).max_open_files, 100);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Drops what it is handed, as a gRPC would that reads by other means.
class DroppingAcceptor final
    : public grpc::experimental::ExternalConnectionAcceptor {
 public:
  void HandleNewConnection(NewConnectionParameters* parameters) override {
    dropped_.push_back(parameters->fd);
  }
  ~DroppingAcceptor() override {
    for (const int file : dropped_) close(file);
  }

 private:
  std::vector<int> dropped_;
};

TEST(ConnectionTakerTest, TellsWhenConnectionsAreNotWatched) {
  Metrics metrics;
  DroppingAcceptor acceptor;
  ClientConnections connections(10, 10);
  const auto watches = std::make_shared<ConnectionWatches>(
      ConnectionWatches::Limits(), &metrics.security);
  ConnectionTaker taker(acceptor, /*encrypted=*/false, connections, *watches,
                        metrics.security);
  EXPECT_EQ(metrics.security.connections_watched.Value(), 1);
  taker.TryOutWatching(absl::Milliseconds(50));
  EXPECT_EQ(metrics.security.connections_watched.Value(), 0);
}

TEST(ServerTest, IsHealthyOnceStarted) {
  const std::unique_ptr<Server> server = StartOrDie(OnFreePorts());
  HealthClient client(Connect(*server));
  for (const char* service :
       {"", "qlarank.v1.RankService", "qlarank.v1.IngestService",
        "qlarank.v1.StateService", "qlarank.v1.ModelService"}) {
    grpc::Status error;
    EXPECT_EQ(client.Check(service, error), ServingStatus::kServing)
        << service << ": " << error.error_message();
  }
  grpc::Status error;
  client.Check("no.Such", error);
  EXPECT_EQ(error.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(HttpGet(server->http_port(), "/readyz").code, 200);
}

TEST(ServerTest, TheAdminAddressTellsTheHealthOfWhatItServes) {
  const std::unique_ptr<Server> server = StartOrDie(OnFreePorts());
  HealthClient client(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->admin_port()),
                          grpc::InsecureChannelCredentials()));
  grpc::Status error;
  EXPECT_EQ(client.Check("", error), ServingStatus::kServing);
  EXPECT_EQ(client.Check("qlarank.v1.StateService", error),
            ServingStatus::kServing);
  client.Check("qlarank.v1.RankService", error);
  EXPECT_EQ(error.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(ServerTest, WatchersLearnThatItDrains) {
  ServerOptions options = OnFreePorts();
  options.lifecycle.drain_delay = absl::Milliseconds(300);
  const std::unique_ptr<Server> server = StartOrDie(options);
  HealthClient::Watch watch(Connect(*server), "qlarank.v1.RankService");
  EXPECT_EQ(watch.Next(), ServingStatus::kServing);
  std::thread shutdown([&] { EXPECT_TRUE(server->Shutdown().ok()); });
  EXPECT_EQ(watch.Next(), ServingStatus::kNotServing);
  EXPECT_EQ(HttpGet(server->http_port(), "/readyz").body, "draining\n");
  shutdown.join();
}

// A watch never ends by itself: it must not hold the server up.
TEST(ServerTest, StopsThoughAWatcherStays) {
  ServerOptions options = OnFreePorts();
  options.lifecycle.shutdown_timeout = absl::Seconds(30);
  const std::unique_ptr<Server> server = StartOrDie(options);
  HealthClient::Watch watch(Connect(*server), "");
  EXPECT_EQ(watch.Next(), ServingStatus::kServing);
  const absl::Time start = absl::Now();
  EXPECT_TRUE(server->Shutdown().ok());
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(ServerTest, CountsItsRpcs) {
  const std::unique_ptr<Server> server = StartOrDie(OnFreePorts());
  HealthClient client(Connect(*server));
  grpc::Status error;
  client.Check("", error);
  client.Check("", error);
  client.Check("no.Such", error);
  const std::string metrics = HttpGet(server->http_port(), "/metrics").body;
  const std::string labels =
      "grpc_method=\"Check\",grpc_service=\"grpc.health.v1.Health\","
      "grpc_type=\"unary\"}";
  EXPECT_THAT(metrics, HasSubstr(absl::StrCat("grpc_server_started_total{",
                                              labels, " 3\n")));
  EXPECT_THAT(metrics,
              HasSubstr(absl::StrCat("grpc_server_handling_seconds_count{",
                                     labels, " 3\n")));
  EXPECT_THAT(metrics, HasSubstr(absl::StrCat("grpc_server_msg_received_total{",
                                              labels, " 3\n")));
  EXPECT_THAT(metrics, HasSubstr(absl::StrCat("grpc_server_msg_sent_total{",
                                              labels, " 2\n")));
  EXPECT_THAT(metrics,
              HasSubstr(absl::StrCat("grpc_server_handled_total{",
                                     "grpc_code=\"OK\",", labels, " 2\n")));
  EXPECT_THAT(metrics, HasSubstr(absl::StrCat("grpc_server_handled_total{",
                                              "grpc_code=\"NotFound\",", labels,
                                              " 1\n")));
  EXPECT_THAT(metrics, HasSubstr("\nprocess_open_fds "));
}

// The budget's parts as they were configured, without the models' files.
ServerOptions InABudget() {
  ServerOptions options = OnFreePorts();
  options.store.head_cache_bytes = 1 << 20;
  options.store.block_cache_bytes = 8 << 20;
  options.store.user_cache_bytes = 0;
  options.memory.budget_bytes = 400 << 20;
  return options;
}

TEST(ServerTest, GivesWhatItsModelsLeaveOfTheBudgetToTheCaches) {
  const testing::TempDir folder;
  ServerOptions options = InABudget();
  options.store.engine = StoreEngine::kRocksDb;
  options.store.path = folder.Path("store");
  options.store.block_cache_bytes = 0;
  options.models.push_back(
      {"dot_l4_silu", 1,
       absl::StrCat(QLARANK_SOURCE_DIR, "/tests/golden/dot_l4_silu/bundle"),
       "", false});
  options.models.back().item_table_path = folder.path();
  const std::unique_ptr<Server> server = StartOrDie(options);
  const std::string metrics = HttpGet(server->http_port(), "/metrics").body;
  uint64_t files = 0, tables = 0;
  for (const ModelOptions& model : options.models) {
    const bool on_disk = !model.item_table_path.empty();
    for (const auto& file : std::filesystem::directory_iterator(model.path)) {
      if (on_disk && file.path().filename() == "items.safetensors") continue;
      files += file.file_size();
    }
    const auto spec = Bundle::LoadSpec(model.path);
    ASSERT_TRUE(spec.ok()) << spec.status();
    tables += on_disk ? ItemTable::ResidentBytes(*spec)
                      : ItemTable::Bytes(*spec, model.item_share_bytes);
    tables += Catalogue::MostBytes(*spec, model.max_added_items,
                                   model.item_share_bytes);
  }
  const absl::StatusOr<MemoryPlan> plan = PlanMemory(options, files + tables);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(files, 0u);
  for (const auto& [name, bytes] :
       {std::pair<const char*, uint64_t>{"budget", 400 << 20},
        {"process", plan->process_bytes},
        {"unfinished", plan->unfinished_bytes},
        {"bundles", files + tables},
        {"head_cache", 1 << 20},
        {"block_cache", plan->block_cache_bytes},
        {"user_cache", plan->user_cache_bytes}}) {
    EXPECT_THAT(metrics, HasSubstr(absl::StrCat("\nqlarank_memory_", name,
                                                "_bytes ", bytes, "\n")));
  }
  EXPECT_THAT(metrics,
              HasSubstr(absl::StrCat("\nqlarank_rocksdb_block_cache_capacity_"
                                     "bytes ",
                                     plan->block_cache_bytes, "\n")));
}

TEST(ServerTest, TheStoreHasTheCachesThatAreConfigured) {
  const testing::TempDir folder;
  StoreOptions options;
  options.engine = StoreEngine::kRocksDb;
  options.path = folder.Path("store");
  options.block_cache_bytes = 16 << 20;
  options.head_cache_bytes = 0;
  const auto store = OpenConfiguredStore(options);
  ASSERT_TRUE(store.ok()) << store.status();
  UserAppend append;
  append.user_id = "user";
  append.events = {{1, "view", 1, "test", 1, {}}};
  append.head_after.incarnation = 7;
  append.head_after.last_sequence = 1;
  append.head_after.watermarks = {{"test", 1}};
  ASSERT_TRUE((*store)->AppendEvents({append}).ok());
  ASSERT_TRUE((*store)->Flush().ok());
  auto before = (*store)->Statistics();
  EXPECT_EQ(before["block_cache_capacity_bytes"], 16 << 20);
  // No head is cached: it is read from a block.
  ASSERT_TRUE((*store)->GetHead("user").ok());
  auto after = (*store)->Statistics();
  EXPECT_GT(after["block_cache_hits_total"] + after["block_cache_misses_total"],
            before["block_cache_hits_total"] +
                before["block_cache_misses_total"]);
}

TEST(ServerTest, DoesNotStartWhenItsModelsExceedTheBudget) {
  ServerOptions options = InABudget();
  const MemoryPlan plan = *PlanMemory(options, 0);
  // All of it: readings get along with a MiB.
  options.store.user_cache_bytes =
      plan.user_cache_bytes + plan.reading_cache_bytes - (1 << 20);
  ASSERT_TRUE(PlanMemory(options, 0).ok());
  const absl::Status status = Server::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              ::testing::StartsWith("memory.budget_bytes: 419430400; its "
                                    "parts take 4"));
}

TEST(ServerTest, NamesAnAddressInUseAndItsField) {
  const std::unique_ptr<Server> first = StartOrDie(OnFreePorts());
  ServerOptions options = OnFreePorts();
  options.listen.grpc_address = absl::StrCat("127.0.0.1:", first->grpc_port());
  EXPECT_EQ(Server::Start(options).status(),
            absl::UnavailableError(absl::StrCat(
                "listen.grpc_address: cannot listen at \"127.0.0.1:",
                first->grpc_port(), "\": Address already in use")));
  options = OnFreePorts();
  options.listen.http_address = absl::StrCat("127.0.0.1:", first->http_port());
  EXPECT_EQ(Server::Start(options).status(),
            absl::UnavailableError(absl::StrCat(
                "listen.http_address: cannot listen at \"127.0.0.1:",
                first->http_port(), "\": Address already in use")));
  options = OnFreePorts();
  options.listen.admin_address =
      absl::StrCat("127.0.0.1:", first->admin_port());
  EXPECT_EQ(Server::Start(options).status(),
            absl::UnavailableError(absl::StrCat(
                "listen.admin_address: cannot listen at \"127.0.0.1:",
                first->admin_port(), "\": Address already in use")));
}

TEST(ServerTest, PortFileIsThereWhileItServes) {
  ServerOptions options = OnFreePorts();
  options.listen.port_file =
      absl::StrCat(::testing::TempDir(), "/server_test_ports.", getpid());
  const std::unique_ptr<Server> server = StartOrDie(options);
  int grpc_port = 0;
  int http_port = 0;
  int admin_port = 0;
  std::ifstream(options.listen.port_file) >> grpc_port >> http_port >>
      admin_port;
  EXPECT_EQ(grpc_port, server->grpc_port());
  EXPECT_EQ(http_port, server->http_port());
  EXPECT_EQ(admin_port, server->admin_port());
  EXPECT_TRUE(server->Shutdown().ok());
  EXPECT_FALSE(std::filesystem::exists(options.listen.port_file));
}

TEST(ServerTest, NamesAPortFileThatCannotBeWritten) {
  ServerOptions options = OnFreePorts();
  options.listen.port_file = "/no/such/folder/ports";
  const absl::Status status = Server::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("listen.port_file: cannot write "
                        "\"/no/such/folder/ports\""));
}

}  // namespace
}  // namespace qlarank
