// ModelService over a connection within the process.
#include <memory>

#include "grpcpp/client_context.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qlarank/v1/model_service.grpc.pb.h"
#include "server/pipeline.h"
#include "server/rpc_services.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

TEST(ModelServiceTest, TellsOfModelsUntilTheServerDrains) {
  const ServerOptions options = TestOptions();
  MemoryStateStore store;
  Metrics metrics;
  const auto pipeline = *Pipeline::Create(options, store, metrics);
  RpcServices services(Listener::kMain, *pipeline, options,
                       /*authenticator=*/nullptr);
  grpc::ServerBuilder builder;
  services.RegisterWith(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto models = v1::ModelService::NewStub(
      server->InProcessChannel(grpc::ChannelArguments()));
  const auto get = [&](v1::GetModelResponse& found) {
    grpc::ClientContext context;
    return models->GetModel(&context, v1::GetModelRequest(), &found);
  };
  const auto list = [&](v1::ListModelsResponse& listed) {
    grpc::ClientContext context;
    return models->ListModels(&context, v1::ListModelsRequest(), &listed);
  };
  v1::GetModelResponse found;
  v1::ListModelsResponse listed;
  grpc::Status status = get(found);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(found.model().name(), options.models[0].name);
  status = list(listed);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(listed.models_size(), 1);
  services.BeginDrain();
  found.Clear();
  listed.Clear();
  EXPECT_EQ(get(found).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(list(listed).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(found.has_model());
  EXPECT_EQ(listed.models_size(), 0);
}

}  // namespace
}  // namespace qlarank::testing
