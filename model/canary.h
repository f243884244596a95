// Holds this processor and this build to our arithmetic (docs/model.md section
// 10): states are exchanged between machines, so one that rounds differently
// must not make any.
#ifndef QLARANK_MODEL_CANARY_H_
#define QLARANK_MODEL_CANARY_H_

#include <string>

#include "absl/status/status.h"

namespace qlarank {

// Folds made-up events with every kernel that states and float32 scores are
// made with, in under a millisecond. INTERNAL when the result is not, bit for
// bit, what it is everywhere.
absl::Status CheckArithmetic();

// What CheckArithmetic compares: a digest of that result, in hex.
std::string ArithmeticDigest();

// FAILED_PRECONDITION on a processor without the instructions that qlarank
// needs: AVX2 and fused multiply-add (x86-64-v3), or NEON with AES.
absl::Status CheckProcessor();

}  // namespace qlarank

#endif  // QLARANK_MODEL_CANARY_H_
