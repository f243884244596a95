#include "server/metrics/status_code_counters.h"

namespace qlarank {
namespace {

constexpr int kUnknown = 2;

constexpr std::array<absl::string_view, kStatusCodes> kNames = {
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated"};

int KnownCode(int code) {
  return code >= 0 && code < kStatusCodes ? code : kUnknown;
}

}  // namespace

absl::string_view StatusCodeName(int code) { return kNames[KnownCode(code)]; }

StatusCodeCounters::StatusCodeCounters(
    prometheus::Family<prometheus::Counter>& family,
    const prometheus::Labels& labels, const std::string& code_label) {
  for (int code = 0; code < kStatusCodes; ++code) {
    prometheus::Labels with_code = labels;
    with_code[code_label] = std::string(StatusCodeName(code));
    counters_[code] = &family.Add(with_code);
  }
}

void StatusCodeCounters::Increment(int code) {
  counters_[KnownCode(code)]->Increment();
}

}  // namespace qlarank
