// A store that this process may not write to is not "open in another process".
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/testing/temp_dir.h"

namespace {

// What opening a file named LOCK fails with; 0: it does not.
std::atomic<int> locks_fail_with = 0;

bool IsLock(const char* path) {
  const size_t size = strlen(path);
  return size >= 5 && strcmp(path + size - 5, "/LOCK") == 0;
}

}  // namespace

// Takes the place of libc's for every library of this process.
extern "C" int open(const char* path, int flags, ...) {
  if (locks_fail_with != 0 && IsLock(path)) {
    errno = locks_fail_with;
    return -1;
  }
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode =
      (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

namespace qlarank {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

absl::Status Open(const std::string& path) {
  RocksDbOptions options;
  options.path = path;
  return OpenRocksDbStateStore(options).status();
}

class StoreAccessTest : public ::testing::Test {
 protected:
  StoreAccessTest() { EXPECT_TRUE(Open(path_).ok()); }
  ~StoreAccessTest() override { locks_fail_with = 0; }

  testing::TempDir dir_;
  const std::string path_ = dir_.Path("store");
};

TEST_F(StoreAccessTest, OnAReadOnlyFileSystem) {
  locks_fail_with = EROFS;
  const absl::Status status = Open(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(StartsWith("store " + path_ +
                               " is on a read-only file system: mount it for "
                               "writing, or give another path"),
                    Not(HasSubstr("another process"))));
}

TEST_F(StoreAccessTest, OfAnotherOwner) {
  for (const int error : {EACCES, EPERM}) {
    locks_fail_with = error;
    const absl::Status status = Open(path_);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()),
                AllOf(StartsWith("store " + path_ +
                                 " must not be written to by this process, "
                                 "which runs as uid "),
                      HasSubstr("as it belongs to uid "),
                      Not(HasSubstr("another process"))));
  }
}

// For real: root's store, opened by nobody. Without root's rights a folder that
// its own owner must not write to is as good.
TEST_F(StoreAccessTest, OfAnotherOwnerForReal) {
  namespace fs = std::filesystem;
  if (geteuid() != 0) fs::permissions(path_ + "/LOCK", fs::perms::owner_read);
  fs::permissions(dir_.path(), fs::perms::all & ~fs::perms::others_write);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(1);
    const std::string message = Open(path_).ToString();
    _exit(write(ends[1], message.data(), message.size()) < 0);
  }
  close(ends[1]);
  std::string message;
  char buffer[4096];
  ssize_t size;
  while ((size = read(ends[0], buffer, sizeof(buffer))) > 0) {
    message.append(buffer, size);
  }
  close(ends[0]);
  int result = 0;
  waitpid(child, &result, 0);
  EXPECT_EQ(result, 0);
  EXPECT_THAT(message, HasSubstr("must not be written to by this process"));
  if (geteuid() == 0) {
    EXPECT_THAT(message, AllOf(HasSubstr("runs as uid 65534"),
                               HasSubstr("belongs to uid 0")));
  }
}

TEST_F(StoreAccessTest, OneThatIsOpenIsStillCalledSo) {
  RocksDbOptions options;
  options.path = path_;
  const auto store = OpenRocksDbStateStore(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status status = Open(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("is open in another process"));
}

}  // namespace
}  // namespace qlarank
