// What mistakes of those who run the server do to the real program: a bundle
// that is written over while it is served, a clock that is wrong by years.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "server/work/proto_time.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/server/http_client.h"
#include "tests/server/server_process.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class OperatorMistakesTest : public ::testing::Test {
 protected:
  OperatorMistakesTest() {
    const ModelOptions golden = GoldenModel();
    fs::copy(golden.path, bundle_folder_, fs::copy_options::recursive);
    bundle_ = LoadGolden(golden);
  }

  // The program over the store and the bundle, until it serves.
  void Start(const std::string& more = "", const std::string& of_model = "") {
    fs::remove(dir_.Path("ports"));
    std::ofstream(dir_.Path("config.textproto")) << absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " port_file: '", dir_.Path("ports"), "' } models { name: 'm' version: 1"
        " path: '", bundle_folder_, "' ", of_model, " } store { path: '",
        dir_.Path("store"), "' } ", more);
    server_ = std::make_unique<ServerProcess>(
        QLARANK_SERVER,
        std::vector<std::string>{
            absl::StrCat("--config_file=", dir_.Path("config.textproto"))},
        dir_.path());
    while (!fs::exists(dir_.Path("ports"))) {
      ASSERT_FALSE(server_->Wait(absl::Milliseconds(10)).has_value())
          << server_->Stderr();
    }
    int grpc_port = 0;
    std::ifstream(dir_.Path("ports")) >> grpc_port >> http_port_;
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", grpc_port),
                                   grpc::InsecureChannelCredentials());
  }

  void Stop() {
    channel_ = nullptr;
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->Wait(), 0) << server_->Stderr();
  }

  void Append(const v1::AppendEventsRequest& request) {
    grpc::ClientContext context;
    v1::AppendEventsResponse response;
    const grpc::Status status =
        v1::IngestService::NewStub(channel_)->AppendEvents(&context, request,
                                                           &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  std::vector<float> Rank(const std::string& user) {
    v1::RankRequest request =
        MakeRank(*bundle_, user, CatalogueItems(*bundle_, 200));
    request.set_min_event_count(20);
    grpc::ClientContext context;
    v1::RankResponse response;
    const grpc::Status status =
        v1::RankService::NewStub(channel_)->Rank(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message() << server_->Stderr();
    return {response.scores().begin(), response.scores().end()};
  }

  // Until /metrics says so; the value of `metric` then.
  void AwaitMetric(const std::string& line) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (HttpGet(http_port_, "/metrics").body.find(line) ==
           std::string::npos) {
      ASSERT_LT(absl::Now(), end) << line << "\n" << server_->Stderr();
      absl::SleepFor(absl::Milliseconds(50));
    }
  }

  uint64_t CountStoredUsers() {
    RocksDbOptions options;
    options.path = dir_.Path("store");
    const auto store = OpenRocksDbStateStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    uint64_t users = 0;
    EXPECT_TRUE((*store)
                    ->ForEachUser([&](auto, auto&) {
                      ++users;
                      return true;
                    })
                    .ok());
    return users;
  }

  // Writes over a served bundle, whose block of the configuration says
  // `of_model`, and cuts it off.
  void SpoilTheBundle(const std::string& of_model);

  TempDir dir_;
  const std::string bundle_folder_ = dir_.Path("bundle");
  std::shared_ptr<const Bundle> bundle_;
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_;
  int http_port_ = 0;
};

void OperatorMistakesTest::SpoilTheBundle(const std::string& of_model) {
  Start("", of_model);
  Append(MakeAppend(*bundle_, "ann", 1, 20));
  const std::vector<float> before = Rank("ann");
  ASSERT_FALSE(before.empty());
  for (const char* name : {"items.safetensors", "weights.safetensors"}) {
    const fs::path file = fs::path(bundle_folder_) / name;
    const auto bytes = fs::file_size(file);
    // Other bytes in the same place, as long.
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
            .seekp(static_cast<std::streamoff>(bytes / 2))
        << std::string(bytes / 2, '\x3f');
    EXPECT_EQ(Rank("ann"), before) << name;
    // What O_TRUNC leaves until the new bytes come.
    fs::resize_file(file, 0);
    EXPECT_EQ(Rank("ann"), before) << name;
    // States, too, are made of the old bytes.
    Append(MakeAppend(*bundle_, absl::StrCat("bob ", name), 1, 20));
    EXPECT_FALSE(Rank(absl::StrCat("bob ", name)).empty());
  }
  Stop();
}

TEST_F(OperatorMistakesTest, ABundleThatIsWrittenOverIsServedAsItWas) {
  SpoilTheBundle("");
}

TEST_F(OperatorMistakesTest, SoIsOneWhoseItemsLieInAFile) {
  SpoilTheBundle(absl::StrCat("item_table_path: '", dir_.path(), "'"));
}

// Events of nine years ago under a right clock are to the server what events of
// today are under a clock nine years ahead.
TEST_F(OperatorMistakesTest, AClockThatIsYearsAheadErasesNobody) {
  constexpr int kUsers = 30;
  constexpr char kPolicy[] =
      "retention { idle_user_ttl { seconds: 31536000 } "
      "sweep_interval { nanos: 200000000 }";
  Start();
  const int64_t nine_years_ago = absl::ToUnixMicros(absl::Now()) -
                                 int64_t{9} * 365 * 24 * 3600 * 1'000'000;
  for (int user = 0; user < kUsers; ++user) {
    v1::AppendEventsRequest request =
        MakeAppend(*bundle_, absl::StrCat("user", user), 1, 5);
    for (auto& event : *request.mutable_events()) {
      *event.mutable_event()->mutable_time() =
          FromMicros(nine_years_ago + int64_t(event.sequence()));
    }
    Append(request);
  }
  Stop();
  Start(absl::StrCat(kPolicy, "}"));
  AwaitMetric("qlarank_retention_refused{reason=\"clock\"} 1");
  absl::SleepFor(absl::Seconds(1));  // five more sweeps
  EXPECT_THAT(
      server_->Stderr(),
      AllOf(HasSubstr("ERROR retention removes nothing for its age"),
            HasSubstr("but the newest event of the store is of"),
            HasSubstr(absl::FormatTime("%Y-%m-%d",
                                       absl::FromUnixMicros(nine_years_ago),
                                       absl::UTCTimeZone()))));
  Stop();
  EXPECT_EQ(CountStoredUsers(), kUsers);
  // The clock is right after all.
  Start(absl::StrCat(kPolicy, " allow_idle_store: true max_daily_share: 1 }"));
  AwaitMetric(absl::StrCat("qlarank_retention_idle_users_erased_total ",
                           kUsers));
  EXPECT_THAT(server_->Stderr(),
              HasSubstr(absl::StrCat("retention has removed idle_users=",
                                     kUsers, " of_users=", kUsers)));
  Stop();
  EXPECT_EQ(CountStoredUsers(), 0u);
}

}  // namespace
}  // namespace qlarank::testing
