// RankService over gRPC: deadline and cancellation in, RankPipeline, status
// out. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_RANK_SERVICE_H_
#define QLARANK_SERVER_RPC_RANK_SERVICE_H_

#include "qlarank/v1/rank_service.grpc.pb.h"
#include "server/rank/rank_pipeline.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/drain.h"
#include "server/rpc/rank_messages.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/served_methods.h"

namespace qlarank {

class RankService final : public ServedMethods<v1::RankService> {
 public:
  // All must outlive the server that this is registered with.
  RankService(Listener listener, RankPipeline& pipeline, const Drain& drain,
              ReplyWatch& replies, const CallerNames& callers)
      : ServedMethods(listener),
        pipeline_(pipeline),
        drain_(drain),
        replies_(replies),
        callers_(callers) {
    ServeUnary("Rank", &RankService::Rank, &messages_);
  }

  grpc::ServerUnaryReactor* Rank(grpc::CallbackServerContext* context,
                                 const v1::RankRequest* request,
                                 v1::RankResponse* response) override;

 private:
  RankPipeline& pipeline_;
  const Drain& drain_;
  ReplyWatch& replies_;
  const CallerNames& callers_;
  RankMessages messages_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_RANK_SERVICE_H_
