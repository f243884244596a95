#include "cli/event_stream.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

// Whether sending the same again may help. We cancel nothing ourselves:
// CANCELLED is a server that went away while the stream was being opened.
bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status) || absl::IsCancelled(status);
}

}  // namespace

EventStream::EventStream(const Client& client, Options options)
    : client_(client),
      options_(std::move(options)),
      lanes_(std::max<size_t>(1, options_.lanes)),
      last_acknowledgement_(absl::Now()),
      next_pause_(kFirstPause) {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].filling.set_batch_id(i);
    lanes_[i].filling.mutable_append()->set_source(options_.source);
    lanes_[i].filling.mutable_append()->set_give_up_refused(
        options_.skip_invalid);
  }
}

EventStream::~EventStream() {
  if (call_ == nullptr) return;
  context_->TryCancel();
  v1::StreamEventsResponse ignored;
  while (call_->Read(&ignored)) {
  }
  call_->Finish();
}

absl::Status EventStream::Add(v1::UserEvent event) {
  Lane& lane = lanes_[absl::HashOf(event.user_id()) % lanes_.size()];
  auto* events = lane.filling.mutable_append()->mutable_events();
  *events->Add() = std::move(event);
  if (static_cast<size_t>(events->size()) < options_.batch_events) {
    return absl::OkStatus();
  }
  return Queue(lane);
}

absl::Status EventStream::Finish() {
  for (Lane& lane : lanes_) {
    if (lane.filling.append().events().empty()) continue;
    if (absl::Status s = Queue(lane); !s.ok()) return s;
  }
  auto unacknowledged = [](const Lane& lane) { return !lane.batches.empty(); };
  while (std::any_of(lanes_.begin(), lanes_.end(), unacknowledged)) {
    if (absl::Status s = ReadOne(); !s.ok()) return s;
  }
  // All is durable: how the stream ends does not matter any more.
  if (call_ != nullptr) {
    call_->WritesDone();
    v1::StreamEventsResponse none;
    while (call_->Read(&none)) {
    }
    call_->Finish();
    call_.reset();
  }
  return absl::OkStatus();
}

void EventStream::Connect() {
  context_ = std::make_unique<grpc::ClientContext>();
  client_.Authorize(*context_);
  call_ = client_.ingest().StreamEvents(context_.get());
}

absl::Status EventStream::Queue(Lane& lane) {
  while (!lane.batches.empty()) {
    if (absl::Status s = ReadOne(); !s.ok()) return s;
  }
  lane.batches.push_back(lane.filling);
  lane.filling.mutable_append()->clear_events();
  return SendIdleLanes();
}

absl::Status EventStream::SendIdleLanes() {
  if (call_ == nullptr) Connect();
  for (;;) {
    if (!retry_reason_.ok()) {
      absl::Status reason = std::exchange(retry_reason_, absl::OkStatus());
      if (absl::Status s = Pause(reason); !s.ok()) return s;
    }
    if (WriteIdleLanes()) return absl::OkStatus();
    if (absl::Status s = Restart(); !s.ok()) return s;
  }
}

bool EventStream::WriteIdleLanes() {
  for (Lane& lane : lanes_) {
    if (lane.batches.empty() || lane.in_flight) continue;
    lane.in_flight = true;
    if (!call_->Write(lane.batches.front())) return false;
  }
  return true;
}

absl::Status EventStream::ReadOne() {
  v1::StreamEventsResponse response;
  absl::Status status = call_->Read(&response) ? Take(response) : Restart();
  if (!status.ok()) return status;
  return SendIdleLanes();
}

absl::Status EventStream::Take(const v1::StreamEventsResponse& response) {
  if (response.batch_id() >= lanes_.size() ||
      !lanes_[response.batch_id()].in_flight) {
    return absl::InternalError(absl::StrCat("the server acknowledged batch ",
                                            response.batch_id(),
                                            ", which is not in flight"));
  }
  Lane& lane = lanes_[response.batch_id()];
  lane.in_flight = false;
  if (response.error_code() != 0) {
    return TakeRefusal(
        lane, absl::Status(static_cast<absl::StatusCode>(response.error_code()),
                           response.error_message()));
  }
  totals_.applied += response.result().applied();
  totals_.duplicates += response.result().duplicates();
  last_acknowledgement_ = absl::Now();
  next_pause_ = kFirstPause;
  if (response.result().refusals().empty()) {
    lane.batches.pop_front();
    return absl::OkStatus();
  }
  return KeepRefused(lane, response.result());
}

absl::Status EventStream::KeepRefused(Lane& lane,
                                      const v1::AppendEventsResponse& result) {
  v1::AppendEventsRequest& append = *lane.batches.front().mutable_append();
  google::protobuf::RepeatedPtrField<v1::UserEvent> kept;
  for (const v1::Refusal& refusal : result.refusals()) {
    *kept.Add() = append.events(static_cast<int>(refusal.index()));
  }
  append.mutable_events()->Swap(&kept);
  const auto& first = result.refusals(0).status();
  return TakeRefusal(lane,
                     absl::Status(static_cast<absl::StatusCode>(first.code()),
                                  first.message()));
}

absl::Status EventStream::TakeRefusal(Lane& lane, const absl::Status& refusal) {
  if (IsRetryable(refusal)) {
    retry_reason_ = refusal;
    ++totals_.resent_batches;
    return absl::OkStatus();
  }
  if (absl::IsInvalidArgument(refusal) && options_.skip_invalid) {
    SplitOrSkip(lane, refusal);
    return absl::OkStatus();
  }
  return refusal;
}

void EventStream::SplitOrSkip(Lane& lane, const absl::Status& refusal) {
  v1::StreamEventsRequest refused = std::move(lane.batches.front());
  lane.batches.pop_front();
  auto& events = *refused.mutable_append()->mutable_events();
  if (events.size() == 1) {
    ++totals_.skipped;
    if (options_.on_skipped) options_.on_skipped(events[0], refusal);
    return;
  }
  v1::StreamEventsRequest second = refused;
  int half = events.size() / 2;
  events.DeleteSubrange(half, events.size() - half);
  second.mutable_append()->mutable_events()->DeleteSubrange(0, half);
  lane.batches.push_front(std::move(second));
  lane.batches.push_front(std::move(refused));
}

absl::Status EventStream::Restart() {
  v1::StreamEventsResponse response;
  while (call_->Read(&response)) {
    if (absl::Status s = Take(response); !s.ok()) return s;
  }
  absl::Status status = ToAbslStatus(call_->Finish());
  call_.reset();
  if (status.ok())
    status = absl::UnavailableError("the server ended the stream");
  if (!IsRetryable(status)) return status;
  for (Lane& lane : lanes_) {
    totals_.resent_batches += lane.in_flight ? 1 : 0;
    lane.in_flight = false;
  }
  retry_reason_ = absl::OkStatus();  // one pause is enough
  if (absl::Status s = Pause(status); !s.ok()) return s;
  Connect();
  return absl::OkStatus();
}

absl::Status EventStream::Pause(const absl::Status& reason) {
  if (absl::Now() - last_acknowledgement_ + next_pause_ > options_.retry_for) {
    return absl::UnavailableError(absl::StrCat(
        "no event was acknowledged for ",
        absl::FormatDuration(options_.retry_for), ": ", reason.message()));
  }
  if (options_.on_retry) options_.on_retry(reason, next_pause_);
  options_.sleep(next_pause_);
  next_pause_ = std::min(2 * next_pause_, kLongestPause);
  return absl::OkStatus();
}

}  // namespace qlarank
