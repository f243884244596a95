// One ExportEvents call: a message is read from the store, written, and the
// next is read once the transport has taken it. So a client who reads slowly
// has one message in memory and a walk that waits; one who does not read at all
// is cut off.
//
// Reading and writing take turns, so nothing here needs a lock: whoever has the
// turn, gRPC or the pipeline, passes it on. The stream deletes itself when the
// RPC is over, which it is only once its turn ended it.
#ifndef QLARANK_SERVER_RPC_EXPORT_EVENTS_REACTOR_H_
#define QLARANK_SERVER_RPC_EXPORT_EVENTS_REACTOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "qlarank/v1/admin_service.pb.h"
#include "server/rpc/drain.h"
#include "server/rpc/reply_watch.h"
#include "server/upkeep/export_pipeline.h"

namespace qlarank {

class ExportEventsReactor final
    : public grpc::ServerWriteReactor<v1::ExportEventsResponse> {
 public:
  // Deletes itself when the RPC is over. All must outlive it.
  ExportEventsReactor(grpc::CallbackServerContext& context,
                      ExportPipeline& pipeline, const Drain& drain,
                      ReplyWatch& replies)
      : context_(context),
        pipeline_(pipeline),
        drain_(drain),
        replies_(replies) {}

  // Begins what was asked for, or ends with what is wrong with it. Once.
  void Start(const grpc::Status& parsed,
             const v1::ExportEventsRequest& request);

 private:
  ~ExportEventsReactor() override = default;

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

  void ReadNext();
  void OnRead(const absl::StatusOr<bool>& more);

  grpc::CallbackServerContext& context_;
  ExportPipeline& pipeline_;
  const Drain& drain_;
  ReplyWatch& replies_;
  std::unique_ptr<ExportPipeline::Export> export_;
  v1::ExportEventsResponse message_;
  bool last_ = false;  // message_ is
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_EXPORT_EVENTS_REACTOR_H_
