// Reads rows of a CSV file (RFC 4180, by libcsv) and says where they stood.
//
// A row's line is that of the file on which it ends, so that errors can be
// looked up with an editor. Empty lines are no rows. Not thread-safe.
#ifndef QLARANK_CLI_CSV_READER_H_
#define QLARANK_CLI_CSV_READER_H_

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "csv.h"

namespace qlarank {

class CsvReader {
 public:
  // `input` must outlive the reader; `name` stands for it in errors.
  CsvReader(std::istream& input, std::string name);
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // Takes the first row as the header. INVALID_ARGUMENT when there is none.
  absl::Status ReadHeader();
  // Index of a column. INVALID_ARGUMENT naming it and those there are.
  absl::StatusOr<size_t> Column(absl::string_view name) const;
  // Whether the header has the column.
  bool HasColumn(absl::string_view name) const;

  // The next row into `fields`; false at the end of the file. INVALID_ARGUMENT
  // for a quote that is not closed, a stray one, or a carriage return that no
  // line feed follows; the next call goes on with the next line.
  absl::StatusOr<bool> ReadRow(std::vector<std::string>& fields);

  const std::string& name() const { return name_; }
  // Where the row last read ends; the first line is 1.
  uint64_t line() const { return line_; }
  // Read so far, for progress.
  uint64_t bytes_read() const { return bytes_read_; }
  // "name:line".
  std::string Position() const;

 private:
  // Forgets what was begun, so that the next line starts afresh.
  // INVALID_ARGUMENT "name:line: problem".
  absl::Status GiveUpLine(absl::string_view problem);

  static void OnField(void* data, size_t size, void* reader);
  static void OnRow(int terminator, void* reader);

  std::istream& input_;
  std::string name_;
  csv_parser parser_;
  std::string text_;  // the line being parsed
  uint64_t line_ = 0;
  uint64_t bytes_read_ = 0;
  std::vector<std::string> header_;

  std::vector<std::string>* fields_ = nullptr;  // of the row being parsed
  size_t num_fields_ = 0;
  bool row_done_ = false;
  bool second_row_ = false;  // begun by the line that ended the row
};

// `text` as a field of a CSV file, in quotes.
std::string CsvField(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_CLI_CSV_READER_H_
