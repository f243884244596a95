#include "cli/event_stream.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace qlarank {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

// Whether sending the same again may help. We cancel nothing ourselves:
// CANCELLED is a server that went away while the stream was being opened.
bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsCancelled(status);
}

// Why an event was refused, as its details have it.
google::rpc::ErrorInfo InfoOf(const v1::Refusal& refusal) {
  google::rpc::ErrorInfo info;
  for (const google::protobuf::Any& detail : refusal.status().details()) {
    if (detail.UnpackTo(&info)) return info;
  }
  return info;
}

bool IsForGood(const google::rpc::ErrorInfo& info, const absl::Status& status) {
  constexpr absl::string_view kForGood[] = {"INVALID_EVENT", "TOO_MANY_SOURCES",
                                            "DAMAGED_LOG"};
  constexpr absl::string_view kForNow[] = {"HELD_BACK", "NOT_WRITTEN",
                                           "QUEUE_FULL", "NOT_WANTED"};
  if (absl::c_linear_search(kForGood, info.reason())) return true;
  if (absl::c_linear_search(kForNow, info.reason())) return false;
  return !IsRetryable(status) && !absl::IsAborted(status) &&
         !absl::IsDeadlineExceeded(status);
}

// The message of one among very many refusals is left out: then the reason.
absl::Status StatusOf(const v1::Refusal& refusal,
                      const google::rpc::ErrorInfo& info) {
  const std::string& message = refusal.status().message();
  return absl::Status(static_cast<absl::StatusCode>(refusal.status().code()),
                      message.empty() ? info.reason() : message);
}

bool HasEvent(const v1::AppendEventsRequest& request,
              const v1::UserEvent& wanted) {
  return absl::c_any_of(request.events(), [&](const v1::UserEvent& event) {
    return event.user_id() == wanted.user_id() &&
           event.sequence() == wanted.sequence();
  });
}

// The position of what holds `event` back. If it is in no batch of ours, an
// earlier run was refused it, and it is not in the file any more: sent so, as
// no event at all, it is refused for good and can be given up.
std::optional<v1::UserEvent> HeldBackBy(const google::rpc::ErrorInfo& info,
                                        const v1::UserEvent& event) {
  uint64_t sequence = 0;
  auto found = info.metadata().find("sequence");
  if (info.reason() != "HELD_BACK" || found == info.metadata().end() ||
      !absl::SimpleAtoi(found->second, &sequence)) {
    return std::nullopt;
  }
  v1::UserEvent earlier;
  earlier.set_user_id(event.user_id());
  earlier.set_sequence(sequence);
  return earlier;
}

// Every event must have an outcome: one that is told to be neither durable nor
// refused would be lost.
absl::Status CheckOutcomes(const v1::AppendEventsResponse& result,
                           uint64_t sent) {
  const uint64_t durable = result.applied() + result.duplicates();
  const auto refused = static_cast<uint64_t>(result.refusals_size());
  const bool in_range =
      absl::c_all_of(result.refusals(), [&](const v1::Refusal& refusal) {
        return refusal.index() < sent;
      });
  if (durable + refused == sent && in_range) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the server tells of ", durable, " events that they are durable and of ",
      refused, " that they are refused, but ", sent, " were sent"));
}

}  // namespace

EventStream::EventStream(const Client& client, Options options)
    : client_(client),
      options_(std::move(options)),
      lanes_(std::max<size_t>(1, options_.lanes)),
      last_acknowledgement_(absl::Now()),
      next_pause_(kFirstPause) {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].filling = EmptyBatch(i, !options_.stop_at_refused);
  }
}

void EventStream::Batch::Add(Item item) {
  bytes += item.event.ByteSizeLong();
  lines.push_back(item.line);
  texts.push_back(std::move(item.text));
  *request.mutable_append()->add_events() = std::move(item.event);
}

EventStream::Item EventStream::Batch::Take(size_t index) {
  return {std::move(*request.mutable_append()->mutable_events(
              static_cast<int>(index))),
          lines[index], std::move(texts[index])};
}

