// Every service of the API over one pipeline.
//
//   RpcServices services(pipeline, options);
//   services.RegisterWith(builder);
//   ... serve ...
//   services.BeginDrain();       // then grpc::Server::Shutdown(deadline)
#ifndef QLARANK_SERVER_RPC_RPC_SERVICES_H_
#define QLARANK_SERVER_RPC_RPC_SERVICES_H_

#include "config/server_options.h"
#include "grpcpp/server_builder.h"
#include "server/pipeline/pipeline.h"
#include "server/rpc/drain.h"
#include "server/rpc/ingest_service.h"
#include "server/rpc/rank_service.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/state_service.h"

namespace qlarank {

class RpcServices {
 public:
  // `pipeline` must outlive the services, and they the server.
  RpcServices(Pipeline& pipeline, const ServerOptions& options)
      : replies_(options.rank.reply_timeout),
        rank_(pipeline.rank(), drain_, replies_),
        ingest_(pipeline.ingest(), drain_, options.ingest.stream_window_bytes),
        state_(pipeline.state(), pipeline.ingest(), drain_, replies_) {}

  void RegisterWith(grpc::ServerBuilder& builder) {
    builder.RegisterService(&rank_);
    builder.RegisterService(&ingest_);
    builder.RegisterService(&state_);
  }

  // New calls get UNAVAILABLE; streams answer what they have read, then end
  // with UNAVAILABLE. Without it an open stream would keep a graceful shutdown
  // waiting to its deadline. Does not block.
  void BeginDrain() { drain_.Begin(); }

 private:
  Drain drain_;
  ReplyWatch replies_;
  RankService rank_;
  IngestService ingest_;
  StateService state_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_RPC_SERVICES_H_
