#include "server/partition/gap_fence.h"

#include <algorithm>
#include <limits>

#include "absl/hash/hash.h"
#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

uint64_t HashOfName(absl::string_view name) { return absl::HashOf(name); }

}  // namespace

GapFence::~GapFence() {
  absl::MutexLock lock(&mutex_);
  fences_.clear();
  positions_ = closed_ = 0;
  Report();
}

void GapFence::Refuse(absl::string_view user_id, absl::string_view source,
                      uint64_t sequence) {
  const uint64_t source_hash = HashOfName(source);
  const Key key(HashOfName(user_id), source_hash);
  absl::MutexLock lock(&mutex_);
  auto known = sources_.find(source_hash);
  const bool closed = known != sources_.end() && known->second.closed();
  if (!closed) {
    const auto fence = fences_.find(key);
    if (fence != fences_.end() && fence->second.contains(sequence)) return;
    if (!MakeRoom()) {
      metrics_.fence_forgotten.Increment();
      static LogThrottle throttle(absl::Seconds(10));
      if (const auto unsaid = throttle.Admit(absl::Now())) {
        LogError("a refused event is not remembered: too many are, of too many "
                 "sources",
                 {{"source", source}, {"unsaid", *unsaid}});
      }
      return;
    }
    known = sources_.try_emplace(source_hash).first;
  }
  Source& of = known->second;
  if (of.closed()) {  // or was, to make room
    of.closed_from = std::min(of.closed_from, sequence);
    of.closed_through = std::max(of.closed_through, sequence);
    return Report();
  }
  if (of.name.empty()) of.name = std::string(source);
  ++of.positions;
  ++positions_;
  fences_[key].insert(sequence);
  Report();
}

std::optional<GapFence::Obstacle> GapFence::Pass(absl::string_view user_id,
                                                 absl::string_view source,
                                                 uint64_t sequence,
                                                 uint64_t seen_through) {
  if (empty()) return std::nullopt;
  const uint64_t source_hash = HashOfName(source);
  absl::MutexLock lock(&mutex_);
  const auto of = sources_.find(source_hash);
  if (of == sources_.end()) return std::nullopt;
  if (of->second.closed()) {
    if (sequence < of->second.closed_from || sequence <= seen_through) {
      return std::nullopt;
    }
    return Obstacle{of->second.closed_from, true, of->second.closed_through};
  }
  const auto fence = fences_.find(Key(HashOfName(user_id), source_hash));
  if (fence == fences_.end()) return std::nullopt;
  Positions& waited_for = fence->second;
  const auto next = waited_for.upper_bound(seen_through);
  const uint64_t lowest = next == waited_for.end()
                              ? std::numeric_limits<uint64_t>::max()
                              : *next;
  // What is in the log, and the event itself where nothing comes before it.
  const uint64_t through = sequence == lowest ? sequence : seen_through;
  Drop(fence, waited_for.begin(), waited_for.upper_bound(through));
  Report();
  if (sequence <= lowest || sequence <= seen_through) return std::nullopt;
  return Obstacle{.sequence = lowest};
}

void GapFence::GiveUp(absl::string_view user_id, absl::string_view source,
                      uint64_t sequence) {
  if (empty()) return;
  absl::MutexLock lock(&mutex_);
  const auto fence =
      fences_.find(Key(HashOfName(user_id), HashOfName(source)));
  if (fence == fences_.end()) return;
  const auto position = fence->second.find(sequence);
  if (position == fence->second.end()) return;
  Drop(fence, position, std::next(position));
  Report();
}

void GapFence::GiveUpSource(absl::string_view source, uint64_t sequence) {
  if (empty()) return;
  const uint64_t source_hash = HashOfName(source);
  absl::MutexLock lock(&mutex_);
  const auto of = sources_.find(source_hash);
  if (of == sources_.end()) return;
  if (of->second.closed()) {
    if (of->second.closed_through > sequence) return;
    sources_.erase(of);
    --closed_;
    saturated_ = false;
  } else {
    DropAll(sequence, [&](const Key& key) { return key.second == source_hash; });
  }
  Report();
}

void GapFence::Forget(absl::string_view user_id) {
  if (empty()) return;
  const uint64_t user_hash = HashOfName(user_id);
  absl::MutexLock lock(&mutex_);
  DropAll(std::numeric_limits<uint64_t>::max(),
          [&](const Key& key) { return key.first == user_hash; });
  Report();
}

template <typename Of>
void GapFence::DropAll(uint64_t sequence, const Of& of) {
  for (auto fence = fences_.begin(); fence != fences_.end();) {
    const auto next = std::next(fence);
    if (of(fence->first)) {
      Drop(fence, fence->second.begin(), fence->second.upper_bound(sequence));
    }
    fence = next;
  }
}

void GapFence::Drop(Fences::iterator fence, Positions::iterator begin,
                    Positions::iterator end) {
  const size_t dropped = std::distance(begin, end);
  if (dropped == 0) return;
  fence->second.erase(begin, end);
  positions_ -= dropped;
  saturated_ = false;
  const auto source = sources_.find(fence->first.second);
  if ((source->second.positions -= dropped) == 0) sources_.erase(source);
  if (fence->second.empty()) fences_.erase(fence);
}

bool GapFence::MakeRoom() {
  if (positions_ + closed_ < max_positions_) return true;
  if (saturated_) return false;
  const auto most = std::max_element(
      sources_.begin(), sources_.end(), [](const auto& a, const auto& b) {
        return a.second.positions < b.second.positions;
      });
  if (most == sources_.end() || most->second.positions <= 1) {
    saturated_ = true;
    return false;
  }
  Close(most->first, most->second);
  return true;
}

void GapFence::Close(uint64_t source_hash, Source& source) {
  LogError(
      "a source is closed: too many of its refused events were not sent again",
      {{"source", source.name}, {"events", source.positions}});
  source.closed_from = std::numeric_limits<uint64_t>::max();
  for (auto fence = fences_.begin(); fence != fences_.end();) {
    const auto next = std::next(fence);
    if (fence->first.second == source_hash) {
      source.closed_from = std::min(source.closed_from, *fence->second.begin());
      source.closed_through =
          std::max(source.closed_through, *fence->second.rbegin());
      positions_ -= fence->second.size();
      fences_.erase(fence);
    }
    fence = next;
  }
  source.positions = 0;
  ++closed_;
}

void GapFence::Report() {
  const auto add = [](prometheus::Gauge& gauge, size_t now, size_t& reported) {
    if (now == reported) return;
    gauge.Increment(static_cast<double>(now) - static_cast<double>(reported));
    reported = now;
  };
  add(metrics_.fence_pairs, fences_.size(), reported_fences_);
  add(metrics_.fence_positions, positions_, reported_positions_);
  add(metrics_.fence_closed_sources, closed_, reported_closed_);
  size_.store(positions_ + closed_, std::memory_order_release);
}

}  // namespace qlarank
