// Numbers as CSV files write them: decimal, and nothing that only one library
// takes for a number. Not for speed: they say what is wrong with a text.
#ifndef QLARANK_CLI_DECIMAL_H_
#define QLARANK_CLI_DECIMAL_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// Digits alone; true of "".
bool AllDigits(absl::string_view text);
// 12, -1.5, +.5, 1e9.
bool IsDecimal(absl::string_view text);
// One with an exponent.
bool HasExponent(absl::string_view text);
// 1,5: what is a point elsewhere.
bool HasDecimalComma(absl::string_view text);
// The number that a feature is. INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<float> ParseFinite(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_CLI_DECIMAL_H_
