// The files of the request log: one that is written, and those that are closed,
// the oldest of which go when there is too much or they are too old.
//
//   requests-20261130T204500Z-000017.pb         closed
//   requests-20261130T205100Z-000018.pb.part    being written
//
// The time is when the file was begun, the number counts all files of the
// folder. A file's records are in frames (frames.h).
//
// Errors are UNAVAILABLE and name the path. Not thread-safe.
#ifndef QLARANK_SERVER_REQUEST_LOG_LOG_FOLDER_H_
#define QLARANK_SERVER_REQUEST_LOG_LOG_FOLDER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qlarank {

class LogFolder {
 public:
  struct Limits {
    uint64_t max_file_bytes;
    uint64_t max_bytes;
    absl::Duration max_age;  // 0: files stay
  };

  using Unwanted = absl::FunctionRef<bool(absl::string_view record)>;

  // Files are closed when they are so old, or half of max_age.
  static constexpr absl::Duration kMaxFileAge = absl::Hours(1);

  // Makes the folder if it is not there, and holds it until this is destroyed:
  // ALREADY_EXISTS when another process does. Closes what a process that died
  // was writing, up to its last whole record.
  static absl::StatusOr<std::unique_ptr<LogFolder>> Open(
      const std::string& path, const Limits& limits);
  // Closes the file that is written.
  ~LogFolder();

  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;

  // Adds a record, in a new file where it is time for one. OUT_OF_RANGE for one
  // that is larger than a file may be. After an error the record is not there.
  absl::Status Append(absl::string_view record, absl::Time now);

  // Closes and removes files for their age.
  absl::Status Tend(absl::Time now);

  // Closes the file that is written, so that names() are all there are.
  void CloseFile();
  // Of the closed files, the oldest first.
  std::vector<std::string> names() const;
  // Removes the records of a closed file for which `unwanted` says so, and what
  // cannot be read of it. The file goes if it cannot be rewritten; an error
  // means that it is there as it was. Does nothing for a file that is gone.
  absl::Status Filter(const std::string& name, Unwanted unwanted);

  // Of all files.
  uint64_t bytes() const { return bytes_; }

 private:
  struct File {
    std::string name;
    absl::Time begun;
    uint64_t bytes = 0;
  };

  LogFolder(std::string path, const Limits& limits)
      : path_(std::move(path)), limits_(limits) {}

  std::string PathOf(absl::string_view name) const;
  absl::Status Lock();
  absl::Status Load();
  // A file that a process was writing when it died.
  absl::Status Recover(const std::string& name);
  absl::Status OpenFile(absl::Time now);
  absl::Status Write(absl::string_view bytes);
  absl::Status Remove(std::deque<File>::iterator file);
  // The same file with fewer records, and how large it is.
  absl::StatusOr<uint64_t> Rewrite(const std::string& name,
                                   Unwanted unwanted) const;

  const std::string path_;
  const Limits limits_;
  int lock_ = -1;
  uint64_t next_number_ = 1;
  std::deque<File> closed_;  // the oldest first
  File open_;                // where file_ is one
  int file_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_REQUEST_LOG_LOG_FOLDER_H_
