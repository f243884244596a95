// Files of a bundle that are text.
#ifndef QLARANK_MODEL_TEXT_FILE_H_
#define QLARANK_MODEL_TEXT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace qlarank {

// All of a file. NOT_FOUND when it cannot be opened.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

// Reads `text`, which is that of `path`, as a textproto. INVALID_ARGUMENT names
// the file, the line and the first thing in it that `message` does not have.
absl::Status ParseTextproto(const std::string& path, const std::string& text,
                            google::protobuf::Message& message);

}  // namespace qlarank

#endif  // QLARANK_MODEL_TEXT_FILE_H_
