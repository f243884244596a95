// A flow of Rank requests: what the load generator sends, and how fast.
//
//   NAME:closed:CONCURRENCY:CANDIDATES  so many requests always under way
//   NAME:open:RATE:CANDIDATES           Poisson arrivals, RATE a second,
//   whether
//                                       or not earlier ones were answered
#ifndef QLARANK_BENCH_LOAD_FLOW_H_
#define QLARANK_BENCH_LOAD_FLOW_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank::bench {

struct Flow {
  std::string name;
  bool open = false;
  double amount = 0;  // open: requests a second; closed: requests under way
  uint32_t candidates = 0;
};

// INVALID_ARGUMENT names the part that is wrong.
absl::StatusOr<Flow> ParseFlow(absl::string_view text);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_FLOW_H_
