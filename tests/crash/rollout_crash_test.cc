// Kills the server with SIGKILL between every two steps of a change of models:
// a version comes with its folder, a label waits for it and moves, is rolled back,
// the version goes and its states with it. Whatever was reached,
//
//   - the server starts again, and every label points to a version that is served;
//   - whoever is answered gets the scores of the version that the reply names;
//   - the operator who says again what they have said gets to the end.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "qlarank/v1/model_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "tests/server/server_process.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kUsers = 4;
constexpr uint64_t kEvents = 80;
constexpr absl::Duration kPatience = absl::Seconds(60);

std::string UserName(int user) { return absl::StrCat("user", user); }

class RolloutCrashTest : public ::testing::Test {
 protected:
  RolloutCrashTest() {
    fs::create_directories(dir_.Path("bundles/m"));
    std::ofstream(dir_.Path("config")) << absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " port_file: '",
        dir_.Path("ports"), "' } models { name: 'm' version: 1 path: '",
        first_.path, "' } store { path: '", dir_.Path("store"),
        "' } model_base_path: '", dir_.Path("bundles"),
        "' model_watch { interval { nanos: 100000000 } label: 'stable' }");
  }

  // "": it is not killed.
  void Start(const std::string& failpoint = "") {
    fs::remove(dir_.Path("ports"));
    setenv("QLARANK_FAILPOINT_KILL", failpoint.c_str(), 1);
    if (failpoint.empty()) unsetenv("QLARANK_FAILPOINT_KILL");
    server_ = std::make_unique<ServerProcess>(
        QLARANK_SERVER,
        std::vector<std::string>{"--config_file=" + dir_.Path("config")},
        dir_.path());
    unsetenv("QLARANK_FAILPOINT_KILL");
    while (!fs::exists(dir_.Path("ports"))) {
      if (server_->Wait(absl::Milliseconds(5)).has_value()) return;
    }
    int grpc_port = 0, http_port = 0, admin_port = 0;
    std::ifstream(dir_.Path("ports")) >> grpc_port >> http_port >> admin_port;
    main_ = ConnectTo(grpc_port);
    admin_ = ConnectTo(admin_port);
  }
  static std::shared_ptr<grpc::Channel> ConnectTo(int port) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                     grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  bool Runs() { return !server_->Wait(absl::ZeroDuration()).has_value(); }

  // Calls once; whether it is there to answer. An answer that says no is one.
  template <typename Stub, typename Request, typename Response>
  bool Call(Stub stub,
            grpc::Status (Stub::element_type::*method)(grpc::ClientContext*,
                                                       const Request&,
                                                       Response*),
            const Request& request, Response& response) {
    grpc::ClientContext context;
    last_ = (stub.get()->*method)(&context, request, &response);
    return last_.error_code() != grpc::StatusCode::UNAVAILABLE &&
           last_.error_code() != grpc::StatusCode::CANCELLED;
  }

  bool Append() {
    for (int user = 0; user < kUsers; ++user) {
      v1::AppendEventsResponse response;
      if (!Call(v1::IngestService::NewStub(main_),
                &v1::IngestService::Stub::AppendEvents,
                MakeAppend(*bundle_, UserName(user), 1, kEvents), response)) {
        return false;
      }
    }
    return true;
  }
  // 0: nobody answers.
  uint64_t RankOnce(int user = 0, uint64_t version = 0) {
    v1::RankRequest request =
        MakeRank(*bundle_, UserName(user), CatalogueItems(*bundle_, 20));
    request.set_model_version(version);
    request.set_min_event_count(kEvents);
    v1::RankResponse response;
    if (!Call(v1::RankService::NewStub(main_), &v1::RankService::Stub::Rank,
              request, response)) {
      return 0;
    }
    EXPECT_TRUE(last_.ok()) << last_.error_message();
    const std::vector<float> scores(response.scores().begin(),
                                    response.scores().end());
    // The first reply of each is what all others are held against.
    const auto [seen, is_new] =
        scores_.try_emplace({response.model_version(), user}, scores);
    EXPECT_EQ(seen->second, scores)
        << UserName(user) << " under version " << response.model_version();
    return response.model_version();
  }
  // False: it has died.
  bool AwaitUsual(uint64_t version) {
    const absl::Time end = absl::Now() + kPatience;
    while (absl::Now() < end) {
      const uint64_t usual = RankOnce();
      if (usual == version) return true;
      if (usual == 0) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    ADD_FAILURE() << "nobody goes to version " << version;
    return true;
  }

  // What an operator does who may have done it before. False: it has died.
  bool Change() {
    if (!Append()) return false;
    v1::SetLabelRequest set;  // so that there is something to go back to
    set.set_model_name("m");
    set.set_label("stable");
    set.set_model_version(1);
    set.set_min_coverage(0);
    v1::SetLabelResponse labels;
    if (fs::exists(dir_.Path("aside"))) {
      if (!SetLabel(set)) return false;
      fs::rename(dir_.Path("aside"), dir_.Path("bundles/m/2"));
    }
    if (!rolled_back_) {
      if (!AwaitUsual(2)) return false;
      v1::RollbackRequest back;
      back.set_model_name("m");
      v1::RollbackResponse response;
      // Nobody answered the last time, and it was done.
      rolled_back_ = true;
      if (!Call(v1::ModelAdminService::NewStub(admin_),
                &v1::ModelAdminService::Stub::Rollback, back, response)) {
        return false;
      }
    }
    if (!SetLabel(set) || !AwaitUsual(1)) return false;
    fs::rename(dir_.Path("bundles/m/2"), dir_.Path("gone"));
    return Unload();
  }
  bool SetLabel(const v1::SetLabelRequest& request) {
    v1::SetLabelResponse response;
    if (!Call(v1::ModelAdminService::NewStub(admin_),
              &v1::ModelAdminService::Stub::SetLabel, request, response)) {
      return false;
    }
    EXPECT_TRUE(last_.ok()) << last_.error_message();
    return true;
  }
  bool Unload() {
    v1::UnloadModelRequest request;
    request.set_model_name("m");
    request.set_model_version(2);
    request.set_drop_states(true);
    v1::UnloadModelResponse response;
    return Call(v1::ModelAdminService::NewStub(admin_),
                &v1::ModelAdminService::Stub::UnloadModel, request, response);
  }

  const TempDir dir_;
  const ModelOptions first_ = GoldenModel("dot_l1_plain");
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(first_);
  std::map<std::pair<uint64_t, int>, std::vector<float>> scores_;
  bool rolled_back_ = false;
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> main_, admin_;
  grpc::Status last_;
};

