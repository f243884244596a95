// Tells whether a file has changed without reading it.
#ifndef QLARANK_SERVER_SECURITY_FILE_STAMP_H_
#define QLARANK_SERVER_SECURITY_FILE_STAMP_H_

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>

namespace qlarank {

// Equal for as long as the path leads to the same file with the same content;
// all zeros when there is none.
struct FileStamp {
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_s = 0;
  int64_t modified_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

inline FileStamp StampOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size, info.st_mtim.tv_sec,
          info.st_mtim.tv_nsec};
}

// Of files that belong together.
using FileStamps = std::array<FileStamp, 3>;

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_FILE_STAMP_H_
