// Kills the server between any two steps of an upsert, and holds what is there
// after a restart against what was acknowledged: each request's items as a whole
// or none of them, those that were acknowledged in any case, and every state as
// it was, bit for bit.
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "tests/server/server_process.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::IsEmpty;

constexpr uint64_t kFirst = 4'000'000'000;  // no bundle has it
constexpr uint64_t kBatch = 5;
constexpr uint64_t kBatches = 4;
constexpr char kUser[] = "ann";

class CatalogueCrashTest : public ::testing::Test {
 protected:
  CatalogueCrashTest() {
    std::ofstream(dir_.Path("config")) << absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " admin_address: '127.0.0.1:0' port_file: '",
        dir_.Path("ports"), "' } models { name: 'm' version: 1 path: '",
        model_.path, "' } store { path: '", dir_.Path("store"),
        "' snapshot_interval_events: 2 }");
  }

  void Start(const std::string& failpoint) {
    std::filesystem::remove(dir_.Path("ports"));
    if (!failpoint.empty()) {
      setenv("QLARANK_FAILPOINT_KILL", failpoint.c_str(), /*replace=*/1);
    }
    server_ = std::make_unique<ServerProcess>(
        QLARANK_SERVER,
        std::vector<std::string>{"--config_file=" + dir_.Path("config")},
        dir_.path());
    unsetenv("QLARANK_FAILPOINT_KILL");
    while (!std::filesystem::exists(dir_.Path("ports"))) {
      ASSERT_FALSE(server_->Wait(absl::Milliseconds(5)).has_value())
          << server_->Stderr();
    }
    int grpc_port = 0, http_port = 0, admin_port = 0;
    std::ifstream(dir_.Path("ports")) >> grpc_port >> http_port >> admin_port;
    const auto connect = [](int port) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                       grpc::InsecureChannelCredentials(),
                                       arguments);
    };
    main_ = connect(grpc_port);
    admin_ = connect(admin_port);
  }

  // Upserts the batch; false if the server died of it.
  bool Upsert(uint64_t batch) {
    grpc::ClientContext context;
    v1::UpsertItemsRequest request;
    for (uint64_t i = 0; i < kBatch; ++i) {
      v1::UpsertedItem& item = *request.add_items();
      item.set_item_id(kFirst + batch * kBatch + i);
      for (uint32_t j = 0; j < bundle_->spec().d_model(); ++j) {
        item.add_embedding(0.01f * static_cast<float>(batch + i + j));
      }
    }
    v1::UpsertItemsResponse response;
    return v1::ModelAdminService::NewStub(admin_)
        ->UpsertItems(&context, request, &response)
        .ok();
  }

  // An event of an item of the batch, the user's n-th.
  void Append(uint64_t n, uint64_t batch) {
    grpc::ClientContext context;
    v1::AppendEventsRequest request = MakeAppend(*bundle_, kUser, n, n);
    request.mutable_events(0)->mutable_event()->set_item_id(kFirst +
                                                            batch * kBatch);
    v1::AppendEventsResponse response;
    const grpc::Status status = v1::IngestService::NewStub(main_)->AppendEvents(
        &context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  std::string StateOf(uint64_t events) {
    grpc::ClientContext context;
    v1::GetUserStateRequest request;
    request.set_user_id(kUser);
    request.set_include_state(true);
    request.set_min_event_count(events);
    v1::GetUserStateResponse response;
    const grpc::Status status = v1::StateService::NewStub(main_)->GetUserState(
        &context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.serialized_state();
  }

  // Candidates of a batch that the model does not know.
  std::vector<uint32_t> UnknownOf(uint64_t batch) {
    grpc::ClientContext context;
    std::vector<uint64_t> items;
    for (uint64_t i = 0; i < kBatch; ++i) {
      items.push_back(kFirst + batch * kBatch + i);
    }
    v1::RankResponse response;
    const grpc::Status status = v1::RankService::NewStub(main_)->Rank(
        &context, MakeRank(*bundle_, kUser, items), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.unknown_items().begin(), response.unknown_items().end()};
  }

  // Upserts and appends until the server dies, and looks again after a restart.
  void DieAndCheck(const std::string& failpoint) {
    Start(failpoint);
    uint64_t events = 0;
    std::string state;
    uint64_t acknowledged = 0;
    for (; acknowledged < kBatches && Upsert(acknowledged); ++acknowledged) {
      // Of an item that is known by now, and of one that is to come.
      ASSERT_NO_FATAL_FAILURE(Append(++events, acknowledged));
      ASSERT_NO_FATAL_FAILURE(Append(++events, kBatches));
      state = StateOf(events);
    }
    ASSERT_LT(acknowledged, kBatches) << "never came to " << failpoint;
    ASSERT_EQ(server_->Wait(), -SIGKILL) << server_->Stderr();
    Start("");
    for (uint64_t batch = 0; batch < acknowledged; ++batch) {
      EXPECT_THAT(UnknownOf(batch), IsEmpty()) << batch;
    }
    const size_t left = UnknownOf(acknowledged).size();
    EXPECT_TRUE(left == 0 || left == kBatch) << left;
    if (events > 0) {
      EXPECT_EQ(StateOf(events), state);
    }
    // The client comes again, and goes on.
    for (uint64_t batch = acknowledged; batch <= kBatches; ++batch) {
      ASSERT_TRUE(Upsert(batch));
      EXPECT_THAT(UnknownOf(batch), IsEmpty());
    }
    if (events > 0) {
      EXPECT_EQ(StateOf(events), state);
    }
    server_ = nullptr;
    std::filesystem::remove_all(dir_.Path("store"));
  }

  const TempDir dir_;
  const ModelOptions model_ = GoldenModel("memory_all_l2_seeds");
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(model_);
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> main_;
  std::shared_ptr<grpc::Channel> admin_;
};

TEST_F(CatalogueCrashTest, ARequestIsThereAsAWholeOrNotAtAll) {
#ifndef QLARANK_FAILPOINTS
  GTEST_SKIP() << "built without failpoints";
#endif
  for (const char* place :
       {"catalogue.family_made=1", "catalogue.before_append=1",
        "catalogue.before_append=3", "catalogue.appended=1",
        "catalogue.appended=3"}) {
    SCOPED_TRACE(place);
    ASSERT_NO_FATAL_FAILURE(DieAndCheck(place));
  }
}

}  // namespace
}  // namespace qlarank::testing
