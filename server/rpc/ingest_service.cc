#include "server/rpc/ingest_service.h"

#include <atomic>
#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/stream_events_reactor.h"

namespace qlarank {
namespace {

// One unary call. Deletes itself.
class IngestReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit IngestReactor(grpc::CallbackServerContext& context)
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
  auto* reactor = new IngestReactor(*context);
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
      [reactor, response](AppendResult result) {
        *response = std::move(result.response);
        reactor->End(result.status);
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

grpc::ServerUnaryReactor* IngestService::MarkSource(
    grpc::CallbackServerContext* context, const v1::MarkSourceRequest* request,
    v1::MarkSourceResponse* response) {
  auto* reactor = new IngestReactor(*context);
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  pipeline_.MarkSource(
      request->source(), {request->complete_through(), request->note()},
      callers_.Client(*context),
      [reactor, response](absl::StatusOr<SourceMark> mark) {
        if (mark.ok()) {
          response->set_complete_through(mark->complete_through);
        }
        reactor->End(mark.status());
      });
  return reactor;
}

grpc::ServerUnaryReactor* IngestService::GetSource(
    grpc::CallbackServerContext* context, const v1::GetSourceRequest* request,
    v1::GetSourceResponse* response) {
  auto* reactor = new IngestReactor(*context);
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  pipeline_.GetSource(
      request->source(), callers_.Client(*context),
      [reactor, response](absl::StatusOr<SourceMark> mark) {
        if (mark.ok() && mark->complete_through > 0) {
          response->set_found(true);
          response->set_complete_through(mark->complete_through);
          response->set_note(std::move(mark->note));
        }
        reactor->End(mark.status());
      });
  return reactor;
}

}  // namespace qlarank
