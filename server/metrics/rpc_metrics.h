// What every RPC counts, under the names that the gRPC ecosystem's dashboards
// know (go-grpc-prometheus):
//
//   grpc_server_started_total       {grpc_type, grpc_service, grpc_method}
//   grpc_server_handled_total       {..., grpc_code}
//   grpc_server_handling_seconds    {...}
//   grpc_server_msg_received_total  {...}
//   grpc_server_msg_sent_total      {...}
//
// A service does not touch these: RpcMetricsInterceptor records them for every
// RPC of the server, so that no handler can forget to.
//
// Thread-safe once the services have been added.
#ifndef QLARANK_SERVER_METRICS_RPC_METRICS_H_
#define QLARANK_SERVER_METRICS_RPC_METRICS_H_

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/metrics/status_code_counters.h"

namespace qlarank {

// The handles of one method. They live as long as the registry.
struct RpcMethodMetrics {
  prometheus::Counter& started;
  StatusCodeCounters handled;
  prometheus::Histogram& handling_seconds;
  prometheus::Counter& messages_received;
  prometheus::Counter& messages_sent;
};

class RpcMetrics {
 public:
  // `registry` must outlive this.
  explicit RpcMetrics(prometheus::Registry& registry);

  // Resolves the handles of every method of `service`, so that they are exposed
  // as zeros before the first call. Not thread-safe: before the server starts.
  void AddService(const google::protobuf::ServiceDescriptor& service);

  // The same for a method without a descriptor at hand. `type` is "unary",
  // "client_stream", "server_stream" or "bidi_stream".
  void AddMethod(const std::string& type, const std::string& service,
                 const std::string& method);

  // The handles of a method by its path, "/qlarank.v1.RankService/Rank". One
  // shared set, labelled "unknown", for a method that was not added: a
  // client must not be able to make new time series.
  RpcMethodMetrics& ForPath(absl::string_view path);

 private:
  std::unique_ptr<RpcMethodMetrics> Resolve(const prometheus::Labels& labels);

  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Histogram>& handling_seconds_;
  prometheus::Family<prometheus::Counter>& messages_received_;
  prometheus::Family<prometheus::Counter>& messages_sent_;
  absl::flat_hash_map<std::string, std::unique_ptr<RpcMethodMetrics>> methods_;
  std::unique_ptr<RpcMethodMetrics> unknown_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_RPC_METRICS_H_
