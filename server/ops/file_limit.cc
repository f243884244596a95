#include "server/ops/file_limit.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "absl/status/status.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

constexpr uint64_t kMostTables = 1'000;
constexpr uint64_t kOtherFiles = 256;
// Enough for 1,024 connections of one client, beside the rest.
constexpr uint64_t kFewFiles = 4'096;

rlimit FileLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

}  // namespace

void RaiseFileLimit() {
  rlimit limit = FileLimit();
  const rlim_t before = limit.rlim_cur;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, kMostFiles);
  if (before < wanted) {
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      LogWarning("the limit of open files cannot be raised",
                 {{"limit", before},
                  {"error", absl::ErrnoToStatus(errno, "setrlimit")}});
    }
  }
  const rlim_t now = FileLimit().rlim_cur;
  if (now < kFewFiles) {
    LogWarning("few files may be open: raise the hard limit (ulimit -Hn, "
               "LimitNOFILE)",
               {{"limit", now}, {"connections", ShareFiles().connections}});
  }
}

FileShares ShareFiles(uint64_t limit) {
  FileShares shares;
  shares.tables = std::min(kMostTables, limit / 4);
  shares.connections =
      limit - shares.tables - std::min(kOtherFiles, limit / 4);
  return shares;
}

FileShares ShareFiles() {
  return ShareFiles(std::min<uint64_t>(FileLimit().rlim_cur, kMostFiles));
}

}  // namespace qlarank
