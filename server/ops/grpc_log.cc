#include "server/ops/grpc_log.h"

#include "absl/time/clock.h"
#include "grpc/support/log.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

void LogGrpcLine(gpr_log_func_args* line) {
  static LogThrottle throttle(absl::Seconds(10));
  if (line->severity != GPR_LOG_SEVERITY_ERROR) return;
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogWarning("grpc library",
               {{"text", line->message}, {"held_back", *held_back}});
  }
}

}  // namespace

void RouteGrpcLog() {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(&LogGrpcLine);
}

}  // namespace qlarank
