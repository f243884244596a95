#include "server/metrics/rpc_metrics.h"

#include "absl/strings/str_cat.h"
#include "server/metrics/histogram_buckets.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {
namespace {

std::string MethodType(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? "bidi_stream" : "client_stream";
  }
  return method.server_streaming() ? "server_stream" : "unary";
}

prometheus::Labels MethodLabels(const std::string& type,
                                const std::string& service,
                                const std::string& method) {
  return {
      {"grpc_type", type}, {"grpc_service", service}, {"grpc_method", method}};
}

}  // namespace

RpcMetrics::RpcMetrics(prometheus::Registry& registry)
    : started_(CounterFamily(registry, "grpc_server_started_total",
                             "RPCs started on the server.")),
      handled_(CounterFamily(registry, "grpc_server_handled_total",
                             "RPCs completed on the server, by status code.")),
      handling_seconds_(HistogramFamily(
          registry, "grpc_server_handling_seconds",
          "Time from an RPC's start on the server to its status.")),
      messages_received_(CounterFamily(registry,
                                       "grpc_server_msg_received_total",
                                       "Messages received from clients.")),
      messages_sent_(CounterFamily(registry, "grpc_server_msg_sent_total",
                                   "Messages sent to clients.")),
      unknown_(Resolve(MethodLabels("unknown", "unknown", "unknown"))) {}

void RpcMetrics::AddService(
    const google::protobuf::ServiceDescriptor& service) {
  for (int i = 0; i < service.method_count(); ++i) {
    const google::protobuf::MethodDescriptor& method = *service.method(i);
    AddMethod(MethodType(method), service.full_name(), method.name());
  }
}

void RpcMetrics::AddMethod(const std::string& type, const std::string& service,
                           const std::string& method) {
  methods_[absl::StrCat("/", service, "/", method)] =
      Resolve(MethodLabels(type, service, method));
}

RpcMethodMetrics& RpcMetrics::ForPath(absl::string_view path) {
  const auto found = methods_.find(path);
  return found == methods_.end() ? *unknown_ : *found->second;
}

std::unique_ptr<RpcMethodMetrics> RpcMetrics::Resolve(
    const prometheus::Labels& labels) {
  return std::make_unique<RpcMethodMetrics>(RpcMethodMetrics{
      started_.Add(labels), StatusCodeCounters(handled_, labels, "grpc_code"),
      handling_seconds_.Add(labels, LatencyBuckets()),
      messages_received_.Add(labels), messages_sent_.Add(labels)});
}

}  // namespace qlarank
