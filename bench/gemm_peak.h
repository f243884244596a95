// How fast this processor multiplies matrices in each precision: what the
// engine's share of the limit is a share of.
#ifndef QLARANK_BENCH_GEMM_PEAK_H_
#define QLARANK_BENCH_GEMM_PEAK_H_

#include "model/precision.h"

namespace qlarank::bench {

// Operations a second (a multiplication and an addition are two) of oneDNN on
// one thread, weights packed beforehand: the best of several products, large
// ones and one of the engine's own shapes. Measured at the first call, in about
// a second, and remembered.
double PeakOperationsPerSecond(Precision precision);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_GEMM_PEAK_H_
