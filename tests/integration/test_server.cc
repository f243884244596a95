#include "tests/integration/test_server.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "tests/server/http_client.h"

namespace qlarank::testing {
namespace {

// A server says why it does not start; a test that needs one has no use for
// less.
std::unique_ptr<Server> StartOrDie(const ServerOptions& options) {
  auto server = Server::Start(options);
  if (!server.ok()) {
    std::cerr << server.status() << "\n";
    std::abort();
  }
  return *std::move(server);
}

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

template <typename Response>
absl::StatusOr<Response> Result(const grpc::Status& status,
                                Response&& response) {
  if (status.ok()) return std::move(response);
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

std::shared_ptr<grpc::Channel> Connect(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // Servers of one test process come and go on the same port.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                   grpc::InsecureChannelCredentials(),
                                   arguments);
}

constexpr absl::Duration kTimeout = absl::Seconds(60);

}  // namespace

TestServer::TestServer(const ServerOptions& options)
    : server_(StartOrDie(options)),
      channel_(Connect(server_->grpc_port())),
      admin_channel_(Connect(server_->admin_port())) {
  rank_ = v1::RankService::NewStub(channel_);
  ingest_ = v1::IngestService::NewStub(channel_);
  state_ = v1::StateService::NewStub(channel_);
  model_ = v1::ModelService::NewStub(channel_);
  admin_state_ = v1::StateService::NewStub(admin_channel_);
  model_admin_ = v1::ModelAdminService::NewStub(admin_channel_);
  admin_ = v1::AdminService::NewStub(admin_channel_);
}

TestServer::~TestServer() {
  if (server_ != nullptr) Shutdown().IgnoreError();
}

std::string TestServer::admin_address() const {
  return absl::StrCat("127.0.0.1:", server_->admin_port());
}

absl::Status TestServer::Shutdown() {
  const absl::Status status = server_->Shutdown();
  server_ = nullptr;
  return status;
}

double TestServer::Metric(const std::string& name) const {
  const std::string text = HttpGet(server_->http_port(), "/metrics").body;
  const size_t begin = text.find(absl::StrCat("\n", name, " "));
  if (begin == std::string::npos) {
    std::cerr << "no metric " << name << "\n";
    std::abort();
  }
  return std::atof(text.c_str() + begin + name.size() + 2);
}

absl::StatusOr<v1::RankResponse> TestServer::Rank(
    const v1::RankRequest& request, absl::Duration timeout) {
  grpc::ClientContext context;
  SetTimeout(context, timeout);
  v1::RankResponse response;
  const grpc::Status status = rank_->Rank(&context, request, &response);
  return Result(status, std::move(response));
}

absl::StatusOr<v1::AppendEventsResponse> TestServer::Append(
    const v1::AppendEventsRequest& request) {
  grpc::ClientContext context;
  SetTimeout(context, kTimeout);
  v1::AppendEventsResponse response;
  const grpc::Status status =
      ingest_->AppendEvents(&context, request, &response);
  return Result(status, std::move(response));
}

absl::StatusOr<v1::GetUserStateResponse> TestServer::GetState(
    const std::string& user_id, uint64_t min_event_count) {
  grpc::ClientContext context;
  SetTimeout(context, kTimeout);
  v1::GetUserStateRequest request;
  request.set_user_id(user_id);
  request.set_include_state(true);
  request.set_min_event_count(min_event_count);
  v1::GetUserStateResponse response;
  const grpc::Status status =
      state_->GetUserState(&context, request, &response);
  return Result(status, std::move(response));
}

absl::StatusOr<v1::GetUserSummaryResponse> TestServer::GetSummary(
    const v1::GetUserSummaryRequest& request) {
  grpc::ClientContext context;
  SetTimeout(context, kTimeout);
  v1::GetUserSummaryResponse response;
  const grpc::Status status =
      state_->GetUserSummary(&context, request, &response);
  return Result(status, std::move(response));
}

absl::StatusOr<v1::DeleteUserResponse> TestServer::Delete(
    const std::string& user_id) {
  grpc::ClientContext context;
  SetTimeout(context, kTimeout);
  v1::DeleteUserRequest request;
  request.set_user_id(user_id);
  v1::DeleteUserResponse response;
  const grpc::Status status =
      admin_state_->DeleteUser(&context, request, &response);
  return Result(status, std::move(response));
}

}  // namespace qlarank::testing
