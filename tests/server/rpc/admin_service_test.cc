// AdminService over a connection within the process.
#include <memory>

#include "grpcpp/client_context.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "server/pipeline.h"
#include "server/rpc_services.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

TEST(AdminServiceTest, TellsWhatRunsUntilTheServerDrains) {
  const ServerOptions options = TestOptions();
  MemoryStateStore store;
  Metrics metrics;
  const auto pipeline = *Pipeline::Create(options, store, metrics);
  RpcServices services(Listener::kAdmin, *pipeline, options,
                       /*authenticator=*/nullptr);
  grpc::ServerBuilder builder;
  services.RegisterWith(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto admin = v1::AdminService::NewStub(
      server->InProcessChannel(grpc::ChannelArguments()));
  const auto ask = [&](v1::GetServerInfoResponse& info) {
    grpc::ClientContext context;
    return admin->GetServerInfo(&context, v1::GetServerInfoRequest(), &info);
  };
  v1::GetServerInfoResponse info;
  const grpc::Status status = ask(info);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info.SerializeAsString(),
            pipeline->info().Describe().SerializeAsString());
  EXPECT_EQ(info.num_owners(), options.ingest.shards);
  services.BeginDrain();
  v1::GetServerInfoResponse none;
  EXPECT_EQ(ask(none).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(none.models_size(), 0);
}

}  // namespace
}  // namespace qlarank::testing
