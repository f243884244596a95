#include "server/rpc/ingest_service.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/event_stream.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

grpc::ServerUnaryReactor* IngestService::AppendEvents(
    grpc::CallbackServerContext* context,
    const v1::AppendEventsRequest* request,
    v1::AppendEventsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  pipeline_.Append(
      *request, absl::Now(), IngestPipeline::OnFull::kRefuse,
      [reactor, response](absl::StatusOr<v1::AppendEventsResponse> result) {
        if (result.ok()) *response = *std::move(result);
        reactor->Finish(ToRpcStatus(result.status()));
      });
  return reactor;
}

grpc::ServerBidiReactor<v1::StreamEventsRequest, v1::StreamEventsResponse>*
IngestService::StreamEvents(grpc::CallbackServerContext* /*context*/) {
  auto* stream = new EventStream(pipeline_, drain_);
  stream->Start();
  return stream;
}

}  // namespace qlarank
