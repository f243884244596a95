#include "server/rpc/export_events_reactor.h"

#include <utility>

#include "server/rpc/rpc_status.h"

namespace qlarank {

void ExportEventsReactor::Start(const grpc::Status& parsed,
                                const v1::ExportEventsRequest& request) {
  if (!parsed.ok()) return Finish(parsed);
  auto begun = pipeline_.Begin(request);
  if (!begun.ok()) return Finish(ToRpcStatus(begun.status(), context_));
  export_ = *std::move(begun);
  ReadNext();
}

void ExportEventsReactor::ReadNext() {
  if (drain_.draining()) return Finish(DrainingStatus());
  pipeline_.Next(*export_, message_, [this](absl::StatusOr<bool> more) {
    OnRead(more);
  });
}

void ExportEventsReactor::OnRead(const absl::StatusOr<bool>& more) {
  if (!more.ok()) return Finish(ToRpcStatus(more.status(), context_));
  last_ = !*more;
  replies_.Begin(context_);
  StartWrite(&message_);
}

void ExportEventsReactor::OnWriteDone(bool ok) {
  replies_.End(context_);
  if (!ok) return Finish(grpc::Status::CANCELLED);  // nobody is there
  if (last_) return Finish(grpc::Status::OK);
  ReadNext();
}

}  // namespace qlarank
