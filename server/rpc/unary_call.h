// A unary call that the pipeline answers from a worker: tells the pipeline when
// the caller goes away, and holds a slot until the reply has left.
//
//   auto* call = new UnaryCall<RankPipeline>(context, pipeline, replies,
//                                            ContextOf(context, callers));
//   pipeline.Start(request, response, call->context(), call->Done());
//   return call;                              // deletes itself
#ifndef QLARANK_SERVER_RPC_UNARY_CALL_H_
#define QLARANK_SERVER_RPC_UNARY_CALL_H_

#include <utility>

#include "absl/time/clock.h"
#include "grpcpp/support/server_callback.h"
#include "server/rank/rank_call.h"
#include "server/rank/request_slot.h"
#include "server/rpc/caller_names.h"
#include "server/rpc/reply_watch.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

// Of a call that has just arrived.
inline RankCall::Context ContextOf(const grpc::CallbackServerContext& context,
                                   const CallerNames& callers) {
  return {absl::Now(), DeadlineOf(context), nullptr, callers.Client(context)};
}

template <typename Pipeline>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // All of them must outlive the call.
  UnaryCall(grpc::CallbackServerContext& context, Pipeline& pipeline,
            ReplyWatch& replies, RankCall::Context called)
      : context_(context),
        pipeline_(pipeline),
        replies_(replies),
        called_(std::move(called)) {
    called_.cancelled = &cancelled_;
  }

  const RankCall::Context& context() const { return called_; }

  // Ends the call, which may be gone at once.
  RankCall::Done Done() {
    return [this](absl::Status status, RequestSlot slot) {
      slot_ = std::move(slot);
      if (slot_) replies_.Begin(context_);
      Finish(ToRpcStatus(status, context_));
    };
  }

 private:
  // Neither of these waits for anything, so gRPC may call them where it is
  // rather than wake up a thread of its executor for each call.
  bool InternalInlineable() override { return true; }
  void OnCancel() override {
    cancelled_ = true;
    pipeline_.NoticeCancellation();
  }
  void OnDone() override {
    if (slot_) replies_.End(context_);
    delete this;
  }

  grpc::CallbackServerContext& context_;
  Pipeline& pipeline_;
  ReplyWatch& replies_;
  RankCall::CancelFlag cancelled_{false};
  RankCall::Context called_;
  RequestSlot slot_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_UNARY_CALL_H_
