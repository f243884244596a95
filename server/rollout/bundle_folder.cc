#include "server/rollout/bundle_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/model_name.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

bool LiesBelow(const fs::path& folder, const fs::path& base) {
  const auto [in_base, in_folder] =
      std::mismatch(base.begin(), base.end(), folder.begin(), folder.end());
  return in_base == base.end() && in_folder != folder.end();
}

}  // namespace

absl::StatusOr<std::string> BundleFolder(absl::string_view base,
                                         const LoadedByRequest& wanted) {
  if (!IsModelName(wanted.name)) {
    return FieldError("model_name", Quoted(wanted.name), kModelNameRule);
  }
  if (wanted.version == 0) {
    return FieldError("model_version", 0, "must be at least 1");
  }
  if (base.empty()) {
    return absl::FailedPreconditionError(
        "model_base_path: \"\"; must name a folder in the server's "
        "configuration");
  }
  const std::string path = wanted.path.empty()
                               ? absl::StrCat(wanted.name, "/", wanted.version)
                               : wanted.path;
  std::error_code error;
  const fs::path root = fs::canonical(std::string(base), error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model_base_path: ", Quoted(base), "; ", error.message()));
  }
  const fs::path folder = fs::canonical(root / path, error);
  if (error) {
    return absl::NotFoundError(absl::StrCat(
        "path: ", Quoted((root / path).string()), "; ", error.message()));
  }
  if (!LiesBelow(folder, root)) {
    return FieldError("path", Quoted(path),
                      absl::StrCat("must lie below model_base_path, ",
                                   Quoted(root.string())));
  }
  return folder.string();
}

}  // namespace qlarank
