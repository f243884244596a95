// StateService over gRPC. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_STATE_SERVICE_H_
#define QLARANK_SERVER_RPC_STATE_SERVICE_H_

#include "qlarank/v1/state_service.grpc.pb.h"
#include "server/ingest/ingest_pipeline.h"
#include "server/rank/state_pipeline.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/drain.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/served_methods.h"

namespace qlarank {

class StateService final : public ServedMethods<v1::StateService> {
 public:
  // All must outlive the server that this is registered with.
  StateService(Listener listener, StatePipeline& state, IngestPipeline& ingest,
               const Drain& drain, ReplyWatch& replies,
               const CallerNames& callers)
      : ServedMethods(listener),
        state_(state),
        ingest_(ingest),
        drain_(drain),
        replies_(replies),
        callers_(callers) {
    ServeUnary("GetUserState", &StateService::GetUserState);
    ServeUnary("GetUserSummary", &StateService::GetUserSummary);
    ServeUnary("DeleteUser", &StateService::DeleteUser);
  }

  grpc::ServerUnaryReactor* GetUserState(
      grpc::CallbackServerContext* context,
      const v1::GetUserStateRequest* request,
      v1::GetUserStateResponse* response) override;

  grpc::ServerUnaryReactor* GetUserSummary(
      grpc::CallbackServerContext* context,
      const v1::GetUserSummaryRequest* request,
      v1::GetUserSummaryResponse* response) override;

  // An erasure is a write like any other: the ingest pipeline orders it.
  grpc::ServerUnaryReactor* DeleteUser(
      grpc::CallbackServerContext* context,
      const v1::DeleteUserRequest* request,
      v1::DeleteUserResponse* response) override;

 private:
  // Starts `request` in the state pipeline.
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext& context,
                                  const Request& request, Response& response);

  StatePipeline& state_;
  IngestPipeline& ingest_;
  const Drain& drain_;
  ReplyWatch& replies_;
  const CallerNames& callers_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_STATE_SERVICE_H_
