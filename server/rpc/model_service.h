// ModelService over gRPC. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_MODEL_SERVICE_H_
#define QLARANK_SERVER_RPC_MODEL_SERVICE_H_

#include "qlarank/v1/model_service.grpc.pb.h"
#include "server/rank/model_pipeline.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/drain.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/served_methods.h"

namespace qlarank {

class ModelService final : public ServedMethods<v1::ModelService> {
 public:
  // All must outlive the server that this is registered with.
  ModelService(Listener listener, ModelPipeline& pipeline, const Drain& drain,
               ReplyWatch& replies, const CallerNames& callers)
      : ServedMethods(listener),
        pipeline_(pipeline),
        drain_(drain),
        replies_(replies),
        callers_(callers) {
    ServeUnary("ListModels", &ModelService::ListModels);
    ServeUnary("GetModel", &ModelService::GetModel);
  }

  grpc::ServerUnaryReactor* ListModels(
      grpc::CallbackServerContext* context,
      const v1::ListModelsRequest* request,
      v1::ListModelsResponse* response) override;

  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext& context,
                                  const Request& request, Response& response);

  ModelPipeline& pipeline_;
  const Drain& drain_;
  ReplyWatch& replies_;
  const CallerNames& callers_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_MODEL_SERVICE_H_
