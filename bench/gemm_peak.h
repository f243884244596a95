// How fast the best library that we know multiplies matrices in each precision,
// beside what the processor can do at all (fma_peak.h).
#ifndef QLARANK_BENCH_GEMM_PEAK_H_
#define QLARANK_BENCH_GEMM_PEAK_H_

#include <cstddef>

#include "absl/time/time.h"
#include "model/precision.h"

namespace qlarank::bench {

// oneDNN's fastest product on one thread, weights packed beforehand: the best
// of several shapes, large ones and one of the engine's own. A multiplication
// and an addition are two operations.
class FastestProduct {
 public:
  // Found at the first call, in about a second, and remembered.
  static const FastestProduct& Of(Precision precision);

  // As it was found.
  double operations_per_second() const { return operations_per_second_; }
  // Of the same shape, now, sustained for so long by processor time.
  double MeasureAgain(absl::Duration duration) const;

 private:
  explicit FastestProduct(Precision precision);

  Precision precision_;
  double operations_per_second_ = 0;
  size_t shape_ = 0;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_GEMM_PEAK_H_
