// The services of the API that one listener serves, over one pipeline.
//
//   RpcServices services(Listener::kMain, pipeline, options);
//   services.RegisterWith(builder);
//   ... serve ...
//   services.BeginDrain();       // then grpc::Server::Shutdown(deadline)
#ifndef QLARANK_SERVER_RPC_SERVICES_H_
#define QLARANK_SERVER_RPC_SERVICES_H_

#include <memory>
#include <vector>

#include "config/server_options.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server_builder.h"
#include "server/pipeline.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/drain.h"
#include "server/rpc/reply_watch.h"
#include "server/security/access_table.h"

namespace qlarank {

class RpcServices {
 public:
  // `pipeline` must outlive the services, and they the server. Callers are
  // named by `authenticator`, null where nobody is authenticated.
  RpcServices(Listener listener, Pipeline& pipeline,
              const ServerOptions& options,
              std::shared_ptr<const Authenticator> authenticator);

  void RegisterWith(grpc::ServerBuilder& builder) {
    for (const auto& service : services_) {
      builder.RegisterService(service.get());
    }
    builder.RegisterCallbackGenericService(&not_served_);
  }

  // New calls get UNAVAILABLE; streams answer what they have read, then end
  // with UNAVAILABLE. Without it an open stream would keep a graceful shutdown
  // waiting to its deadline. Does not block.
  void BeginDrain() { drain_.Begin(); }

 private:
  Drain drain_;
  const CallerNames callers_;
  ReplyWatch replies_;
  // Answers UNIMPLEMENTED to what the listener does not serve.
  grpc::CallbackGenericService not_served_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_SERVICES_H_
