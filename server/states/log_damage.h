// What operators are told when a user's log or head turns out to be damaged.
// Such damage stops that user alone: their callers get DATA_LOSS with the
// record's name, everybody else is served.
//
// Thread-safe.
#ifndef QLARANK_SERVER_STATES_LOG_DAMAGE_H_
#define QLARANK_SERVER_STATES_LOG_DAMAGE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/metrics/state_metrics.h"

namespace qlarank {

// If `status` is DATA_LOSS: counts it, and now and then logs it, with the hash
// of the user (the first 8 bytes of their keys, docs/storage.md) rather than
// their id. Returns `status`.
absl::Status ReportDamage(const absl::Status& status, absl::string_view user_id,
                          StateMetrics& metrics);

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_LOG_DAMAGE_H_
