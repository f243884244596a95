// AdminService over gRPC. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_ADMIN_SERVICE_H_
#define QLARANK_SERVER_RPC_ADMIN_SERVICE_H_

#include "qlarank/v1/admin_service.grpc.pb.h"
#include "server/rpc/drain.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/served_methods.h"
#include "server/upkeep/admin_pipeline.h"
#include "server/upkeep/export_pipeline.h"
#include "server/upkeep/server_info.h"

namespace qlarank {

class AdminService final : public ServedMethods<v1::AdminService> {
 public:
  // All must outlive the server that this is registered with.
  AdminService(Listener listener, AdminPipeline& pipeline,
               ExportPipeline& exports, const ServerInfo& info,
               const Drain& drain, ReplyWatch& replies)
      : ServedMethods(listener),
        pipeline_(pipeline),
        exports_(exports),
        info_(info),
        drain_(drain),
        replies_(replies) {
    ServeUnary("Checkpoint", &AdminService::Checkpoint);
    ServeUnary("Backup", &AdminService::Backup);
    ServeReplies("ExportEvents", &AdminService::StartExport);
    ServeUnary("ListErasures", &AdminService::ListErasures);
    ServeUnary("GetServerInfo", &AdminService::GetServerInfo);
  }

  grpc::ServerUnaryReactor* Checkpoint(
      grpc::CallbackServerContext* context,
      const v1::CheckpointRequest* request,
      v1::CheckpointResponse* response) override;

  grpc::ServerUnaryReactor* Backup(grpc::CallbackServerContext* context,
                                   const v1::BackupRequest* request,
                                   v1::BackupResponse* response) override;

  grpc::ServerUnaryReactor* ListErasures(
      grpc::CallbackServerContext* context,
      const v1::ListErasuresRequest* request,
      v1::ListErasuresResponse* response) override;

  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* context,
      const v1::GetServerInfoRequest* request,
      v1::GetServerInfoResponse* response) override;

 private:
  grpc::ServerWriteReactor<v1::ExportEventsResponse>* StartExport(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request);

  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext& context,
                                  const Request& request, Response& response);

  AdminPipeline& pipeline_;
  ExportPipeline& exports_;
  const ServerInfo& info_;
  const Drain& drain_;
  ReplyWatch& replies_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_ADMIN_SERVICE_H_
