#include "server/ops/endless_streams.h"

namespace qlarank {
namespace {

class OpenStream : public grpc::experimental::Interceptor {
 public:
  OpenStream(grpc::ServerContextBase* context, EndlessStreams& streams)
      : context_(context), streams_(streams) {
    streams_.Add(context_);
  }

  // gRPC destroys the interceptor within the context's destructor: too late to
  // keep it from being cancelled.
  ~OpenStream() override { streams_.Remove(context_); }

  void Intercept(
      grpc::experimental::InterceptorBatchMethods* methods) override {
    // The last that is heard of a call; it goes only after this.
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_CLOSE)) {
      streams_.Remove(context_);
    }
    methods->Proceed();
  }

 private:
  grpc::ServerContextBase* const context_;
  EndlessStreams& streams_;
};

}  // namespace

void EndlessStreams::CancelAll() {
  // Held throughout, so that no context goes while it is cancelled.
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  const std::set<grpc::ServerContextBase*> before = open_;
  for (grpc::ServerContextBase* context : before) {
    if (open_.contains(context)) context->TryCancel();
  }
}

void EndlessStreams::Add(grpc::ServerContextBase* context) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  open_.insert(context);
}

void EndlessStreams::Remove(grpc::ServerContextBase* context) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  open_.erase(context);
}

grpc::experimental::Interceptor*
EndlessStreamsInterceptorFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  if (!paths_.contains(info->method())) return nullptr;
  return new OpenStream(info->server_context(), streams_);
}

}  // namespace qlarank
