// Records RpcMetrics for every RPC of a server, whichever service it belongs
// to.
//
//   std::vector<std::unique_ptr<
//       grpc::experimental::ServerInterceptorFactoryInterface>> creators;
//   creators.push_back(
//       std::make_unique<RpcMetricsInterceptorFactory>(metrics.rpc));
//   builder.experimental().SetInterceptorCreators(std::move(creators));
//
// Thread-safe.
#ifndef QLARANK_SERVER_METRICS_RPC_METRICS_INTERCEPTOR_H_
#define QLARANK_SERVER_METRICS_RPC_METRICS_INTERCEPTOR_H_

#include "grpcpp/support/server_interceptor.h"
#include "server/metrics/rpc_metrics.h"

namespace qlarank {

class RpcMetricsInterceptorFactory
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `metrics` must outlive the server, and get no more services.
  explicit RpcMetricsInterceptorFactory(RpcMetrics& metrics)
      : metrics_(metrics) {}

  // Called by gRPC when an RPC starts; gRPC deletes the result when it is over.
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  RpcMetrics& metrics_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_RPC_METRICS_INTERCEPTOR_H_
