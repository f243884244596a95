#include "server/rpc/model_admin_service.h"

#include "server/rpc/rpc_status.h"

namespace qlarank {

template <typename Room, typename Request, typename Response>
grpc::ServerUnaryReactor* ModelAdminService::Start(
    Room& room, grpc::CallbackServerContext& context, const Request& request,
    Response& response) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  room.Start(request, response,
             [reactor, context = &context](absl::Status status) {
               reactor->Finish(ToRpcStatus(status, *context));
             });
  return reactor;
}

grpc::ServerUnaryReactor* ModelAdminService::LoadModel(
    grpc::CallbackServerContext* context, const v1::LoadModelRequest* request,
    v1::LoadModelResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::UnloadModel(
    grpc::CallbackServerContext* context, const v1::UnloadModelRequest* request,
    v1::UnloadModelResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::SetLabel(
    grpc::CallbackServerContext* context, const v1::SetLabelRequest* request,
    v1::SetLabelResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::RemoveLabel(
    grpc::CallbackServerContext* context, const v1::RemoveLabelRequest* request,
    v1::RemoveLabelResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::Rollback(
    grpc::CallbackServerContext* context, const v1::RollbackRequest* request,
    v1::RollbackResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::UpsertItems(
    grpc::CallbackServerContext* context, const v1::UpsertItemsRequest* request,
    v1::UpsertItemsResponse* response) {
  return Start(items_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::RemoveItems(
    grpc::CallbackServerContext* context, const v1::RemoveItemsRequest* request,
    v1::RemoveItemsResponse* response) {
  return Start(items_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::GetItems(
    grpc::CallbackServerContext* context, const v1::GetItemsRequest* request,
    v1::GetItemsResponse* response) {
  return Start(items_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::ListItems(
    grpc::CallbackServerContext* context, const v1::ListItemsRequest* request,
    v1::ListItemsResponse* response) {
  return Start(items_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::SetTraffic(
    grpc::CallbackServerContext* context, const v1::SetTrafficRequest* request,
    v1::SetTrafficResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

grpc::ServerUnaryReactor* ModelAdminService::SetShadow(
    grpc::CallbackServerContext* context, const v1::SetShadowRequest* request,
    v1::SetShadowResponse* response) {
  return Start(rollout_, *context, *request, *response);
}

}  // namespace qlarank
