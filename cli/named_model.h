// A model as the command line names it: NAME, or NAME/VERSION.
#ifndef QLARANK_CLI_NAMED_MODEL_H_
#define QLARANK_CLI_NAMED_MODEL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace qlarank {

struct NamedModel {
  std::string name;
  uint64_t version = 0;  // 0: not given
};

// A name has no "/". INVALID_ARGUMENT for what is no version.
absl::StatusOr<NamedModel> ParseNamedModel(const std::string& text);

}  // namespace qlarank

#endif  // QLARANK_CLI_NAMED_MODEL_H_
