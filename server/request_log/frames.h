// How records lie in a file: the length as a varint, the record, and the XXH64
// of the record, 8 bytes, little-endian. So whoever reads a file that was cut
// off anywhere knows where its last whole record ends.
#ifndef QLARANK_SERVER_REQUEST_LOG_FRAMES_H_
#define QLARANK_SERVER_REQUEST_LOG_FRAMES_H_

#include <cstdint>
#include <istream>
#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

// `record` with what it lies in.
std::string Framed(absl::string_view record);

// Reads the records of a file, in order. Not thread-safe.
class RecordReader {
 public:
  // The file, opened in binary, must outlive the reader. One that could not be
  // opened has no records.
  explicit RecordReader(std::istream& file);

  // False, and `record` is of no use, where none follows that is whole.
  bool Next(std::string& record);

  // Of the file, and of the records that were read.
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t read_bytes() const { return read_bytes_; }
  // All of the file was read.
  bool at_end() const { return read_bytes_ == file_bytes_; }

 private:
  std::istream& file_;
  uint64_t file_bytes_ = 0;
  uint64_t read_bytes_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_REQUEST_LOG_FRAMES_H_
