#include "server/rpc/stream_events_reactor.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/item_keys.h"
#include "server/rpc/request_parsing.h"
#include "server/rpc/rpc_status.h"

namespace qlarank {

StreamEventsReactor::StreamEventsReactor(
    const grpc::CallbackServerContext& context, IngestPipeline& pipeline,
    Drain& drain, IngestPipeline::Caller caller, size_t window_bytes)
    : context_(context),
      pipeline_(pipeline),
      drain_(drain),
      caller_{std::move(caller.client), &cancelled_, caller.deadline},
      window_bytes_(window_bytes) {}

StreamEventsReactor::~StreamEventsReactor() { drain_.Remove(*this); }

void StreamEventsReactor::Start() {
  if (!drain_.Add(*this)) return OnDrain();
  RoomReturned();  // or is there: it begins to read
}

void StreamEventsReactor::OnDrain() {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    next = Advance();
  }
  if (next != Next::kNothing) Do(next);
}

void StreamEventsReactor::OnReadDone(bool ok) {
  std::unique_ptr<Batch> read;
  {
    absl::MutexLock lock(&mutex_);
    read = std::move(incoming_);
  }
  // gRPC may say so only after this that the client gave up.
  if (!ok && context_.IsCancelled()) cancelled_ = true;
  grpc::Status parsed;
  if (ok) {
    read->bytes = read->received.Length();
    parsed = ParseRequest("StreamEvents", read->received, read->request);
    ResolveItemKeys(read->request);
  }
  Batch* batch = nullptr;
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    // A read that was open when the call was finished may still bring a batch:
    // nobody would answer it.
    if (ok && parsed.ok() && !finished_) {
      batch = read.get();
      bytes_ += batch->bytes;
      batches_.push_back(std::move(read));
      admitting_ = true;
    } else {
      read_all_ = true;
      unparsable_ = parsed;
      reading_ = false;
      next = Advance();
    }
  }
  if (batch == nullptr) return Do(next);
  batch->response.set_batch_id(batch->request.batch_id());
  pipeline_.Append(
      batch->request.append(), absl::Now(), caller_,
      IngestPipeline::OnFull::kWait,
      [this, batch](AppendResult result) { Answer(*batch, std::move(result)); },
      [this] { Admitted(); });
}

void StreamEventsReactor::Admitted() {
  Next next;
  {
    // Only now may the next one be read: batches enter the pipeline in order.
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    admitting_ = false;
    next = Advance();
  }
  if (next != Next::kNothing) Do(next);
}

void StreamEventsReactor::RoomReturned() {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    waiting_ = false;
    next = Advance();
  }
  if (next != Next::kNothing) Do(next);
}

void StreamEventsReactor::Answer(Batch& batch, AppendResult result) {
  *batch.response.mutable_result() = std::move(result.response);
  batch.response.set_error_code(static_cast<int>(result.status.code()));
  batch.response.set_error_message(std::string(result.status.message()));
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    batch.answered = true;
    next = Advance();
  }
  if (next != Next::kNothing) Do(next);
}

void StreamEventsReactor::OnWriteDone(bool ok) {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ |= !ok;
    PopFront();
    next = Advance();
  }
  if (next != Next::kNothing) Do(next);
}

void StreamEventsReactor::MaybeWrite() {
  while (broken_ && !batches_.empty() && batches_.front()->answered) {
    PopFront();
  }
  if (batches_.empty() || !batches_.front()->answered) return;
  writing_ = true;
  StartWrite(&batches_.front()->response);
}

void StreamEventsReactor::PopFront() {
  bytes_ -= batches_.front()->bytes;
  batches_.pop_front();
}

void StreamEventsReactor::MaybeRead() {
  if (batches_.size() >= kMaxInFlight) return;
  if (bytes_ >= window_bytes_ && !batches_.empty()) return;
  if (pipeline_.full(caller_.client)) {
    waiting_ = true;
    return;
  }
  reading_ = true;
  incoming_ = std::make_unique<Batch>();
  StartRead(&incoming_->received);
}

StreamEventsReactor::Next StreamEventsReactor::Advance() {
  if (finished_) return Next::kNothing;
  if (!writing_) MaybeWrite();
  const bool at_end = read_all_ || draining_;
  if (!reading_ && !waiting_ && !at_end) {
    MaybeRead();
    if (waiting_) return Next::kWaitForRoom;
  }
  finished_ = at_end && batches_.empty() && !admitting_ && !waiting_;
  return finished_ ? Next::kEnd : Next::kNothing;
}

void StreamEventsReactor::Do(Next next) {
  if (next == Next::kWaitForRoom) {
    pipeline_.WhenRoom(caller_.client, [this] { RoomReturned(); });
  } else if (next == Next::kEnd) {
    // A read that is still open, when draining, ends with this.
    Finish(EndStatus());
  }
}

grpc::Status StreamEventsReactor::EndStatus() {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) {  // only we see what it is then
    return absl::Now() < caller_.deadline
               ? grpc::Status::CANCELLED
               : grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "");
  }
  if (!unparsable_.ok()) return unparsable_;
  return drain_.draining() ? DrainingStatus() : grpc::Status::OK;
}

}  // namespace qlarank
