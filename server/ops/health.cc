#include "server/ops/health.h"

namespace qlarank {

void Health::Attach(grpc::HealthCheckServiceInterface& service,
                    const std::vector<std::string>& services) {
  absl::MutexLock lock(&mutex_);
  told_.push_back({&service, services});
  told_.back().names.push_back("");
  Tell();
}

void Health::Detach() {
  absl::MutexLock lock(&mutex_);
  told_.clear();
}

void Health::SetServing() {
  absl::MutexLock lock(&mutex_);
  readiness_ = {true, ""};
  Tell();
}

void Health::SetNotServing(absl::string_view reason) {
  absl::MutexLock lock(&mutex_);
  readiness_ = {false, std::string(reason)};
  Tell();
}

Readiness Health::readiness() const {
  absl::MutexLock lock(&mutex_);
  return readiness_;
}

void Health::Tell() {
  for (const Told& told : told_) {
    for (const std::string& name : told.names) {
      told.service->SetServingStatus(name, readiness_.ready);
    }
  }
}

}  // namespace qlarank
