#include "cli/decimal.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"

namespace qlarank {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes digits from the front; how many.
size_t TakeDigits(absl::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), IsDigit);
  const auto count = static_cast<size_t>(end - text.begin());
  text.remove_prefix(count);
  return count;
}

bool TakeOneOf(absl::string_view chars, absl::string_view& text) {
  if (text.empty() || chars.find(text.front()) == chars.npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), IsDigit);
}

bool IsDecimal(absl::string_view text) {
  TakeOneOf("+-", text);
  size_t digits = TakeDigits(text);
  if (TakeOneOf(".", text)) digits += TakeDigits(text);
  if (digits == 0) return false;
  if (!TakeOneOf("eE", text)) return text.empty();
  TakeOneOf("+-", text);
  return TakeDigits(text) > 0 && text.empty();
}

bool HasExponent(absl::string_view text) {
  return text.find_first_of("eE") != text.npos && IsDecimal(text);
}

bool HasDecimalComma(absl::string_view text) {
  TakeOneOf("+-", text);
  return TakeDigits(text) > 0 && TakeOneOf(",", text) && !text.empty() &&
         AllDigits(text);
}

absl::StatusOr<float> ParseFinite(absl::string_view text) {
  float value = 0;
  if (IsDecimal(text) && absl::SimpleAtof(text, &value) &&
      std::isfinite(value)) {
    return value;
  }
  return absl::InvalidArgumentError(
      HasDecimalComma(text)
          ? "is not a finite number: write a point for the comma"
          : "is not a finite number");
}

}  // namespace qlarank
