#include "bench/event_load.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace qlarank::bench {
namespace {

constexpr int64_t kFirstSecond = 1'500'000'000;

}  // namespace

std::string EventLoad::UserId(uint64_t user) {
  return absl::StrCat("user-", user);
}

EventLoad::EventLoad(const Client& client, const Shape& shape, size_t window)
    : shape_(shape),
      window_(window),
      call_(client.ingest().StreamEvents(&context_)),
      reader_([this] { ReadLoop(); }) {
  batch_.mutable_append()->set_source("bench");
  for (size_t i = 0; i < kBatchEvents; ++i)
    batch_.mutable_append()->add_events();
}

EventLoad::~EventLoad() {
  call_->WritesDone();
  reader_.join();
  call_->Finish().ok();
}

void EventLoad::ReadLoop() {
  v1::StreamEventsResponse response;
  while (call_->Read(&response)) {
    absl::MutexLock lock(&mutex_);
    --unacknowledged_;
    if (response.error_code() != 0) {
      broken_.Update(
          absl::Status(static_cast<absl::StatusCode>(response.error_code()),
                       response.error_message()));
    }
  }
  absl::MutexLock lock(&mutex_);
  if (unacknowledged_ > 0) {
    broken_.Update(absl::UnavailableError("the stream broke"));
  }
}

absl::Status EventLoad::AwaitAtMost(size_t batches) {
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return unacknowledged_ <= batches || !broken_.ok();
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&ready));
  return broken_;
}

absl::Status EventLoad::SendBatch() {
  // Fields are set in place: a message that is sent again allocates nothing.
  for (v1::UserEvent& event : *batch_.mutable_append()->mutable_events()) {
    ++sequence_;
    event.set_user_id(UserId(random_() % shape_.users));
    event.set_sequence(sequence_);
    event.mutable_event()->set_item_id(1 + random_() % shape_.items);
    event.mutable_event()->mutable_time()->set_seconds(
        kFirstSecond + static_cast<int64_t>(sequence_ / 100));
  }
  if (absl::Status s = AwaitAtMost(window_ - 1); !s.ok()) return s;
  {
    absl::MutexLock lock(&mutex_);
    ++unacknowledged_;
  }
  return call_->Write(batch_) ? absl::OkStatus()
                              : absl::UnavailableError("the stream broke");
}

absl::Status EventLoad::SendAll(uint64_t num_events) {
  for (uint64_t sent = 0; sent < num_events; sent += kBatchEvents) {
    if (absl::Status s = SendBatch(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status EventLoad::SendAtRate(double events_per_second,
                                   absl::Duration duration) {
  const absl::Time begin = absl::Now();
  const absl::Duration period = absl::Seconds(kBatchEvents / events_per_second);
  for (absl::Time due = begin; due < begin + duration; due += period) {
    absl::SleepFor(due - absl::Now());
    if (absl::Status s = SendBatch(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status EventLoad::WaitAcknowledged() { return AwaitAtMost(0); }

}  // namespace qlarank::bench
