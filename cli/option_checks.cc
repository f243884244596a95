#include "cli/option_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

constexpr double kYear = 365.0 * 86'400;
constexpr double kMaxDays = 365'000;

bool ParseDigits(const std::string& text, uint64_t& number) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  }) && absl::SimpleAtoi(text, &number);
}

// Digits, and a point maybe: no sign, no exponent, not "nan".
bool ParseDecimal(const std::string& text, double& number) {
  return text.find_first_not_of("0123456789.") == std::string::npos &&
         absl::SimpleAtod(text, &number);
}

std::string RangeText(uint64_t min, uint64_t max) {
  if (max == std::numeric_limits<uint64_t>::max()) {
    return absl::StrCat(min, " to 2^64 - 1");
  }
  return absl::StrCat(min, " to ", max);
}

}  // namespace

CLI::Validator WholeNumber(uint64_t min, uint64_t max) {
  return CLI::Validator(
      [min, max](std::string& text) -> std::string {
        uint64_t number = 0;
        if (!ParseDigits(text, number) || number < min || number > max) {
          return absl::StrCat("\"", text, "\" is not a whole number from ",
                              RangeText(min, max));
        }
        text = absl::StrCat(number);  // without zeros in front: not octal
        return "";
      },
      min == 0 ? "" : absl::StrCat(min, " or more"));
}

CLI::Validator Seconds(bool zero_allowed) {
  return CLI::Validator(
      [zero_allowed](std::string& text) -> std::string {
        double seconds = 0;
        if (!ParseDecimal(text, seconds) || (seconds == 0 && !zero_allowed) ||
            seconds > kYear) {
          return absl::StrCat("\"", text, "\" is not a number of seconds ",
                              zero_allowed ? "from 0" : "above 0",
                              " to a year");
        }
        return "";
      },
      "");
}

CLI::Validator Days() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double days = 0;
        if (!ParseDecimal(text, days) || days == 0 || days > kMaxDays) {
          return absl::StrCat("\"", text,
                              "\" is not a number of days above 0, to a "
                              "thousand years");
        }
        return "";
      },
      "");
}

CLI::Validator Utf8() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        return IsUtf8(text) ? ""
                            : absl::StrCat("\"", absl::CHexEscape(text),
                                           "\" is not UTF-8");
      },
      "");
}

}  // namespace qlarank
