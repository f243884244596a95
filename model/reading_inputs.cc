#include "model/reading_inputs.h"

#include <cstdint>

#include "model/buckets.h"

namespace qlarank {
namespace {

template <typename T>
void AppendBits(absl::Span<const T> values, std::string& bytes) {
  // What follows cannot be taken for more of them.
  const uint64_t size = values.size();
  bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes.append(reinterpret_cast<const char*>(values.data()),
               values.size() * sizeof(T));
}

// Of the newest event, which recent events are after the state's own.
uint32_t TimeBucket(const UserState& state, const RequestView& request) {
  if (!request.recent_events.empty()) {
    return GapBucket(request.recent_events.back().time_us, request.time_us);
  }
  if (!state.found()) return kNoGapBucket;
  return GapBucket(state.pending_time_us, request.time_us);
}

}  // namespace

std::string ReadingInputs(const UserState& state, const RequestView& request) {
  std::string bytes;
  const uint32_t bucket = TimeBucket(state, request);
  AppendBits<uint32_t>({&bucket, 1}, bytes);
  AppendBits(request.context_rows, bytes);
  for (const ModelEvent& event : request.recent_events) {
    AppendBits<uint32_t>({event.item_row, event.action}, bytes);
    AppendBits<int64_t>({event.time_us}, bytes);
    AppendBits(event.features, bytes);
  }
  return bytes;
}

}  // namespace qlarank
