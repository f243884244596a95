#include "tests/durability/refused_writes.h"

#include <dlfcn.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

// Of plain memory, as libraries write before main and while others change it.
std::atomic<int> refused_with = 0;  // 0: nothing is refused
char refused_below[4096];

bool IsBelow(const char* path, size_t size) {
  const size_t prefix = strlen(refused_below);
  return size >= prefix && memcmp(path, refused_below, prefix) == 0;
}

// Whether a write to `file` is refused; then errno says why.
bool Refuses(int file) {
  const int error = refused_with;
  if (error == 0) return false;
  char link[64];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  char path[4096];
  const ssize_t size = readlink(link, path, sizeof(path));
  if (size < 0 || !IsBelow(path, size)) return false;
  errno = error;
  return true;
}

}  // namespace

namespace qlarank::testing {

void RefuseWritesBelow(const std::string& folder, int error) {
  refused_with = 0;
  snprintf(refused_below, sizeof(refused_below), "%s/", folder.c_str());
  refused_with = error;
}

void RefuseNoWrites() { refused_with = 0; }

}  // namespace qlarank::testing

// These take the place of libc's for every library of this process.

extern "C" ssize_t write(int file, const void* data, size_t size) {
  if (Refuses(file)) return -1;
  return syscall(SYS_write, file, data, size);
}

extern "C" ssize_t pwrite(int file, const void* data, size_t size,
                          off_t offset) {
  if (Refuses(file)) return -1;
  return syscall(SYS_pwrite64, file, data, size, offset);
}

extern "C" int fallocate(int file, int mode, off_t offset, off_t size) {
  if (Refuses(file)) return -1;
  return static_cast<int>(syscall(SYS_fallocate, file, mode, offset, size));
}

extern "C" int statvfs(const char* path, struct statvfs* info) noexcept {
  using Function = int (*)(const char*, struct statvfs*);
  static const auto libcs =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "statvfs"));
  const int result = libcs(path, info);
  // The folder itself, or what is in it.
  if (result == 0 && refused_with == ENOSPC &&
      (IsBelow(path, strlen(path)) ||
       IsBelow((std::string(path) + "/").c_str(), strlen(path) + 1))) {
    info->f_bfree = 0;
    info->f_bavail = 0;
  }
  return result;
}
