#include "state_store/folders.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

absl::Status FileError(absl::string_view doing, const fs::path& path,
                       const std::string& what) {
  return absl::UnavailableError(
      absl::StrCat(doing, " ", path.string(), ": ", what));
}

absl::Status SyncPath(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  const std::string what = std::strerror(errno);
  if (file >= 0) ::close(file);
  return synced ? absl::OkStatus() : FileError("syncing", path, what);
}

}  // namespace

absl::StatusOr<NewFolder> NewFolder::At(const std::string& path,
                                        absl::string_view suffix) {
  std::error_code error;
  NewFolder folder;
  folder.path_ = fs::absolute(path).lexically_normal();
  if (!folder.path_.has_filename()) {  // ends in "/"
    folder.path_ = folder.path_.parent_path();
  }
  if (fs::symlink_status(folder.path_, error).type() !=
      fs::file_type::not_found) {
    return absl::AlreadyExistsError(absl::StrCat(
        path, ": something is there; move it away or name a new folder"));
  }
  const fs::path parent = folder.path_.parent_path();
  if (!fs::is_directory(parent, error)) {
    return absl::NotFoundError(
        absl::StrCat(path, ": its parent folder ", parent.string(),
                     " does not exist; create it first"));
  }
  folder.work_ = absl::StrCat(folder.path_.string(), suffix);
  fs::remove_all(folder.work_, error);
  if (error) return FileError("removing", folder.work_, error.message());
  return folder;
}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : path_(std::move(other.path_)), work_(std::exchange(other.work_, "")) {}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!work_.empty()) fs::remove_all(work_, ignored);
}

absl::Status NewFolder::Publish() {
  if (absl::Status status = SyncPath(work_); !status.ok()) return status;
  if (std::rename(work_.c_str(), path_.c_str()) != 0) {
    return FileError("naming", path_, std::strerror(errno));
  }
  work_.clear();
  return SyncPath(path_.parent_path());
}

absl::Status LinkOrCopyFiles(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directory(to, error);
  if (error) return FileError("making", to, error.message());
  for (const auto& file : fs::directory_iterator(from, error)) {
    std::error_code no_file;
    if (!file.is_regular_file(no_file)) continue;
    const fs::path target = to / file.path().filename();
    if (file.path().extension() == ".sst") {
      std::error_code not_linked;
      fs::create_hard_link(file.path(), target, not_linked);
      if (!not_linked) continue;
    }
    fs::copy_file(file.path(), target, error);
    if (error) return FileError("copying", file.path(), error.message());
    if (absl::Status status = SyncPath(target); !status.ok()) return status;
  }
  if (error) return FileError("reading", from, error.message());
  return absl::OkStatus();
}

}  // namespace qlarank
