// The answer to an append, made of what became of its events.
#ifndef QLARANK_SERVER_PARTITION_APPEND_RESULT_H_
#define QLARANK_SERVER_PARTITION_APPEND_RESULT_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/partition/refusal.h"

namespace qlarank {

// The response says of each event what became of it, also where `status` is
// that of a call which fails because nothing was taken.
struct AppendResult {
  absl::Status status;
  v1::AppendEventsResponse response;
};

// What became of the events of a request, or of an owner's part of them. Those in
// neither list were applied.
struct AppendTally {
  uint64_t applied = 0;
  uint64_t late = 0;  // of the applied: older than the user's newest
  std::vector<uint32_t> duplicates;
  std::vector<EventRefusal> refusals;

  // Adds the tally of another part.
  void Add(AppendTally part);
};

// The lists are in any order. Costs nothing where all were applied.
AppendResult MakeAppendResult(size_t num_events, AppendTally tally);

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_APPEND_RESULT_H_