EventStream::Batch EventStream::EmptyBatch(uint64_t lane,
                                           bool give_up_refused) const {
  Batch batch;
  batch.request.set_batch_id(lane);
  batch.request.mutable_append()->set_source(options_.source);
  batch.request.mutable_append()->set_give_up_refused(give_up_refused);
  return batch;
}

EventStream::~EventStream() {
  if (call_ == nullptr) return;
  context_->TryCancel();
  v1::StreamEventsResponse ignored;
  while (call_->Read(&ignored)) {
  }
  call_->Finish();
}

absl::Status EventStream::Add(Item item) {
  Lane& lane = lanes_[absl::HashOf(item.event.user_id()) % lanes_.size()];
  lane.filling.Add(std::move(item));
  if (lane.filling.size() < options_.batch_events &&
      lane.filling.bytes < options_.batch_bytes) {
    return absl::OkStatus();
  }
  return Queue(lane);
}

absl::Status EventStream::Finish() {
  for (Lane& lane : lanes_) {
    if (lane.filling.size() == 0) continue;
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
  lane.batches.push_back(std::exchange(
      lane.filling, EmptyBatch(lane.filling.request.batch_id(),
                               !options_.stop_at_refused)));
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
    if (!call_->Write(lane.batches.front().request)) return false;
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
  if (response.error_code() == 0 || !response.result().refusals().empty()) {
    return TakeOutcomes(lane, response.result());
  }
  // Refused as a whole: nobody looked at its events.
  absl::Status refusal(static_cast<absl::StatusCode>(response.error_code()),
                       response.error_message());
  if (!IsRetryable(refusal)) return refusal;
  retry_reason_ = refusal;
  ++totals_.resent_batches;
  return absl::OkStatus();
}

absl::Status EventStream::TakeOutcomes(Lane& lane,
                                       const v1::AppendEventsResponse& result) {
  Batch batch = std::move(lane.batches.front());
  lane.batches.pop_front();
  if (absl::Status s = CheckOutcomes(result, batch.size()); !s.ok()) return s;
  totals_.applied += result.applied();
  totals_.duplicates += result.duplicates();
  bool progress = result.applied() + result.duplicates() > 0;

  const v1::AppendEventsRequest& sent = batch.request.append();
  Batch again = EmptyBatch(batch.request.batch_id(), sent.give_up_refused());
  Batch given_up = EmptyBatch(batch.request.batch_id(), true);
  for (const v1::Refusal& refusal : result.refusals()) {
    const v1::UserEvent& event = sent.events(static_cast<int>(refusal.index()));
    const google::rpc::ErrorInfo info = InfoOf(refusal);
    const absl::Status status = StatusOf(refusal, info);
    if (!IsForGood(info, status)) {
      retry_reason_ = status;
      std::optional<v1::UserEvent> missing = HeldBackBy(info, event);
      if (missing && !HasEvent(sent, *missing) &&
          !HasEvent(given_up.request.append(), *missing)) {
        given_up.Add({*std::move(missing)});
      }
      again.Add(batch.Take(refusal.index()));
      continue;
    }
    progress = true;
    if (!event.has_event()) continue;  // was sent to be given up
    absl::Status s = GiveUp(batch.Take(refusal.index()), status);
    if (!s.ok()) return s;
  }
  if (again.size() > 0) {
    lane.batches.push_front(std::move(again));
    ++totals_.resent_batches;
  }
  if (given_up.size() > 0) lane.batches.push_front(std::move(given_up));
  if (progress) {
    last_acknowledgement_ = absl::Now();
    next_pause_ = kFirstPause;
  }
  return absl::OkStatus();
}

absl::Status EventStream::GiveUp(Item item, const absl::Status& refusal) {
  if (options_.stop_at_refused) {
    refused_ = std::move(item);
    return refusal;
  }
  ++totals_.refused;
  if (!options_.on_refused) return absl::OkStatus();
  return options_.on_refused(item, refusal);
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
