// A file that is whole or not there: written beside its place, and moved there
// at the end. One whose name ends in .gz is compressed.
//
// Not thread-safe.
#ifndef QLARANK_CLI_OUTPUT_FILE_H_
#define QLARANK_CLI_OUTPUT_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct gzFile_s;

namespace qlarank {

class OutputFile {
 public:
  // Writes to "<path>.partial", over what an earlier run left there.
  // INVALID_ARGUMENT when something is at `path`, or nothing can be written
  // there.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Create(
      const std::string& path);
  // Removes what was written, unless it was committed.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // INVALID_ARGUMENT when it cannot be written: the disk is full.
  absl::Status Write(absl::string_view bytes);
  // Moves the whole to its place. Once, and no Write after it.
  absl::Status Commit();

 private:
  OutputFile(std::string path, gzFile_s* file);

  const std::string path_;
  const std::string partial_;
  gzFile_s* file_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_OUTPUT_FILE_H_
