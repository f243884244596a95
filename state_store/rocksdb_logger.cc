#include "state_store/rocksdb_logger.h"

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank::rocksdb_internal {
namespace {

class SinkLogger final : public rocksdb::Logger {
 public:
  explicit SinkLogger(RocksDbOptions::WarningSink sink)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), sink_(std::move(sink)) {}

  using Logger::Logv;

  void Logv(rocksdb::InfoLogLevel level, const char* format,
            va_list arguments) override {
    if (sink_ == nullptr || level < GetInfoLogLevel() ||
        level > rocksdb::InfoLogLevel::FATAL_LEVEL) {
      return;
    }
    Logv(format, arguments);
  }

  void Logv(const char* format, va_list arguments) override {
    if (sink_ == nullptr) return;
    char message[1024];  // longer ones are cut
    vsnprintf(message, sizeof(message), format, arguments);
    if (IsNews(message)) sink_(message);
  }

 private:
  // While the disk is full, each write that fails says so.
  bool IsNews(absl::string_view message) {
    // Every backup, which keeps files from being deleted while it already does.
    if (absl::StrContains(message, "File Deletions Disabled, but already") ||
        absl::StrContains(message, "File Deletions Enable, but not really")) {
      return false;
    }
    absl::MutexLock lock(&mutex_);
    if (message == last_message_) return false;
    last_message_ = std::string(message);
    return true;
  }

  const RocksDbOptions::WarningSink sink_;
  absl::Mutex mutex_;
  std::string last_message_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<rocksdb::Logger> MakeLogger(RocksDbOptions::WarningSink sink) {
  return std::make_shared<SinkLogger>(std::move(sink));
}

}  // namespace qlarank::rocksdb_internal
