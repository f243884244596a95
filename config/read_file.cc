#include "config/read_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qlarank {

absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          absl::string_view name) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "rb"),
                                                   &fclose);
  std::string text;
  char buffer[4096];
  if (file != nullptr) {
    while (const size_t size = fread(buffer, 1, sizeof(buffer), file.get())) {
      text.append(buffer, size);
    }
  }
  // A folder, for one, can be opened but not read.
  if (file == nullptr || ferror(file.get())) {
    return absl::ErrnoToStatus(errno, absl::StrCat(name, ": cannot be read"));
  }
  return text;
}

}  // namespace qlarank
