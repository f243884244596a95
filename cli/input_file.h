// A file that is read from its beginning, unpacked if it is compressed.
//
// A file is compressed by gzip, bzip2 or xz if it begins like one that is,
// whatever it is called: the trainer reads them alike (trainer/csv_files.py).
// Several members one after another are one file, as the tools have it. Not
// thread-safe.
#ifndef QLARANK_CLI_INPUT_FILE_H_
#define QLARANK_CLI_INPUT_FILE_H_

#include <fstream>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qlarank {

class InputFile {
 public:
  // INVALID_ARGUMENT when it cannot be read.
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(
      const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Its bytes, unpacked. Seeks if it is a regular file and not compressed.
  std::istream& stream() { return unpacked_ ? *unpacked_ : file_; }
  bool is_compressed() const { return unpacked_ != nullptr; }
  // Of a regular file, as it lies on the disk.
  std::optional<uint64_t> size_bytes() const { return size_bytes_; }
  // Of those bytes, how many unpacking has taken. REQUIRES: is_compressed().
  uint64_t bytes_taken() const;
  // INVALID_ARGUMENT once the stream is bad, because what is compressed was cut
  // short or damaged.
  absl::Status status() const;

 private:
  class Unpacking;

  InputFile(std::string path, std::ifstream file);

  std::string path_;
  std::ifstream file_;
  std::optional<uint64_t> size_bytes_;
  std::unique_ptr<Unpacking> unpacking_;
  std::unique_ptr<std::istream> unpacked_;
};

// The name of a file without the .gz, .bz2 or .xz that says it is compressed.
std::string NameWithoutCompression(const std::string& name);

}  // namespace qlarank

#endif  // QLARANK_CLI_INPUT_FILE_H_
