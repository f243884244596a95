// What values options take, told in words when they do not.
//
// CLI11 reads numbers with strtoull: -5 becomes 2^64 - 5, what is too large the
// largest there is, 010 is 8. WholeNumber() lets nothing else through than
// decimal digits in a range.
#ifndef QLARANK_CLI_OPTION_CHECKS_H_
#define QLARANK_CLI_OPTION_CHECKS_H_

#include <cstdint>
#include <limits>

#include "CLI/CLI.hpp"

namespace qlarank {

// A whole number from `min` to `max`, for an option of a type that holds `max`.
// For Option::transform(): zeros in front are taken away.
CLI::Validator WholeNumber(uint64_t min, uint64_t max);

// For an option of type T.
template <typename T>
CLI::Validator WholeNumberOf(T min) {
  return WholeNumber(min, std::numeric_limits<T>::max());
}

// A number of seconds: from 0, or above it, to a year.
CLI::Validator Seconds(bool zero_allowed);

// A number of days, above 0, to a thousand years.
CLI::Validator Days();

// A text that can be sent.
CLI::Validator Utf8();

}  // namespace qlarank

#endif  // QLARANK_CLI_OPTION_CHECKS_H_
