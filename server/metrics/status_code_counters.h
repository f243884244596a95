// One counter per status code, resolved once, so that counting the outcome of a
// request is an array index and an atomic addition.
//
// Labels hold the names that gRPC's metrics use everywhere ("OK",
// "InvalidArgument", "DeadlineExceeded"). Thread-safe.
#ifndef QLARANK_SERVER_METRICS_STATUS_CODE_COUNTERS_H_
#define QLARANK_SERVER_METRICS_STATUS_CODE_COUNTERS_H_

#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/labels.h"

namespace qlarank {

// gRPC and Abseil number the 17 codes alike.
inline constexpr int kStatusCodes = 17;

// "OK", "Canceled", ... "Unauthenticated"; "Unknown" for a code that is none.
absl::string_view StatusCodeName(int code);

class StatusCodeCounters {
 public:
  // Adds a counter to `family` for every code: `labels` plus `code_label`.
  // `family` must outlive this.
  StatusCodeCounters(prometheus::Family<prometheus::Counter>& family,
                     const prometheus::Labels& labels,
                     const std::string& code_label);

  // Any number; one that is no status code is counted as Unknown.
  void Increment(int code);
  void Increment(absl::StatusCode code) { Increment(static_cast<int>(code)); }

  // How many there were so far.
  double Count(absl::StatusCode code) const {
    return counters_[static_cast<int>(code)]->Value();
  }

 private:
  std::array<prometheus::Counter*, kStatusCodes> counters_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_STATUS_CODE_COUNTERS_H_
