#include "state_store/partition_position.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace qlarank {

std::optional<PartitionName> ParsePositionMarkName(absl::string_view name) {
  PartitionName parsed;
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, "partition ")) return std::nullopt;
  const size_t space = rest.find(' ');
  const absl::string_view of = " of ";
  if (space == absl::string_view::npos ||
      !absl::SimpleAtoi(rest.substr(0, space), &parsed.partition) ||
      rest.substr(space, of.size()) != of ||
      !absl::SimpleAtoi(rest.substr(space + of.size()), &parsed.partitions) ||
      parsed.partition >= parsed.partitions ||
      parsed.partitions > kMaxPartitions ||
      PositionMarkName(parsed.partition, parsed.partitions) != name) {
    return std::nullopt;
  }
  return parsed;
}

absl::StatusOr<uint64_t> ParsePosition(absl::string_view value) {
  uint64_t position = 0;
  if (!absl::SimpleAtoi(value, &position) || absl::StrCat(position) != value) {
    return absl::DataLossError("the mark of a partition is not a number");
  }
  return position;
}

}  // namespace qlarank
