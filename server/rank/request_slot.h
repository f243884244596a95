// A place among the requests in flight, given back when this is destroyed: once
// the reply is on its way, so that a client who does not take their replies
// holds no more of them than their share.
#ifndef QLARANK_SERVER_RANK_REQUEST_SLOT_H_
#define QLARANK_SERVER_RANK_REQUEST_SLOT_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "prometheus/gauge.h"
#include "server/work/fair_quota.h"

namespace qlarank {

class RequestSlot {
 public:
  // None.
  RequestSlot() = default;

  // One of `quota`, which must outlive it as must `taken`, which counts them;
  // or none.
  static RequestSlot TryTake(FairQuota& quota, absl::string_view client,
                             prometheus::Gauge& taken) {
    RequestSlot slot;
    if (!quota.TryTake(client)) return slot;
    slot.quota_ = &quota;
    slot.client_ = std::string(client);
    slot.taken_ = &taken;
    taken.Increment();
    return slot;
  }

  RequestSlot(RequestSlot&& other) noexcept { *this = std::move(other); }
  RequestSlot& operator=(RequestSlot&& other) noexcept {
    std::swap(quota_, other.quota_);
    std::swap(client_, other.client_);
    std::swap(taken_, other.taken_);
    return *this;
  }
  ~RequestSlot() {
    if (quota_ == nullptr) return;
    quota_->Return(client_);
    taken_->Decrement();
  }

  explicit operator bool() const { return quota_ != nullptr; }

 private:
  FairQuota* quota_ = nullptr;
  std::string client_;
  prometheus::Gauge* taken_ = nullptr;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_REQUEST_SLOT_H_
