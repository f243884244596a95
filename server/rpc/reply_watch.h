// Cuts off calls whose client does not take the reply: it waits in our memory,
// and nothing else would ever end such a call that has no deadline.
//
// Thread-safe.
#ifndef QLARANK_SERVER_RPC_REPLY_WATCH_H_
#define QLARANK_SERVER_RPC_REPLY_WATCH_H_

#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"
#include "server/ops/periodic_task.h"

namespace qlarank {

class ReplyWatch {
 public:
  // A call is cut off once its reply has waited for `timeout`, or up to a
  // quarter longer. REQUIRES: every reply has ended when this is destroyed.
  explicit ReplyWatch(absl::Duration timeout);

  // The reply of this call was given to gRPC. Its context must live until End.
  void Begin(grpc::ServerContextBase& context);
  // The call is over. Without effect when it had no reply.
  void End(grpc::ServerContextBase& context);

 private:
  // Cuts off what has waited since before `begun_before`.
  void CutOff(absl::Duration begun_before);

  // Recursive: cancelling a call may end it on the same thread, within.
  std::recursive_mutex mutex_;
  // When it began, by a clock that does not jump.
  absl::flat_hash_map<grpc::ServerContextBase*, absl::Duration> replies_;
  PeriodicTask cutting_off_;  // last: it uses the others
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_REPLY_WATCH_H_
