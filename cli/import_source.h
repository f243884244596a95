// What an import is known by: its source, and the mark that says how far the
// source has been imported and of what file.
//
// The mark's note is a digest of the file's first bytes, so that another file
// under the same name is told apart before anything of it is sent, and the same
// file, whether it grew or not, goes on where the mark stands. A source is
// marked twice: at line 1, the header, before its first event is sent, and at
// its last line when all of it was imported.
#ifndef QLARANK_CLI_IMPORT_SOURCE_H_
#define QLARANK_CLI_IMPORT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"

namespace qlarank {

struct ImportMark {
  // Sequence through which all was acknowledged or given up.
  uint64_t complete_through = 0;
  // The first bytes of the file, and their FileDigest::Hex().
  uint64_t bytes = 0;
  std::string digest = "";
  // What sequences are ranks in, as "time"; empty when they are line numbers.
  std::string order = "";
  // Of ranks: where the end was, with which the last of them change; 0 until
  // that was known.
  uint64_t whole_bytes = 0;
  // When it was set: RFC 3339.
  std::string time = "";
};

// "name@digest": the file's name and what it begins with, its header and first
// row. So a file is the same wherever it lies and however it is compressed, and
// the files of one name that a partitioned export writes are not. "" when the
// file has no row yet. INVALID_ARGUMENT when it cannot be read.
absl::StatusOr<std::string> SourceOfFile(const std::string& path);

// Asks and sets marks, and asks again until `retry_for` is over when the server
// cannot be reached or is busy. `client` must outlive it.
class ImportMarks {
 public:
  ImportMarks(const Client& client, absl::Duration retry_for)
      : client_(client), retry_for_(retry_for) {}

  // nullopt when the source has none. INVALID_ARGUMENT when it has one that no
  // import made.
  absl::StatusOr<std::optional<ImportMark>> Get(
      const std::string& source) const;
  absl::Status Set(const std::string& source, ImportMark mark) const;

 private:
  const Client& client_;
  absl::Duration retry_for_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_IMPORT_SOURCE_H_
