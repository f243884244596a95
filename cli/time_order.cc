#include "cli/time_order.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace qlarank {

absl::Status TimeOrder::Add(const v1::UserEvent& event,
                            const CsvReader& reader) {
  if (rows_.size() == kMaxRows) {
    return absl::ResourceExhaustedError(
        absl::StrCat(reader.Position(), ": --sort takes ", kMaxRows,
                     " events at most; sort the file with another tool"));
  }
  const google::protobuf::Timestamp& time = event.event().time();
  rows_.push_back({time.seconds() * 1'000'000 + time.nanos() / 1'000,
                   reader.byte(), reader.line()});
  return absl::OkStatus();
}

void TimeOrder::Sort() {
  std::stable_sort(
      rows_.begin(), rows_.end(),
      [](const Row& a, const Row& b) { return a.time_us < b.time_us; });
}

}  // namespace qlarank
