#include "server/metrics/rpc_metrics_interceptor.h"

#include <chrono>

#include "absl/time/time.h"
#include "server/metrics/histogram_buckets.h"

namespace qlarank {
namespace {

using ::grpc::experimental::InterceptionHookPoints;

using Clock = std::chrono::steady_clock;

class RpcMetricsInterceptor : public grpc::experimental::Interceptor {
 public:
  explicit RpcMetricsInterceptor(RpcMethodMetrics& metrics)
      : metrics_(metrics), start_(Clock::now()) {
    metrics_.started.Increment();
  }

  // An RPC that ends without a status of ours was cut off by its client.
  ~RpcMetricsInterceptor() override {
    if (!handled_) Handled(grpc::StatusCode::CANCELLED);
  }

  void Intercept(
      grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_MESSAGE) &&
        methods->GetRecvMessage() != nullptr) {
      metrics_.messages_received.Increment();
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      metrics_.messages_sent.Increment();
    }
    // Before the client has it, so that it sees itself counted.
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      Handled(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  void Handled(int code) {
    handled_ = true;
    metrics_.handled.Increment(code);
    ObserveSeconds(metrics_.handling_seconds,
                   absl::FromChrono(Clock::now() - start_));
  }

  RpcMethodMetrics& metrics_;
  const Clock::time_point start_;
  bool handled_ = false;
};

}  // namespace

grpc::experimental::Interceptor*
RpcMetricsInterceptorFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new RpcMetricsInterceptor(metrics_.ForPath(info->method()));
}

}  // namespace qlarank
