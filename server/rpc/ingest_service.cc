#include "server/rpc/ingest_service.h"

#include <atomic>
#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/stream_events_reactor.h"

namespace qlarank {
namespace {

// One AppendEvents call. Deletes itself.
class AppendReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit AppendReactor(grpc::CallbackServerContext& context)
      : context_(context) {}

  IngestPipeline::Caller caller(const CallerNames& callers) const {
    return {callers.Client(context_), &cancelled_, DeadlineOf(context_)};
  }
  void End(const absl::Status& status) {
    Finish(ToRpcStatus(status, context_));
  }

 private:
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

  grpc::CallbackServerContext& context_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

grpc::ServerUnaryReactor* IngestService::AppendEvents(
    grpc::CallbackServerContext* context,
    const v1::AppendEventsRequest* request,
    v1::AppendEventsResponse* response) {
  auto* reactor = new AppendReactor(*context);
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  // Without events it asks whether any would be taken.
  const absl::Status writable = pipeline_.CheckWritable();
  if (request->events().empty() && !writable.ok()) {
    reactor->End(writable);
    return reactor;
  }
  pipeline_.Append(
      *request, absl::Now(), reactor->caller(callers_),
      IngestPipeline::OnFull::kRefuse,
      [reactor, response](absl::StatusOr<v1::AppendEventsResponse> result) {
        if (result.ok()) *response = *std::move(result);
        reactor->End(result.status());
      });
  return reactor;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, v1::StreamEventsResponse>*
IngestService::Stream(grpc::CallbackServerContext* context) {
  auto* stream = new StreamEventsReactor(
      *context, pipeline_, drain_,
      {callers_.Client(*context), nullptr, DeadlineOf(*context)},
      stream_window_bytes_);
  stream->Start();
  return stream;
}

}  // namespace qlarank
