#include "server/rpc/model_service.h"

#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"

namespace qlarank {

template <typename Request, typename Response>
grpc::ServerUnaryReactor* ModelService::Start(
    grpc::CallbackServerContext& context, const Request& request,
    Response& response) {
  auto* call = new UnaryCall<ModelPipeline>(context, pipeline_, replies_,
                                            ContextOf(context, callers_));
  if (drain_.draining()) {
    call->Finish(DrainingStatus());
    return call;
  }
  pipeline_.Start(request, response, call->context(), call->Done());
  return call;
}

grpc::ServerUnaryReactor* ModelService::ListModels(
    grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
    v1::ListModelsResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerUnaryReactor* ModelService::GetModel(
    grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
    v1::GetModelResponse* response) {
  return Start(*context, *request, *response);
}

}  // namespace qlarank
