// One export of events, message by message, as ExportEvents of
// admin_service.proto promises them.
//
// A message has about kMessageBytes, or is what was found among so many users:
// so every call takes little time, and little memory is held in between. Not
// thread-safe.
#ifndef QLARANK_SERVER_UPKEEP_EVENT_EXPORT_H_
#define QLARANK_SERVER_UPKEEP_EVENT_EXPORT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/admin_service.pb.h"
#include "server/metrics/state_metrics.h"
#include "server/models/event_features.h"
#include "state_store/log_walk.h"
#include "state_store/state_store.h"

namespace qlarank {

class EventExport {
 public:
  static constexpr size_t kMessageBytes = 256 << 10;
  static constexpr size_t kMessageUsers = 4096;

  // INVALID_ARGUMENT names the field. Does not block. Store and metrics must
  // outlive the export.
  static absl::StatusOr<std::unique_ptr<EventExport>> Create(
      const StateStore& store, StateMetrics& metrics,
      const v1::ExportEventsRequest& request);

  // Fills `message` with the next one; false when it is the last. Reads the
  // store. Errors are those of admin_service.proto, and end the export.
  absl::StatusOr<bool> Next(v1::ExportEventsResponse& message);

 private:
  EventExport(const StateStore& store, StateMetrics& metrics,
              const v1::ExportEventsRequest& request);

  absl::Status Begin(v1::ExportEventsResponse& message);
  bool IsAsked(const LogWalk::User& user) const;
  // Moves to the next user; false at the end.
  absl::StatusOr<bool> NextUser(v1::ExportEventsResponse& message);
  // Adds some of the user's events to the message; returns about how many bytes
  // they take.
  absl::StatusOr<size_t> ReadEvents(v1::ExportEventsResponse& message);
  size_t AddEvent(uint64_t sequence, LoggedEvent& event,
                  v1::ExportEventsResponse& message) const;
  void AddDamage(const absl::Status& damage, const std::string& user_id,
                 v1::ExportEventsResponse& message);

  const StateStore& store_;
  StateMetrics& metrics_;
  const uint32_t share_;
  const uint32_t num_shares_;
  const int64_t since_us_;
  // Behind what was put in messages: of the user whose turn it is, or was.
  v1::ExportPosition position_;
  bool resumed_;  // position_ is that of the request
  std::unique_ptr<LogWalk> walk_;
  std::optional<EventFeatures> features_;
  std::optional<UserHead> head_;  // of the user whose turn it is
  std::vector<LoggedEvent> events_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_EVENT_EXPORT_H_
