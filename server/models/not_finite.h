// What operators are told when a model computes what is not a finite number: its
// weights overflow, or a product failed. The request fails; nothing of it is
// shown or kept. Thread-safe.
#ifndef QLARANK_SERVER_MODELS_NOT_FINITE_H_
#define QLARANK_SERVER_MODELS_NOT_FINITE_H_

#include "absl/status/status.h"
#include "prometheus/counter.h"

namespace qlarank {

// Counts it, and now and then logs `error`.
void ReportNotFinite(const absl::Status& error, prometheus::Counter& counter);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_NOT_FINITE_H_
