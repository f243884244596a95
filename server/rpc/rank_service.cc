#include "server/rpc/rank_service.h"

#include <utility>

#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"

namespace qlarank {

grpc::ServerUnaryReactor* RankService::Rank(
    grpc::CallbackServerContext* context, const v1::RankRequest* request,
    v1::RankResponse* response) {
  // What ends here needs no call of its own, and gRPC no other thread to end
  // it: in a flood most requests do.
  if (drain_.draining()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  RankCall::Context called = ContextOf(*context, callers_);
  auto admission = pipeline_.Admit(*request, called);
  if (!admission.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    pipeline_.Refuse(admission.status(), called, request->SpaceUsedLong(),
                     [context, reactor](const absl::Status& status) {
                       reactor->Finish(ToRpcStatus(status, *context));
                     });
    return reactor;
  }
  auto* call = new UnaryCall<RankPipeline>(*context, pipeline_, replies_,
                                           std::move(called));
  pipeline_.Start(*std::move(admission), *request, *response, call->context(),
                  call->Done());
  return call;
}

}  // namespace qlarank
