// Reads rows of a CSV file (RFC 4180, fields by libcsv) and says where they
// stood.
//
// A row's line is that of the file on which it begins, as an editor shows it;
// empty lines are no rows, but count. Every row has as many fields as the
// header has columns: with one more or less, nobody knows which is which.
//
// A quoted field may go on over some lines, but a quote that is never closed
// must not take the rest of the file with it. So a row has at most kMaxRowLines
// lines and kMaxRowBytes, and no line inside of it may look like a row of its
// own; otherwise its first line alone is refused, and the next row begins with
// the second.
//
// Not thread-safe.
#ifndef QLARANK_CLI_CSV_READER_H_
#define QLARANK_CLI_CSV_READER_H_

#include <cstdint>
#include <deque>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/file_digest.h"
#include "csv.h"

namespace qlarank {

class CsvReader {
 public:
  static constexpr size_t kMaxRowLines = 100;
  static constexpr size_t kMaxRowBytes = 64 << 10;

  // What a file's last line means that has no end.
  enum class LastLine {
    kIsARow,
    // The file is still being written: the line is left, as is a row whose
    // quote is open at the end of the file. unfinished_line() says so.
    kIsUnfinished,
  };

  // `input` must outlive the reader; `name` stands for it in errors.
  CsvReader(std::istream& input, std::string name,
            LastLine last_line = LastLine::kIsARow);
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // Takes the first row as the header. INVALID_ARGUMENT when there is none, or
  // when the file is something else than CSV.
  absl::Status ReadHeader();
  // Index of a column. INVALID_ARGUMENT naming it and those there are, or when
  // two have that name. `what_names_it`: the option that holds the name.
  absl::StatusOr<size_t> Column(absl::string_view name,
                                absl::string_view what_names_it = "") const;
  // Whether the header has the column.
  bool HasColumn(absl::string_view name) const;
  const std::vector<std::string>& header() const { return header_; }

  // The next row into `fields`; false at the end of the file. INVALID_ARGUMENT
  // names the line of what is no row; the next call goes on with the next line.
  // UNKNOWN: the input cannot be read further.
  absl::StatusOr<bool> ReadRow(std::vector<std::string>& fields);

  // Goes on with the row that begins at a byte and on a line, as the two below
  // said when it was read. REQUIRES: the input can seek; ReadHeader() was
  // called.
  void GoTo(uint64_t byte, uint64_t line);

  const std::string& name() const { return name_; }
  // Of the row last read, or refused: where it begins (the first line is 1, the
  // first byte 0), and its text without the end of its last line.
  uint64_t line() const { return line_; }
  uint64_t byte() const { return byte_; }
  const std::string& row_text() const { return row_text_; }
  // "name:line".
  std::string Position() const;

  // Lines that were taken as a whole: as rows, as refused or as empty ones.
  uint64_t lines_read() const { return next_line_ - 1; }
  // All of their bytes.
  FileDigest& digest() { return digest_; }
  const FileDigest& digest() const { return digest_; }
  // Where the end of the file was left as unfinished, once it was reached.
  std::optional<uint64_t> unfinished_line() const { return unfinished_line_; }

 private:
  struct Line {
    std::string text;  // without its line feed
    bool ended;        // whether it had one
  };

  // The next line to the end of lines_; false at the end of the file.
  bool TakeLine();
  void TakeByteOrderMark(std::string& first_line);
  // A line of the row being read into fields; what is wrong with it, or "".
  absl::string_view ParseLine(absl::string_view line);
  // The same of a whole row that needs no parser; false if it does.
  bool SplitPlainLine(absl::string_view line);
  void AddField(absl::string_view text);
  // A row's lines into lines_, its fields by way of OnField. False at the end.
  absl::StatusOr<bool> ParseRow();
  // Why the row that is in lines_ is none, or OK.
  absl::Status CheckFields(size_t num_fields) const;
  // Whether a row's quote may well be one that was never closed.
  bool MayHaveSwallowedRows() const;
  absl::StatusOr<bool> EndInsideQuotes();
  absl::Status CannotBeRead() const;
  // Counts the first `count` of lines_ as taken, puts the others back.
  void Consume(size_t count);
  // Consumes the first line alone. INVALID_ARGUMENT "name:line: problem".
  absl::Status Refuse(absl::string_view problem);
  void ResetParser();

  static void OnField(void* data, size_t size, void* reader);
  static void OnRow(int terminator, void* reader);

  std::istream& input_;
  std::string name_;
  LastLine last_line_;
  csv_parser parser_;
  std::deque<Line> again_;   // to be read before more of the input
  std::vector<Line> lines_;  // of the row being read
  uint64_t line_ = 0;
  uint64_t byte_ = 0;
  uint64_t next_line_ = 1;
  uint64_t next_byte_ = 0;
  std::string row_text_;
  FileDigest digest_;
  std::optional<uint64_t> unfinished_line_;
  std::vector<std::string> header_;

  std::vector<std::string>* fields_ = nullptr;  // of the row being parsed
  size_t num_fields_ = 0;
  bool row_done_ = false;
};

// `text` as a field of a CSV file, in quotes.
std::string CsvField(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_CLI_CSV_READER_H_
