#include "server/rpc/reply_watch.h"

#include <vector>

#include "server/work/steady_now.h"

namespace qlarank {

ReplyWatch::ReplyWatch(absl::Duration timeout)
    : cutting_off_(timeout / 4,
                   [this, timeout] { CutOff(SteadyNow() - timeout); }) {}

void ReplyWatch::Begin(grpc::ServerContextBase& context) {
  const absl::Duration now = SteadyNow();
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  replies_[&context] = now;
}

void ReplyWatch::End(grpc::ServerContextBase& context) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  replies_.erase(&context);
}

void ReplyWatch::CutOff(absl::Duration begun_before) {
  // Held throughout, so that no context goes while it is cancelled.
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  std::vector<grpc::ServerContextBase*> overdue;
  for (const auto& [context, begun] : replies_) {
    if (begun < begun_before) overdue.push_back(context);
  }
  for (grpc::ServerContextBase* context : overdue) {
    if (replies_.contains(context)) context->TryCancel();
  }
}

}  // namespace qlarank
