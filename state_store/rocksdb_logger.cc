#include "state_store/rocksdb_logger.h"

#include <cstdarg>
#include <cstdio>
#include <utility>

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
    sink_(message);
  }

 private:
  const RocksDbOptions::WarningSink sink_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> MakeLogger(RocksDbOptions::WarningSink sink) {
  return std::make_shared<SinkLogger>(std::move(sink));
}

}  // namespace qlarank::rocksdb_internal
