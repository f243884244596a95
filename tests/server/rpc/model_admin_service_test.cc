// ModelAdminService over a connection within the process.
#include <memory>

#include "grpcpp/client_context.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "server/pipeline.h"
#include "server/rpc_services.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

TEST(ModelAdminServiceTest, ChangesLabelsUntilTheServerDrains) {
  const ServerOptions options = TestOptions();
  MemoryStateStore store;
  Metrics metrics;
  const auto pipeline = *Pipeline::Create(options, store, metrics);
  RpcServices services(Listener::kAdmin, *pipeline, options,
                       /*authenticator=*/nullptr);
  grpc::ServerBuilder builder;
  services.RegisterWith(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto admin = v1::ModelAdminService::NewStub(
      server->InProcessChannel(grpc::ChannelArguments()));
  const auto set = [&](v1::SetLabelResponse& response) {
    grpc::ClientContext context;
    v1::SetLabelRequest request;
    request.set_model_name(options.models[0].name);
    request.set_label("canary");
    request.set_model_version(1);
    return admin->SetLabel(&context, request, &response);
  };
  v1::SetLabelResponse response;
  const grpc::Status status = set(response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.labels().versions().at("canary"), 1);
  services.BeginDrain();
  v1::SetLabelResponse none;
  EXPECT_EQ(set(none).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(none.has_labels());
}

}  // namespace
}  // namespace qlarank::testing
