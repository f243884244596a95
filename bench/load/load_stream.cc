#include "bench/load/load_stream.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace qlarank::bench {
namespace {

constexpr char kMethod[] = "/qlarank.v1.RankService/Rank";
constexpr size_t kPreparedBytes = 16 << 20;
constexpr int kDeadlineExceeded = 4;  // gRPC's code

size_t NumPrepared(uint32_t candidates) {
  return std::clamp<size_t>(kPreparedBytes / (8 * candidates), 64, 4096);
}

}  // namespace

LoadStream::LoadStream(const Flow& flow, const Population& population,
                       absl::Duration timeout, uint32_t seed,
                       std::unique_ptr<Connection> connection)
    : flow_(flow),
      timeout_(timeout),
      requests_(population, flow.candidates, NumPrepared(flow.candidates),
                seed),
      connection_(std::move(connection)),
      random_(seed + 1) {}

void LoadStream::Begin(absl::Time begin, absl::Time end) {
  end_ = end;
  if (flow_.open) {
    next_arrival_ = begin;
    SetNextArrival();
  } else {
    for (int i = 0; i < flow_.amount; ++i) Start(begin);
  }
}

void LoadStream::SetNextArrival() {
  std::exponential_distribution<double> pause_seconds(flow_.amount);
  next_arrival_ += absl::Seconds(pause_seconds(random_));
}

void LoadStream::Start(absl::Time intended) {
  const int32_t call = connection_->Send(kMethod, requests_.Next(), timeout_);
  const absl::Time now = absl::Now();
  calls_.emplace(call, Call{intended, now});
  deadlines_.emplace_back(now + timeout_, call);
}

absl::Status LoadStream::Exchange(OnOutcome on_outcome) {
  while (next_arrival_ < std::min(end_, absl::Now())) {
    Start(next_arrival_);
    SetNextArrival();
  }
  connection_->Read([&](Connection::Reply reply) {
    const Call call = calls_.extract(reply.call).mapped();
    End({call.intended, call.sent, absl::Now(), reply.code,
         std::move(reply.message), reply.bytes},
        on_outcome);
  });
  EndOverdue(on_outcome);
  connection_->Write();
  return connection_->status();
}

void LoadStream::EndOverdue(OnOutcome on_outcome) {
  while (!deadlines_.empty()) {
    const auto [deadline, id] = deadlines_.front();
    const auto found = calls_.find(id);
    if (found != calls_.end() && deadline > absl::Now()) return;
    deadlines_.pop_front();
    if (found == calls_.end()) continue;
    const Call call = found->second;
    calls_.erase(found);
    connection_->Cancel(id);
    End({call.intended, call.sent, absl::Now(), kDeadlineExceeded,
         "the deadline passed without a reply", 0},
        on_outcome);
  }
}

void LoadStream::End(Outcome outcome, OnOutcome on_outcome) {
  on_outcome(outcome);
  if (!flow_.open && outcome.ended < end_) Start(outcome.ended);
}

absl::Time LoadStream::Next() const {
  absl::Time next = absl::InfiniteFuture();
  if (next_arrival_ < end_) next = next_arrival_;
  if (!deadlines_.empty()) next = std::min(next, deadlines_.front().first);
  return next;
}

}  // namespace qlarank::bench