TEST_F(RolloutCrashTest, NothingIsLostBetweenAnyTwoSteps) {
#ifndef QLARANK_FAILPOINTS
  GTEST_SKIP() << "built without failpoints";
#endif
  int kills = 0;
  for (const char* place :
       {"rollout.before_remember", "rollout.remembered", "rollout.before_drop",
        "rollout.dropped", "snapshot.before_write"}) {
    // Of snapshots there are many, all alike.
    const int most = absl::StartsWith(place, "snapshot") ? 4 : 1000;
    for (int time = 1; time <= most; ++time) {
      const std::string failpoint = absl::StrCat(place, "=", time);
      SCOPED_TRACE(failpoint);
      fs::remove_all(dir_.Path("store"));
      fs::remove_all(dir_.Path("bundles/m"));
      fs::remove_all(dir_.Path("gone"));
      fs::create_directories(dir_.Path("bundles/m"));
      fs::copy(GoldenModel("all_l1_plain").path, dir_.Path("aside"));
      rolled_back_ = false;
      Start(failpoint);
      const bool died = Runs() ? !Change() : true;
      if (died) {
        ASSERT_EQ(server_->Wait(kPatience), -SIGKILL) << server_->Stderr();
        ++kills;
        Start();
        ASSERT_TRUE(Runs()) << server_->Stderr();
        for (int user = 0; user < kUsers; ++user) {
          ASSERT_TRUE(Append());
          EXPECT_NE(RankOnce(user), 0);
        }
        ASSERT_TRUE(fs::exists(dir_.Path("gone")) || Change());
      }
      // However it was reached.
      EXPECT_TRUE(AwaitUsual(1));
      const absl::Time end = absl::Now() + kPatience;
      v1::ListModelsResponse listed;
      do {
        ASSERT_TRUE(Call(v1::ModelService::NewStub(main_),
                         &v1::ModelService::Stub::ListModels,
                         v1::ListModelsRequest(), listed));
      } while (listed.models_size() > 1 && absl::Now() < end);
      EXPECT_EQ(listed.models_size(), 1) << listed.DebugString();
      server_->Signal(SIGTERM);
      const std::optional<int> ended = server_->Wait();
      // Or where it writes what it knows at its end.
      EXPECT_TRUE(ended == 0 || (!died && ended == -SIGKILL))
          << server_->Stderr();
      if (!died || HasFailure()) break;
    }
    if (HasFailure()) break;
  }
  // Each step is there.
  EXPECT_GE(kills, 10);
}

}  // namespace
}  // namespace qlarank::testing
