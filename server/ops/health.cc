#include "server/ops/health.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

namespace qlarank {

void Health::Attach(grpc::HealthCheckServiceInterface& service,
                    const std::vector<std::string>& services,
                    const std::vector<std::string>& writing) {
  absl::MutexLock lock(&mutex_);
  told_.push_back({&service, services, writing});
  told_.back().names.push_back("");
  Tell();
}

void Health::Detach() {
  absl::MutexLock lock(&mutex_);
  told_.clear();
}

void Health::SetServing() {
  absl::MutexLock lock(&mutex_);
  ready_ = true;
  reason_.clear();
  Tell();
}

void Health::SetNotServing(absl::string_view reason) {
  absl::MutexLock lock(&mutex_);
  ready_ = false;
  reason_ = std::string(reason);
  Tell();
}

void Health::Degrade(Part part, absl::string_view reason) {
  absl::MutexLock lock(&mutex_);
  degraded_[static_cast<int>(part)] =
      reason.empty() ? "unknown reason" : std::string(reason);
  if (metrics_ != nullptr) metrics_->SetDegraded(part, true);
  Tell();
}

void Health::Restore(Part part) {
  absl::MutexLock lock(&mutex_);
  degraded_[static_cast<int>(part)].clear();
  if (metrics_ != nullptr) metrics_->SetDegraded(part, false);
  Tell();
}

Readiness Health::readiness() const {
  absl::MutexLock lock(&mutex_);
  Readiness readiness = {ready_, reason_, {}};
  for (int part = 0; part < kParts; ++part) {
    if (degraded_[part].empty()) continue;
    readiness.degraded.push_back(absl::StrCat(
        PartName(static_cast<Part>(part)), ": ", degraded_[part]));
  }
  return readiness;
}

void Health::Tell() {
  for (const Told& told : told_) {
    for (const std::string& name : told.names) {
      const bool refused =
          degraded(Part::kWrites) && absl::c_linear_search(told.writing, name);
      // Once for each name: watchers are told of every change.
      told.service->SetServingStatus(name, ready_ && !refused);
    }
  }
}

}  // namespace qlarank
