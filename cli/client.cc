#include "cli/client.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace qlarank {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& server,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  // The scores of a whole catalogue exceed gRPC's default of 4 MB.
  arguments.SetMaxReceiveMessageSize(-1);
  // A stream has no deadline: find out that the other side is gone.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name, how long one attempt to connect may take: a busy server
  // needs more than an instant.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  return grpc::CreateCustomChannel(server, credentials, arguments);
}

template <typename Response>
absl::StatusOr<Response> ResultOf(const grpc::Status& status,
                                  Response&& response) {
  if (!status.ok()) return ToAbslStatus(status);
  return std::move(response);
}

}  // namespace

absl::Status ToAbslStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

Client::Client(const std::string& server, absl::Duration timeout,
               const ClientSecurity& security)
    : timeout_(timeout),
      authorization_(security.token.empty()
                         ? ""
                         : absl::StrCat("Bearer ", security.token)),
      channel_(MakeChannel(server, security.credentials)),
      rank_(v1::RankService::NewStub(channel_)),
      ingest_(v1::IngestService::NewStub(channel_)),
      state_(v1::StateService::NewStub(channel_)),
      model_(v1::ModelService::NewStub(channel_)),
      model_admin_(v1::ModelAdminService::NewStub(channel_)),
      admin_(v1::AdminService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

void Client::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
  Authorize(context);
}

void Client::Authorize(grpc::ClientContext& context) const {
  if (!authorization_.empty()) {
    context.AddMetadata("authorization", authorization_);
  }
}

absl::StatusOr<v1::RankResponse> Client::Rank(
    const v1::RankRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::RankResponse response;
  grpc::Status status = rank_->Rank(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::AppendEventsResponse> Client::AppendEvents(
    const v1::AppendEventsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::AppendEventsResponse response;
  grpc::Status status = ingest_->AppendEvents(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::MarkSourceResponse> Client::MarkSource(
    const v1::MarkSourceRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::MarkSourceResponse response;
  grpc::Status status = ingest_->MarkSource(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetSourceResponse> Client::GetSource(
    const v1::GetSourceRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetSourceResponse response;
  grpc::Status status = ingest_->GetSource(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetUserStateResponse> Client::GetUserState(
    const v1::GetUserStateRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetUserStateResponse response;
  grpc::Status status = state_->GetUserState(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetUserSummaryResponse> Client::GetUserSummary(
    const v1::GetUserSummaryRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetUserSummaryResponse response;
  grpc::Status status = state_->GetUserSummary(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels(
    const v1::ListModelsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListModelsResponse response;
  grpc::Status status = model_->ListModels(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetModelResponse> Client::GetModel(
    const v1::GetModelRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetModelResponse response;
  grpc::Status status = model_->GetModel(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::LoadModelResponse> Client::LoadModel(
    const v1::LoadModelRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::LoadModelResponse response;
  grpc::Status status = model_admin_->LoadModel(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::UnloadModelResponse> Client::UnloadModel(
    const v1::UnloadModelRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::UnloadModelResponse response;
  grpc::Status status = model_admin_->UnloadModel(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::SetLabelResponse> Client::SetLabel(
    const v1::SetLabelRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::SetLabelResponse response;
  grpc::Status status = model_admin_->SetLabel(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::RemoveLabelResponse> Client::RemoveLabel(
    const v1::RemoveLabelRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::RemoveLabelResponse response;
  grpc::Status status = model_admin_->RemoveLabel(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::RollbackResponse> Client::Rollback(
    const v1::RollbackRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::RollbackResponse response;
  grpc::Status status = model_admin_->Rollback(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::SetTrafficResponse> Client::SetTraffic(
    const v1::SetTrafficRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::SetTrafficResponse response;
  grpc::Status status = model_admin_->SetTraffic(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::SetShadowResponse> Client::SetShadow(
    const v1::SetShadowRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::SetShadowResponse response;
  grpc::Status status = model_admin_->SetShadow(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::UpsertItemsResponse> Client::UpsertItems(
    const v1::UpsertItemsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::UpsertItemsResponse response;
  grpc::Status status = model_admin_->UpsertItems(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::RemoveItemsResponse> Client::RemoveItems(
    const v1::RemoveItemsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::RemoveItemsResponse response;
  grpc::Status status = model_admin_->RemoveItems(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetItemsResponse> Client::GetItems(
    const v1::GetItemsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetItemsResponse response;
  grpc::Status status = model_admin_->GetItems(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::ListItemsResponse> Client::ListItems(
    const v1::ListItemsRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListItemsResponse response;
  grpc::Status status = model_admin_->ListItems(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::DeleteUserResponse> Client::DeleteUser(
    const v1::DeleteUserRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::DeleteUserResponse response;
  grpc::Status status = state_->DeleteUser(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::CheckpointResponse> Client::Checkpoint(
    const v1::CheckpointRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::CheckpointResponse response;
  grpc::Status status = admin_->Checkpoint(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::BackupResponse> Client::Backup(
    const v1::BackupRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::BackupResponse response;
  grpc::Status status = admin_->Backup(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::ListErasuresResponse> Client::ListErasures(
    const v1::ListErasuresRequest& request) const {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListErasuresResponse response;
  grpc::Status status = admin_->ListErasures(&context, request, &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<v1::GetServerInfoResponse> Client::GetServerInfo() const {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetServerInfoResponse response;
  grpc::Status status =
      admin_->GetServerInfo(&context, v1::GetServerInfoRequest(), &response);
  return ResultOf(status, std::move(response));
}

absl::StatusOr<grpc::health::v1::HealthCheckResponse> Client::CheckHealth(
    const std::string& service) const {
  grpc::ClientContext context;
  Prepare(context);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  grpc::Status status = health_->Check(&context, request, &response);
  return ResultOf(status, std::move(response));
}

}  // namespace qlarank
