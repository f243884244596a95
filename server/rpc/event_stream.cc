#include "server/rpc/event_stream.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

EventStream::EventStream(IngestPipeline& pipeline, Drain& drain)
    : pipeline_(pipeline), drain_(drain) {}

EventStream::~EventStream() { drain_.Remove(*this); }

void EventStream::Start() {
  if (!drain_.Add(*this)) OnDrain();
  Advance();
}

void EventStream::OnDrain() {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
  }
  Advance();
}

void EventStream::OnReadDone(bool ok) {
  Batch* batch = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (ok) {
      batch = incoming_.get();
      batches_.push_back(std::move(incoming_));
    } else {
      read_all_ = true;
      reading_ = false;
    }
  }
  if (batch != nullptr) {
    batch->response.set_batch_id(batch->request.batch_id());
    pipeline_.Append(
        batch->request.append(), absl::Now(), IngestPipeline::OnFull::kQueue,
        [this, batch](absl::StatusOr<v1::AppendEventsResponse> result) {
          Answer(*batch, std::move(result));
        });
    // Only now may the next one be read: batches enter the pipeline in order.
    absl::MutexLock lock(&mutex_);
    reading_ = false;
  }
  Advance();
}

void EventStream::Answer(Batch& batch,
                         absl::StatusOr<v1::AppendEventsResponse> result) {
  if (result.ok()) {
    *batch.response.mutable_result() = *std::move(result);
  } else {
    batch.response.set_error_code(static_cast<int>(result.status().code()));
    batch.response.set_error_message(std::string(result.status().message()));
  }
  {
    absl::MutexLock lock(&mutex_);
    batch.answered = true;
  }
  Advance();
}

void EventStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ |= !ok;
    batches_.pop_front();
  }
  Advance();
}

void EventStream::MaybeWrite() {
  while (broken_ && !batches_.empty() && batches_.front()->answered) {
    batches_.pop_front();
  }
  if (batches_.empty() || !batches_.front()->answered) return;
  writing_ = true;
  StartWrite(&batches_.front()->response);
}

void EventStream::MaybeRead() {
  // With nothing in flight a batch is taken even by full queues: somebody has
  // to notice when they are not full any more.
  if (batches_.size() >= kMaxInFlight) return;
  if (pipeline_.full() && !batches_.empty()) return;
  reading_ = true;
  incoming_ = std::make_unique<Batch>();
  StartRead(&incoming_->request);
}

void EventStream::Advance() {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (!writing_) MaybeWrite();
    if (!reading_ && !read_all_ && !draining_) MaybeRead();
    const bool at_end = read_all_ || draining_;
    if (!at_end || !batches_.empty()) return;
    finished_ = true;
  }
  // A read that is still open, when draining, ends with this.
  Finish(drain_.draining() ? DrainingStatus() : grpc::Status::OK);
}

}  // namespace qlarank
