#include "tests/crash/source_client.h"

#include <deque>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"

namespace qlarank::testing {
namespace {

constexpr size_t kMaxInFlight = 8;
// So that time goes into crashes rather than into ever longer logs.
constexpr absl::Duration kPause = absl::Milliseconds(3);

// Every event of the batch was either applied or a duplicate.
std::string Settle(const v1::AppendEventsRequest& batch,
                   const v1::AppendEventsResponse& response, Ledger& ledger) {
  if (response.applied() + response.duplicates() !=
      static_cast<uint64_t>(batch.events_size())) {
    return absl::StrCat("of ", batch.events_size(), " events ",
                        response.applied(), " were applied and ",
                        response.duplicates(), " duplicates");
  }
  ledger.Acknowledge(batch);
  return "";
}

// What is wrong with how a call ended; "" when it was answered, or the server
// stopped or vanished. Anything else would end a source before its time, and
// the test would test little.
std::string Wrong(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      return "";
    default:
      return absl::StrCat("an error ", static_cast<int>(status.error_code()),
                          ": ", status.error_message());
  }
}

// Erases the user who is due, if any.
grpc::Status EraseIfDue(v1::StateService::Stub& states, Ledger& ledger,
                        absl::BitGenRef random) {
  const std::optional<std::string> user_id = ledger.NextErasure(random);
  if (!user_id.has_value()) return grpc::Status::OK;
  grpc::ClientContext context;
  v1::DeleteUserRequest request;
  request.set_user_id(*user_id);
  v1::DeleteUserResponse response;
  const grpc::Status status = states.DeleteUser(&context, request, &response);
  if (status.ok()) ledger.Erased(*user_id);
  return status;
}

// Now and then marks the source as far as it is complete. With another note each
// time, so that there is something to write.
grpc::Status MarkNowAndThen(v1::IngestService::Stub& stub, Ledger& ledger,
                            absl::BitGenRef random) {
  const uint64_t through = ledger.CompleteThrough();
  if (through == 0 || !absl::Bernoulli(random, 0.05)) return grpc::Status::OK;
  grpc::ClientContext context;
  v1::MarkSourceRequest request;
  request.set_source(ledger.source());
  request.set_complete_through(through);
  request.set_note(absl::StrCat(absl::Uniform<uint32_t>(random)));
  v1::MarkSourceResponse response;
  const grpc::Status status = stub.MarkSource(&context, request, &response);
  if (status.ok()) ledger.Marked(response.complete_through());
  return status;
}

// The mark that was acknowledged, or a later one whose answer was lost.
std::string CheckMark(v1::IngestService::Stub& stub, const Ledger& ledger) {
  grpc::ClientContext context;
  v1::GetSourceRequest request;
  request.set_source(ledger.source());
  v1::GetSourceResponse response;
  const grpc::Status status = stub.GetSource(&context, request, &response);
  if (!status.ok()) return Wrong(status);
  if (response.complete_through() >= ledger.marked()) return "";
  return absl::StrCat("the mark of ", ledger.source(), " went back from ",
                      ledger.marked(), " to ", response.complete_through());
}

std::string SendOneByOne(v1::IngestService::Stub& stub,
                         v1::StateService::Stub& states, Ledger& ledger,
                         absl::BitGenRef random,
                         const std::atomic<bool>& stop) {
  while (!stop) {
    grpc::Status status = EraseIfDue(states, ledger, random);
    if (status.ok()) status = MarkNowAndThen(stub, ledger, random);
    if (!status.ok()) return Wrong(status);
    const v1::AppendEventsRequest batch = ledger.NextBatch(random);
    grpc::ClientContext context;
    v1::AppendEventsResponse response;
    status = stub.AppendEvents(&context, batch, &response);
    if (!status.ok()) return Wrong(status);
    if (std::string error = Settle(batch, response, ledger); !error.empty()) {
      return error;
    }
    absl::SleepFor(kPause);
  }
  return "";
}

std::string SendStream(v1::IngestService::Stub& stub, Ledger& ledger,
                       absl::BitGenRef random, const std::atomic<bool>& stop) {
  grpc::ClientContext context;
  const auto stream = stub.StreamEvents(&context);
  std::deque<v1::AppendEventsRequest> in_flight;
  std::string error;
  const auto read = [&] {
    v1::StreamEventsResponse response;
    if (!stream->Read(&response)) return false;
    if (response.error_code() != 0) {
      error = response.error_message();
    } else {
      error = Settle(in_flight.front(), response.result(), ledger);
    }
    in_flight.pop_front();
    return error.empty();
  };
  while (!stop) {
    v1::StreamEventsRequest request;
    *request.mutable_append() = ledger.NextBatch(random);
    if (!stream->Write(request)) break;
    in_flight.push_back(request.append());
    if (in_flight.size() >= kMaxInFlight && !read()) break;
    if (!MarkNowAndThen(stub, ledger, random).ok()) break;
    absl::SleepFor(kPause);
  }
  stream->WritesDone();
  while (error.empty() && !in_flight.empty() && read()) {
  }
  if (!error.empty()) context.TryCancel();
  const grpc::Status status = stream->Finish();
  return error.empty() ? Wrong(status) : error;
}

}  // namespace

std::string SendUntilBroken(const Channels& channels, Transport transport,
                            Ledger& ledger, absl::BitGenRef random,
                            const std::atomic<bool>& stop) {
  const auto stub = v1::IngestService::NewStub(channels.main);
  const auto states = v1::StateService::NewStub(channels.admin);
  std::string error = CheckMark(*stub, ledger);
  if (error.empty()) {
    error = transport == Transport::kUnary
                ? SendOneByOne(*stub, *states, ledger, random, stop)
                : SendStream(*stub, ledger, random, stop);
  }
  ledger.Rewind(random);
  return error;
}

}  // namespace qlarank::testing
