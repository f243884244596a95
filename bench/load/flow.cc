#include "bench/load/flow.h"

#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace qlarank::bench {
namespace {

absl::Status Wrong(absl::string_view flow, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("flow \"", flow, "\": ", what));
}

}  // namespace

absl::StatusOr<Flow> ParseFlow(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() != 4) {
    return Wrong(text, "expected NAME:closed|open:AMOUNT:CANDIDATES");
  }
  Flow flow;
  flow.name = std::string(parts[0]);
  if (flow.name.empty()) return Wrong(text, "it has no name");
  if (parts[1] != "open" && parts[1] != "closed") {
    return Wrong(text, absl::StrCat("\"", parts[1],
                                    "\" is neither \"open\" nor \"closed\""));
  }
  flow.open = parts[1] == "open";
  if (!absl::SimpleAtod(parts[2], &flow.amount) ||
      !std::isfinite(flow.amount) || flow.amount <= 0 ||
      (!flow.open && flow.amount != std::floor(flow.amount))) {
    return Wrong(text, absl::StrCat("\"", parts[2], "\" is not a ",
                                    flow.open ? "rate" : "number of requests"));
  }
  if (!absl::SimpleAtoi(parts[3], &flow.candidates) || flow.candidates == 0) {
    return Wrong(
        text, absl::StrCat("\"", parts[3], "\" is not a number of candidates"));
  }
  return flow;
}

}  // namespace qlarank::bench
