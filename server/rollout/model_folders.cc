#include "server/rollout/model_folders.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/model_name.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

// The names in a folder, in order.
absl::StatusOr<std::vector<std::string>> ListNames(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    names.push_back(entries->path().filename().string());
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat(Quoted(folder.string()), ": ", error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// "8" is a version, "08", "8.new" and "0" are none.
bool IsVersion(const std::string& name, uint64_t& version) {
  return absl::SimpleAtoi(name, &version) && version > 0 &&
         absl::StrCat(version) == name;
}

std::string DescribeFile(const fs::path& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) != 0) return "gone";
  return absl::StrCat(file.st_dev, "/", file.st_ino, ":", file.st_size, "@",
                      file.st_mtim.tv_sec, ".", file.st_mtim.tv_nsec);
}

std::string DescribeBundle(const fs::path& folder) {
  const auto names = ListNames(folder);
  if (!names.ok() ||
      !std::binary_search(names->begin(), names->end(), "model.textproto")) {
    return "";
  }
  return absl::StrJoin(
      *names, " ", [&](std::string* out, const std::string& name) {
        absl::StrAppend(out, name, "=", DescribeFile(folder / name));
      });
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListModelFolders(
    const std::string& base) {
  auto names = ListNames(base);
  if (!names.ok()) return names;
  std::erase_if(*names, [&](const std::string& name) {
    return !IsModelName(name) || !IsFolder(fs::path(base) / name);
  });
  return names;
}

absl::StatusOr<VersionFolders> ListVersionFolders(const std::string& base,
                                                  const std::string& model) {
  const fs::path folder = fs::path(base) / model;
  const auto names = ListNames(folder);
  if (!names.ok()) return names.status();
  VersionFolders versions;
  for (const std::string& name : *names) {
    uint64_t version = 0;
    if (!IsVersion(name, version) || !IsFolder(folder / name)) continue;
    versions[version] = DescribeBundle(folder / name);
  }
  return versions;
}

}  // namespace qlarank
