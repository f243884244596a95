#include "server/rpc/admin_service.h"

#include "server/rpc/export_events_reactor.h"
#include "server/rpc/request_parsing.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

template <typename Request, typename Response>
grpc::ServerUnaryReactor* AdminService::Start(
    grpc::CallbackServerContext& context, const Request& request,
    Response& response) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  pipeline_.Start(request, response,
                  [reactor, context = &context](absl::Status status) {
                    reactor->Finish(ToRpcStatus(status, *context));
                  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Checkpoint(
    grpc::CallbackServerContext* context, const v1::CheckpointRequest* request,
    v1::CheckpointResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerUnaryReactor* AdminService::Backup(
    grpc::CallbackServerContext* context, const v1::BackupRequest* request,
    v1::BackupResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerUnaryReactor* AdminService::ListErasures(
    grpc::CallbackServerContext* context,
    const v1::ListErasuresRequest* request,
    v1::ListErasuresResponse* response) {
  return Start(*context, *request, *response);
}

grpc::ServerWriteReactor<v1::ExportEventsResponse>* AdminService::StartExport(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto* reactor =
      new ExportEventsReactor(*context, exports_, drain_, replies_);
  v1::ExportEventsRequest parsed;
  grpc::ByteBuffer bytes = *request;
  reactor->Start(ParseRequest("ExportEvents", bytes, parsed), parsed);
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::GetServerInfo(
    grpc::CallbackServerContext* context, const v1::GetServerInfoRequest*,
    v1::GetServerInfoResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  *response = info_.Describe();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace qlarank
