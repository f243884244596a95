// A connection to a qlarank server and the calls that the subcommands make.
//
// Every call blocks, waits for the connection to come up within its deadline,
// and returns the server's status with its message untouched. Thread-safe.
#ifndef QLARANK_CLI_CLIENT_H_
#define QLARANK_CLI_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client_security.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "qlarank/v1/model_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"

namespace qlarank {

absl::Status ToAbslStatus(const grpc::Status& status);

class Client {
 public:
  // `server` is "host:port". Connects at the first call. `timeout` bounds each
  // unary call.
  Client(const std::string& server, absl::Duration timeout,
         const ClientSecurity& security = {});

  absl::StatusOr<v1::RankResponse> Rank(const v1::RankRequest& request) const;
  absl::StatusOr<v1::AppendEventsResponse> AppendEvents(
      const v1::AppendEventsRequest& request) const;
  absl::StatusOr<v1::MarkSourceResponse> MarkSource(
      const v1::MarkSourceRequest& request) const;
  absl::StatusOr<v1::GetSourceResponse> GetSource(
      const v1::GetSourceRequest& request) const;
  absl::StatusOr<v1::GetUserStateResponse> GetUserState(
      const v1::GetUserStateRequest& request) const;
  absl::StatusOr<v1::GetUserSummaryResponse> GetUserSummary(
      const v1::GetUserSummaryRequest& request) const;
  absl::StatusOr<v1::ListModelsResponse> ListModels(
      const v1::ListModelsRequest& request) const;
  absl::StatusOr<v1::GetModelResponse> GetModel(
      const v1::GetModelRequest& request) const;
  absl::StatusOr<v1::LoadModelResponse> LoadModel(
      const v1::LoadModelRequest& request) const;
  absl::StatusOr<v1::UnloadModelResponse> UnloadModel(
      const v1::UnloadModelRequest& request) const;
  absl::StatusOr<v1::SetLabelResponse> SetLabel(
      const v1::SetLabelRequest& request) const;
  absl::StatusOr<v1::RemoveLabelResponse> RemoveLabel(
      const v1::RemoveLabelRequest& request) const;
  absl::StatusOr<v1::RollbackResponse> Rollback(
      const v1::RollbackRequest& request) const;
  absl::StatusOr<v1::SetTrafficResponse> SetTraffic(
      const v1::SetTrafficRequest& request) const;
  absl::StatusOr<v1::SetShadowResponse> SetShadow(
      const v1::SetShadowRequest& request) const;
  absl::StatusOr<v1::UpsertItemsResponse> UpsertItems(
      const v1::UpsertItemsRequest& request) const;
  absl::StatusOr<v1::RemoveItemsResponse> RemoveItems(
      const v1::RemoveItemsRequest& request) const;
  absl::StatusOr<v1::GetItemsResponse> GetItems(
      const v1::GetItemsRequest& request) const;
  absl::StatusOr<v1::ListItemsResponse> ListItems(
      const v1::ListItemsRequest& request) const;
  absl::StatusOr<v1::DeleteUserResponse> DeleteUser(
      const v1::DeleteUserRequest& request) const;
  absl::StatusOr<v1::CheckpointResponse> Checkpoint(
      const v1::CheckpointRequest& request) const;
  absl::StatusOr<v1::BackupResponse> Backup(
      const v1::BackupRequest& request) const;
  absl::StatusOr<v1::ListErasuresResponse> ListErasures(
      const v1::ListErasuresRequest& request) const;
  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo() const;
  // The standard health service; `service` "" is the server as a whole.
  absl::StatusOr<grpc::health::v1::HealthCheckResponse> CheckHealth(
      const std::string& service) const;

  // For the streams, which have no deadline. Their contexts are to be
  // authorized.
  v1::IngestService::Stub& ingest() const { return *ingest_; }
  v1::AdminService::Stub& admin() const { return *admin_; }
  // Shows the token, if there is one.
  void Authorize(grpc::ClientContext& context) const;

 private:
  void Prepare(grpc::ClientContext& context) const;

  absl::Duration timeout_;
  std::string authorization_;  // "": none
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RankService::Stub> rank_;
  std::unique_ptr<v1::IngestService::Stub> ingest_;
  std::unique_ptr<v1::StateService::Stub> state_;
  std::unique_ptr<v1::ModelService::Stub> model_;
  std::unique_ptr<v1::ModelAdminService::Stub> model_admin_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_CLIENT_H_
