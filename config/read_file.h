// Reads the files that a configuration consists of.
#ifndef QLARANK_CONFIG_READ_FILE_H_
#define QLARANK_CONFIG_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// The bytes of the file at `path`. NOT_FOUND, PERMISSION_DENIED and so on, as
// "NAME: cannot be read: REASON", when it is not one that can be read.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          absl::string_view name);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_READ_FILE_H_
