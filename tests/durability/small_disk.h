// A disk of its own for a test, to be filled up. There are two: a small file
// system, whose mounting takes a privilege that containers often lack, and a
// folder whose writes are refused as by a full disk, anywhere.
#ifndef QLARANK_TESTS_DURABILITY_SMALL_DISK_H_
#define QLARANK_TESTS_DURABILITY_SMALL_DISK_H_

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/durability/refused_writes.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {

class SmallDisk {
 public:
  virtual ~SmallDisk() = default;

  std::string Path(const std::string& name) const { return dir_.Path(name); }

  // Takes all the room there is, and gives it back.
  virtual void Fill() = 0;
  virtual void Free() = 0;

 protected:
  TempDir dir_;
};

// A tmpfs, gone with the object.
class MountedDisk final : public SmallDisk {
 public:
  // PERMISSION_DENIED where mounting is not allowed.
  static absl::StatusOr<std::unique_ptr<SmallDisk>> Mount(size_t bytes) {
    auto disk = std::unique_ptr<MountedDisk>(new MountedDisk);
    const std::string options = absl::StrCat("size=", bytes);
    if (mount("none", disk->dir_.path().c_str(), "tmpfs",
              MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0) {
      return absl::PermissionDeniedError(
          absl::StrCat("mounting a tmpfs: ", strerror(errno)));
    }
    disk->mounted_ = true;
    return disk;
  }

  ~MountedDisk() override {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }

  void Fill() override {
    FILE* file = fopen(Path("filler").c_str(), "ab");
    setvbuf(file, nullptr, _IONBF, 0);
    const std::string block(4096, 'x');
    while (fwrite(block.data(), 1, block.size(), file) == block.size()) {
    }
    fclose(file);
  }
  void Free() override { unlink(Path("filler").c_str()); }

 private:
  MountedDisk() = default;

  bool mounted_ = false;
};

// A folder. One at a time in a process.
class PretendedDisk final : public SmallDisk {
 public:
  ~PretendedDisk() override { Free(); }

  void Fill() override { RefuseWritesBelow(dir_.path(), ENOSPC); }
  void Free() override { RefuseNoWrites(); }
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_DURABILITY_SMALL_DISK_H_
