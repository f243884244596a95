#include "server/rpc/rank_service.h"

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {
namespace {

// Ends an RPC when the pipeline says so, and tells the pipeline when the caller
// went away.
class Reactor final : public grpc::ServerUnaryReactor {
 public:
  const RankCall::CancelFlag& cancelled() const { return cancelled_; }

 private:
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

  RankCall::CancelFlag cancelled_{false};
};

}  // namespace

grpc::ServerUnaryReactor* RankService::Rank(
    grpc::CallbackServerContext* context, const v1::RankRequest* request,
    v1::RankResponse* response) {
  auto* reactor = new Reactor;
  if (drain_.draining()) {
    reactor->Finish(DrainingStatus());
    return reactor;
  }
  pipeline_.Start(
      *request, *response,
      {absl::Now(), DeadlineOf(*context), &reactor->cancelled()},
      [reactor](absl::Status status) { reactor->Finish(ToRpcStatus(status)); });
  return reactor;
}

}  // namespace qlarank
