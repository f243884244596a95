// Streams that last as long as their clients like: a health watch, a reflection
// session. grpc::Server::Shutdown waits for them until its deadline, so that
// one watching load balancer would turn every restart into a wait of
// shutdown_timeout. This finds them and cuts them off.
//
// An interceptor, because these services come with gRPC and cannot be asked to
// end. Thread-safe.
#ifndef QLARANK_SERVER_OPS_ENDLESS_STREAMS_H_
#define QLARANK_SERVER_OPS_ENDLESS_STREAMS_H_

#include <mutex>
#include <set>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"

namespace qlarank {

// The streams that are open now. Outlives the server.
class EndlessStreams {
 public:
  // Cancels those that are open; their clients see CANCELLED. Blocks shortly.
  void CancelAll();

  void Add(grpc::ServerContextBase* context);
  void Remove(grpc::ServerContextBase* context);

 private:
  // Recursive: cancelling a stream may end it on the same thread, within the
  // call.
  std::recursive_mutex mutex_;
  std::set<grpc::ServerContextBase*> open_;
};

class EndlessStreamsInterceptorFactory
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // Adds the streams of the methods with these paths
  // ("/grpc.health.v1.Health/Watch") to `streams` while they are open.
  EndlessStreamsInterceptorFactory(absl::flat_hash_set<std::string> paths,
                                   EndlessStreams& streams)
      : paths_(std::move(paths)), streams_(streams) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const absl::flat_hash_set<std::string> paths_;
  EndlessStreams& streams_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_ENDLESS_STREAMS_H_
