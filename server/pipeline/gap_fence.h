// Keeps a failed write from becoming a gap.
//
// A client may have several batches under way. If one of them cannot be written
// and the next one can, the user's watermark would pass the events that failed,
// and sending them again would count them as duplicates: acknowledged, and
// nowhere. So after a failure, events of that user and source are refused
// until the first one that failed comes again.
//
// Not thread-safe: one per ingest shard. Empty unless the store fails.
#ifndef QLARANK_SERVER_PIPELINE_GAP_FENCE_H_
#define QLARANK_SERVER_PIPELINE_GAP_FENCE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

class GapFence {
 public:
  // The events of `request` at `indexes` were not written.
  void Fail(const v1::AppendEventsRequest& request,
            absl::Span<const uint32_t> indexes) {
    for (const uint32_t i : indexes) {
      const v1::UserEvent& event = request.events(i);
      uint64_t& first = first_failed_
                            .try_emplace(Key(event.user_id(), request.source()),
                                         event.sequence())
                            .first->second;
      first = std::min(first, event.sequence());
    }
  }

  // UNAVAILABLE when an earlier event has to come first. OK takes down the
  // fences that these events satisfy: if they are not written, Fail.
  absl::Status Pass(const v1::AppendEventsRequest& request,
                    absl::Span<const uint32_t> indexes) {
    if (first_failed_.empty()) return absl::OkStatus();
    absl::flat_hash_map<Key, bool> satisfied;
    for (const uint32_t i : indexes) {
      const v1::UserEvent& event = request.events(i);
      const Key key(event.user_id(), request.source());
      const auto fence = first_failed_.find(key);
      if (fence == first_failed_.end() || satisfied.contains(key)) continue;
      if (event.sequence() > fence->second) {
        return absl::UnavailableError(
            absl::StrCat("events[", i, "].sequence: ", event.sequence(),
                         "; sequence ", fence->second,
                         " could not be written and must be sent again first"));
      }
      if (event.sequence() == fence->second) satisfied[key] = true;
    }
    for (const auto& [key, unused] : satisfied) first_failed_.erase(key);
    return absl::OkStatus();
  }

  // The user was erased, and whatever failed with it.
  void Forget(const std::string& user_id) {
    absl::erase_if(first_failed_, [&](const auto& fence) {
      return fence.first.first == user_id;
    });
  }

 private:
  using Key = std::pair<std::string, std::string>;  // user, source

  absl::flat_hash_map<Key, uint64_t> first_failed_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_GAP_FENCE_H_
