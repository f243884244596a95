// The rows that an import was refused, in a CSV file that can be imported once
// they are corrected: the same columns behind one that says why.
//
// Makes its file with the first row, and never over another: where one of its
// name is left from before, it takes the next free name.refused.2.csv, ... Not
// thread-safe.
#ifndef QLARANK_CLI_REFUSED_FILE_H_
#define QLARANK_CLI_REFUSED_FILE_H_

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qlarank {

class RefusedFile {
 public:
  // `path`: where, exactly; "": beside `input_path`, named after it.
  RefusedFile(const std::string& path, const std::string& input_path);

  // The header of the file that is imported. To be called before Add().
  void SetHeader(std::string header) { header_ = std::move(header); }

  // INVALID_ARGUMENT when the file cannot be written, or is there already and
  // was given by name.
  absl::Status Add(absl::string_view reason, absl::string_view row);
  // All rows are in the file.
  absl::Status Close();

  // "" before the first row.
  const std::string& path() const { return path_; }

 private:
  absl::Status Open();

  std::string wanted_;
  bool numbered_;  // rather than given
  std::string header_;
  std::string path_;
  std::ofstream file_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_REFUSED_FILE_H_
