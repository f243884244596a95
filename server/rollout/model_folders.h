// The versions that lie below model_base_path, "<name>/<version>", as they are
// now.
//
// Looked at, not watched for: the kernel tells nothing of what other hosts write
// to a shared file system, nor of a folder above that is renamed or mounted, and
// a look at a few folders every few seconds costs nothing.
#ifndef QLARANK_SERVER_ROLLOUT_MODEL_FOLDERS_H_
#define QLARANK_SERVER_ROLLOUT_MODEL_FOLDERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace qlarank {

// The folders in `base` that a model may be called. UNAVAILABLE when it cannot be
// listed.
absl::StatusOr<std::vector<std::string>> ListModelFolders(
    const std::string& base);

// Of each version of a model what tells whether its files were changed: their
// names, places, sizes and times. "" of one without a model.textproto, which is
// not whole yet. Names that are not whole numbers from 1 are nobody's.
// UNAVAILABLE when the folder cannot be listed.
using VersionFolders = std::map<uint64_t, std::string>;
absl::StatusOr<VersionFolders> ListVersionFolders(const std::string& base,
                                                  const std::string& model);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_MODEL_FOLDERS_H_
