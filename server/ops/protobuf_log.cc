#include "server/ops/protobuf_log.h"

#include <mutex>

#include "absl/time/clock.h"
#include "google/protobuf/stubs/logging.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// Whoever wants to know what protobuf says on this thread.
thread_local ProtobufComplaints* listening = nullptr;

void LogProtobufLine(google::protobuf::LogLevel level, const char* /*file*/,
                     int /*line*/, const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_WARNING) return;
  if (listening != nullptr) return listening->Add(message);
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogWarning("protobuf library",
               {{"text", message}, {"held_back", *held_back}});
  }
}

}  // namespace

void RouteProtobufLog() {
  static std::once_flag once;
  std::call_once(once,
                 [] { google::protobuf::SetLogHandler(&LogProtobufLine); });
}

ProtobufComplaints::ProtobufComplaints() { listening = this; }

ProtobufComplaints::~ProtobufComplaints() { listening = nullptr; }

void ProtobufComplaints::Add(const std::string& complaint) {
  if (first_.empty()) first_ = complaint;
}

}  // namespace qlarank
