#include "server/ops/health.h"

namespace qlarank {

void Health::Attach(grpc::HealthCheckServiceInterface& service,
                    const std::vector<std::string>& services) {
  absl::MutexLock lock(&mutex_);
  service_ = &service;
  names_ = services;
  names_.push_back("");
  Tell();
}

void Health::Detach() {
  absl::MutexLock lock(&mutex_);
  service_ = nullptr;
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
  if (service_ == nullptr) return;
  for (const std::string& name : names_) {
    service_->SetServingStatus(name, readiness_.ready);
  }
}

}  // namespace qlarank
