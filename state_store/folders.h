// Folders that appear whole or not at all, and what fills them. Private to this
// folder. Errors are UNAVAILABLE and name the path, unless said otherwise.
#ifndef QLARANK_STATE_STORE_FOLDERS_H_
#define QLARANK_STATE_STORE_FOLDERS_H_

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// A folder in the making: fill work(), then Publish() names it `path`.
class NewFolder {
 public:
  // `work` will be `path` + `suffix`, and is empty to begin with: it is removed
  // if an earlier attempt left one. ALREADY_EXISTS when something is at `path`,
  // NOT_FOUND when its parent folder is not.
  static absl::StatusOr<NewFolder> At(const std::string& path,
                                      absl::string_view suffix);
  // Removes work() unless it was published.
  ~NewFolder();
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&&) = delete;

  const std::string& work() const { return work_; }
  // Durable when it returns OK. Once.
  absl::Status Publish();

 private:
  NewFolder() = default;

  std::filesystem::path path_;
  std::string work_;  // empty: published, or moved from
};

// Fills the folder `to` with the files of a store or a checkpoint at `from`,
// synced: table files, which never change, as hard links where the file system
// allows it, the others as copies.
absl::Status LinkOrCopyFiles(const std::filesystem::path& from,
                             const std::filesystem::path& to);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_FOLDERS_H_
