#include "server/rpc/rank_service.h"

#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"

namespace qlarank {

grpc::ServerUnaryReactor* RankService::Rank(
    grpc::CallbackServerContext* context, const v1::RankRequest* request,
    v1::RankResponse* response) {
  auto* call =
      new UnaryCall<RankPipeline>(*context, pipeline_, replies_, callers_);
  if (drain_.draining()) {
    call->Finish(DrainingStatus());
    return call;
  }
  pipeline_.Start(*request, *response, call->context(), call->Done());
  return call;
}

}  // namespace qlarank
