// ModelAdminService over gRPC. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_MODEL_ADMIN_SERVICE_H_
#define QLARANK_SERVER_RPC_MODEL_ADMIN_SERVICE_H_

#include "qlarank/v1/model_admin_service.grpc.pb.h"
#include "server/catalogue/item_calls.h"
#include "server/rollout/model_rollout.h"
#include "server/rpc/drain.h"
#include "server/rpc/served_methods.h"

namespace qlarank {

class ModelAdminService final : public ServedMethods<v1::ModelAdminService> {
 public:
  // All must outlive the server that this is registered with.
  ModelAdminService(Listener listener, ModelRollout& rollout, ItemCalls& items,
                    const Drain& drain)
      : ServedMethods(listener),
        rollout_(rollout),
        items_(items),
        drain_(drain) {
    ServeUnary("LoadModel", &ModelAdminService::LoadModel);
    ServeUnary("UnloadModel", &ModelAdminService::UnloadModel);
    ServeUnary("SetLabel", &ModelAdminService::SetLabel);
    ServeUnary("RemoveLabel", &ModelAdminService::RemoveLabel);
    ServeUnary("Rollback", &ModelAdminService::Rollback);
    ServeUnary("SetTraffic", &ModelAdminService::SetTraffic);
    ServeUnary("SetShadow", &ModelAdminService::SetShadow);
    ServeUnary("UpsertItems", &ModelAdminService::UpsertItems);
    ServeUnary("RemoveItems", &ModelAdminService::RemoveItems);
    ServeUnary("GetItems", &ModelAdminService::GetItems);
    ServeUnary("ListItems", &ModelAdminService::ListItems);
  }

  grpc::ServerUnaryReactor* LoadModel(grpc::CallbackServerContext* context,
                                      const v1::LoadModelRequest* request,
                                      v1::LoadModelResponse* response) override;
  grpc::ServerUnaryReactor* UnloadModel(
      grpc::CallbackServerContext* context,
      const v1::UnloadModelRequest* request,
      v1::UnloadModelResponse* response) override;
  grpc::ServerUnaryReactor* SetLabel(grpc::CallbackServerContext* context,
                                     const v1::SetLabelRequest* request,
                                     v1::SetLabelResponse* response) override;
  grpc::ServerUnaryReactor* RemoveLabel(
      grpc::CallbackServerContext* context,
      const v1::RemoveLabelRequest* request,
      v1::RemoveLabelResponse* response) override;
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context,
                                     const v1::RollbackRequest* request,
                                     v1::RollbackResponse* response) override;
  grpc::ServerUnaryReactor* SetTraffic(
      grpc::CallbackServerContext* context,
      const v1::SetTrafficRequest* request,
      v1::SetTrafficResponse* response) override;
  grpc::ServerUnaryReactor* SetShadow(grpc::CallbackServerContext* context,
                                      const v1::SetShadowRequest* request,
                                      v1::SetShadowResponse* response) override;
  grpc::ServerUnaryReactor* UpsertItems(
      grpc::CallbackServerContext* context,
      const v1::UpsertItemsRequest* request,
      v1::UpsertItemsResponse* response) override;
  grpc::ServerUnaryReactor* RemoveItems(
      grpc::CallbackServerContext* context,
      const v1::RemoveItemsRequest* request,
      v1::RemoveItemsResponse* response) override;
  grpc::ServerUnaryReactor* GetItems(grpc::CallbackServerContext* context,
                                     const v1::GetItemsRequest* request,
                                     v1::GetItemsResponse* response) override;
  grpc::ServerUnaryReactor* ListItems(grpc::CallbackServerContext* context,
                                      const v1::ListItemsRequest* request,
                                      v1::ListItemsResponse* response) override;

 private:
  template <typename Room, typename Request, typename Response>
  grpc::ServerUnaryReactor* Start(Room& room,
                                  grpc::CallbackServerContext& context,
                                  const Request& request, Response& response);

  ModelRollout& rollout_;
  ItemCalls& items_;
  const Drain& drain_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_MODEL_ADMIN_SERVICE_H_
