#include "cli/named_model.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qlarank {

absl::StatusOr<NamedModel> ParseNamedModel(const std::string& text) {
  NamedModel model;
  const size_t slash = text.find('/');
  model.name = text.substr(0, slash);
  if (slash == std::string::npos) return model;
  const std::string version = text.substr(slash + 1);
  if (version.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(version, &model.version) || model.version == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": \"", version,
                     "\" is no version, a whole number from 1; say NAME or "
                     "NAME/VERSION"));
  }
  return model;
}

}  // namespace qlarank
