// Every service of the API over one pipeline.
//
//   RpcServices services(pipeline);
//   services.RegisterWith(builder);
//   ... serve ...
//   services.BeginDrain();       // then grpc::Server::Shutdown(deadline)
#ifndef QLARANK_SERVER_RPC_RPC_SERVICES_H_
#define QLARANK_SERVER_RPC_RPC_SERVICES_H_

#include "grpcpp/server_builder.h"
#include "server/pipeline/pipeline.h"
#include "server/rpc/drain.h"
#include "server/rpc/ingest_service.h"
#include "server/rpc/rank_service.h"
#include "server/rpc/state_service.h"

namespace qlarank {

class RpcServices {
 public:
  // `pipeline` must outlive the services, and they the server.
  explicit RpcServices(Pipeline& pipeline)
      : rank_(pipeline.rank(), drain_),
        ingest_(pipeline.ingest(), drain_),
        state_(pipeline.state(), pipeline.ingest(), drain_) {}

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
  RankService rank_;
  IngestService ingest_;
  StateService state_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_RPC_SERVICES_H_
