// IngestService over gRPC. Never blocks a thread of gRPC. Thread-safe.
#ifndef QLARANK_SERVER_RPC_INGEST_SERVICE_H_
#define QLARANK_SERVER_RPC_INGEST_SERVICE_H_

#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "server/ingest/ingest_pipeline.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/drain.h"
#include "server/rpc/served_methods.h"

namespace qlarank {

class IngestService final : public ServedMethods<v1::IngestService> {
 public:
  // All must outlive the server that this is registered with. A stream reads
  // on while fewer than `stream_window_bytes` of it are not acknowledged.
  IngestService(Listener listener, IngestPipeline& pipeline, Drain& drain,
                const CallerNames& callers, size_t stream_window_bytes)
      : ServedMethods(listener),
        pipeline_(pipeline),
        drain_(drain),
        callers_(callers),
        stream_window_bytes_(stream_window_bytes) {
    ServeUnary("AppendEvents", &IngestService::AppendEvents);
    ServeStream("StreamEvents", &IngestService::Stream);
    ServeUnary("MarkSource", &IngestService::MarkSource);
    ServeUnary("GetSource", &IngestService::GetSource);
  }

  grpc::ServerUnaryReactor* AppendEvents(
      grpc::CallbackServerContext* context,
      const v1::AppendEventsRequest* request,
      v1::AppendEventsResponse* response) override;

  // StreamEvents, whose batches arrive as they are on the wire.
  grpc::ServerBidiReactor<grpc::ByteBuffer, v1::StreamEventsResponse>* Stream(
      grpc::CallbackServerContext* context);

  grpc::ServerUnaryReactor* MarkSource(
      grpc::CallbackServerContext* context, const v1::MarkSourceRequest* request,
      v1::MarkSourceResponse* response) override;

  grpc::ServerUnaryReactor* GetSource(
      grpc::CallbackServerContext* context, const v1::GetSourceRequest* request,
      v1::GetSourceResponse* response) override;

 private:
  IngestPipeline& pipeline_;
  Drain& drain_;
  const CallerNames& callers_;
  const size_t stream_window_bytes_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_INGEST_SERVICE_H_
