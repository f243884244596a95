#include "server/rpc/state_service.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"

namespace qlarank {

template <typename Request, typename Response>
grpc::ServerUnaryReactor* StateService::Start(
    grpc::CallbackServerContext& context, const Request& request,
    Response& response) {
  auto* call = new UnaryCall<StatePipeline>(context, state_, replies_,
                                            ContextOf(context, callers_));
  if (drain_.draining()) {
    call->Finish(DrainingStatus());
    return call;
  }
  state_.Start(request, response, call->context(), call->Done());
  return call;
}

grpc::ServerUnaryReactor* StateService::GetUserState(
    grpc::CallbackServerContext* context,
    const v1::GetUserStateRequest* request,
    v1::GetUserStateResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerUnaryReactor* StateService::GetUserSummary(
    grpc::CallbackServerContext* context,
    const v1::GetUserSummaryRequest* request,
    v1::GetUserSummaryResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerUnaryReactor* StateService::DeleteUser(
    grpc::CallbackServerContext* context, const v1::DeleteUserRequest* request,
    v1::DeleteUserResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  IngestPipeline::ErasureOrder order;
  order.note = {absl::ToUnixMicros(absl::Now()), callers_.Principal(*context),
                "request"};
  ingest_.DeleteUser(request->user_id(), std::move(order),
                     [reactor, response,
                      context](absl::StatusOr<uint64_t> removed) {
                       if (removed.ok()) {
                         response->set_found(*removed > 0);
                         response->set_events_deleted(*removed);
                       }
                       reactor->Finish(ToRpcStatus(removed.status(), *context));
                     });
  return reactor;
}

}  // namespace qlarank
