// Events written as CSV: which columns hold what, and how time is written.
#ifndef QLARANK_CLI_EVENT_CSV_H_
#define QLARANK_CLI_EVENT_CSV_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/category_column.h"
#include "cli/csv_reader.h"
#include "cli/event_time.h"
#include "cli/item_key.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

// Which columns of a CSV file hold what.
struct EventColumns {
  std::string user = "user";
  ItemColumn item = {};
  // May be missing from the file: then every event has the model's first
  // action.
  std::string action = "action";
  std::string time = "time";
  // Of the event's features that are numbers, in the model's order, and of
  // those that are categories. Usually none.
  std::vector<std::string> features = {};
  std::vector<CategoryColumn> categories = {};
  // Of the context in which it happened: values by the names of the columns,
  // the model's context features.
  std::vector<std::string> context = {};
  // Of what is known of the item as it was shown, and of what came of that:
  // 0, 1 or nothing. Where events are scored as candidates.
  std::vector<std::string> candidate_features = {};
  std::vector<CategoryColumn> candidate_categories = {};
  std::vector<std::string> labels = {};
};

using EventContext = absl::flat_hash_map<std::string, std::string>;

class EventCsv {
 public:
  // Finds the columns in the header, which it reads. INVALID_ARGUMENT naming a
  // missing one.
  static absl::StatusOr<EventCsv> Open(CsvReader& reader,
                                       const EventColumns& columns,
                                       TimeUnit unit);

  // The next event; false at the end. Its sequence is its line in the file, so
  // that reading the file again gives the same sequences. INVALID_ARGUMENT
  // names file and line, column and value; the next call goes on with the next
  // line.
  absl::StatusOr<bool> Read(v1::UserEvent& event);
  // Of the event last read. Features and labels are in the order of their
  // columns; a label is nullopt where its cell is empty.
  const EventContext& context() const { return context_; }
  const std::vector<float>& candidate_features() const {
    return candidate_features_;
  }
  // One for each of their columns.
  const std::vector<v1::CategoryValues>& candidate_categories() const {
    return candidate_categories_;
  }
  const std::vector<std::optional<bool>>& labels() const { return labels_; }

 private:
  EventCsv(CsvReader& reader, EventColumns columns, TimeUnit unit)
      : reader_(&reader), columns_(std::move(columns)), unit_(unit) {}

  absl::Status CheckTexts() const;
  absl::StatusOr<float> ReadNumber(size_t column,
                                   const std::string& name) const;
  absl::Status ReadFeatures(v1::Event& event);
  absl::Status CheckUtf8(const std::string& column, size_t at) const;
  v1::CategoryValues ReadCategory(const CategoryColumn& column,
                                  size_t at) const;
  absl::Status ReadLabels();
  absl::Status Bad(absl::string_view column, absl::string_view value,
                   absl::string_view problem) const;

  CsvReader* reader_;
  EventColumns columns_;
  TimeUnit unit_;
  size_t user_ = 0;
  size_t item_ = 0;
  std::optional<size_t> action_;
  size_t time_ = 0;
  std::vector<size_t> features_;
  std::vector<size_t> context_at_;
  std::vector<size_t> candidate_features_at_;
  std::vector<size_t> categories_at_;
  std::vector<size_t> candidate_categories_at_;
  std::vector<size_t> labels_at_;
  EventContext context_;
  std::vector<float> candidate_features_;
  std::vector<v1::CategoryValues> candidate_categories_;
  std::vector<std::optional<bool>> labels_;
  std::vector<std::string> fields_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_CSV_H_
