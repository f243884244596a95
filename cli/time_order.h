// The rows of a CSV file in order of time.
//
// Keeps where each row begins, not the row: 24 bytes a row. A row is read once
// more when its turn comes.
#ifndef QLARANK_CLI_TIME_ORDER_H_
#define QLARANK_CLI_TIME_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/csv_reader.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

class TimeOrder {
 public:
  static constexpr size_t kMaxRows = 200'000'000;  // 4.8 GB

  // Takes the row that `reader` last read as `event`. RESOURCE_EXHAUSTED when
  // there are too many.
  absl::Status Add(const v1::UserEvent& event, const CsvReader& reader);
  // Rows of one time keep the file's order.
  void Sort();

  size_t size() const { return rows_.size(); }
  // Has `reader` read the row of a rank next. REQUIRES: rank < size().
  void GoTo(size_t rank, CsvReader& reader) const {
    reader.GoTo(rows_[rank].byte, rows_[rank].line);
  }

 private:
  struct Row {
    int64_t time_us;
    uint64_t byte;
    uint64_t line;
  };

  std::vector<Row> rows_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_TIME_ORDER_H_
