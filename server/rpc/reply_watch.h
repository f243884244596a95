// Cuts off calls whose client does not take the reply: it waits in our memory,
// and nothing else would ever end such a call that has no deadline.
//
// Thread-safe.
#ifndef QLARANK_SERVER_RPC_REPLY_WATCH_H_
#define QLARANK_SERVER_RPC_REPLY_WATCH_H_

#include <mutex>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"

namespace qlarank {

class ReplyWatch {
 public:
  // A call is cut off once its reply has waited for `timeout`, or up to a
  // quarter longer.
  explicit ReplyWatch(absl::Duration timeout);
  // REQUIRES: every reply has ended.
  ~ReplyWatch();

  // The reply of this call was given to gRPC. Its context must live until End.
  void Begin(grpc::ServerContextBase& context);
  // The call is over. Without effect when it had no reply.
  void End(grpc::ServerContextBase& context);

 private:
  // Cuts off what has waited since before `begun_before`.
  void CutOff(absl::Duration begun_before);

  const absl::Duration timeout_;
  // Recursive: cancelling a call may end it on the same thread, within.
  std::recursive_mutex mutex_;
  // When it began, by a clock that does not jump.
  absl::flat_hash_map<grpc::ServerContextBase*, absl::Duration> replies_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_REPLY_WATCH_H_
