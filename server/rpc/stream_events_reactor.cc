#include "server/rpc/stream_events_reactor.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

StreamEventsReactor::StreamEventsReactor(IngestPipeline& pipeline, Drain& drain)
    : pipeline_(pipeline), drain_(drain) {}

StreamEventsReactor::~StreamEventsReactor() { drain_.Remove(*this); }

void StreamEventsReactor::Start() {
  if (!drain_.Add(*this)) return OnDrain();
  absl::MutexLock lock(&mutex_);
  Advance();  // not the end: it begins to read
}

void StreamEventsReactor::OnDrain() {
  bool ended;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    ended = Advance();
  }
  if (ended) End();
}

void StreamEventsReactor::OnReadDone(bool ok) {
  Batch* batch = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    // A read that was open when the call was finished may still bring a batch:
    // nobody would answer it.
    if (ok && !finished_) {
      batch = incoming_.get();
      batches_.push_back(std::move(incoming_));
    } else {
      read_all_ = true;
    }
  }
  if (batch != nullptr) {
    batch->response.set_batch_id(batch->request.batch_id());
    pipeline_.Append(
        batch->request.append(), absl::Now(), IngestPipeline::OnFull::kQueue,
        [this, batch](absl::StatusOr<v1::AppendEventsResponse> result) {
          Answer(*batch, std::move(result));
        });
  }
  bool ended;
  {
    // Only now may the next one be read: batches enter the pipeline in order.
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    ended = Advance();
  }
  if (ended) End();
}

void StreamEventsReactor::Answer(
    Batch& batch, absl::StatusOr<v1::AppendEventsResponse> result) {
  if (result.ok()) {
    *batch.response.mutable_result() = *std::move(result);
  } else {
    batch.response.set_error_code(static_cast<int>(result.status().code()));
    batch.response.set_error_message(std::string(result.status().message()));
  }
  bool ended;
  {
    absl::MutexLock lock(&mutex_);
    batch.answered = true;
    ended = Advance();
  }
  if (ended) End();
}

void StreamEventsReactor::OnWriteDone(bool ok) {
  bool ended;
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ |= !ok;
    batches_.pop_front();
    ended = Advance();
  }
  if (ended) End();
}

void StreamEventsReactor::MaybeWrite() {
  while (broken_ && !batches_.empty() && batches_.front()->answered) {
    batches_.pop_front();
  }
  if (batches_.empty() || !batches_.front()->answered) return;
  writing_ = true;
  StartWrite(&batches_.front()->response);
}

void StreamEventsReactor::MaybeRead() {
  // With nothing in flight a batch is taken even by full queues: somebody has
  // to notice when they are not full any more.
  if (batches_.size() >= kMaxInFlight) return;
  if (pipeline_.full() && !batches_.empty()) return;
  reading_ = true;
  incoming_ = std::make_unique<Batch>();
  StartRead(&incoming_->request);
}

bool StreamEventsReactor::Advance() {
  if (finished_) return false;
  if (!writing_) MaybeWrite();
  if (!reading_ && !read_all_ && !draining_) MaybeRead();
  const bool at_end = read_all_ || draining_;
  finished_ = at_end && batches_.empty();
  return finished_;
}

void StreamEventsReactor::End() {
  // A read that is still open, when draining, ends with this.
  Finish(drain_.draining() ? DrainingStatus() : grpc::Status::OK);
}

}  // namespace qlarank
