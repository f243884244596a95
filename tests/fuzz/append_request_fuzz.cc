// Any event of a batch is refused by naming what is wrong, and then it is not
// there; or it is durable, counted once however often it comes, and the users'
// states are the fold of their logs, bit for bit.
#include <set>
#include <string>

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_server.h"
#include "tests/testing/fresh_fold.h"

namespace qlarank::fuzz {
namespace {

std::set<std::string> UsersOf(const v1::AppendEventsRequest& request) {
  std::set<std::string> users;
  for (const v1::UserEvent& event : request.events()) {
    users.insert(event.user_id());
  }
  return users;
}

void CheckState(const std::string& user_id) {
  SmallServer& server = SmallServer::Get();
  const auto head = server.store().GetHead(user_id);
  Check(head.ok(), "a head can be read");
  v1::GetUserStateRequest request;
  request.set_user_id(user_id);
  request.set_include_state(true);
  request.set_min_event_count(head->last_sequence);
  v1::GetUserStateResponse response;
  Check(server.Ask(request, response).ok(), "a state can be read");
  const auto folded =
      testing::FreshFold(server.engine(), server.store(), user_id);
  Check(folded.ok() && response.serialized_state() == *folded,
        "a state is the fold of its log");
  Check(server.engine().ParseState(*folded).ok(), "a state can be read again");
}

// Of what the log has: a user whose id is impossible has no head.
uint64_t CountLogged(const v1::AppendEventsRequest& request) {
  uint64_t logged = 0;
  for (const std::string& user_id : UsersOf(request)) {
    const auto head = SmallServer::Get().store().GetHead(user_id);
    if (!head.ok()) {
      Check(absl::IsInvalidArgument(head.status()), "a head can be read");
      continue;
    }
    logged += head->last_sequence;
    if (head->incarnation != 0) CheckState(user_id);
  }
  return logged;
}

// One is held back behind another that is refused.
void CheckRefusals(const v1::AppendEventsResponse& response) {
  for (const v1::Refusal& refusal : response.refusals()) {
    const absl::Status status(
        static_cast<absl::StatusCode>(refusal.status().code()),
        refusal.status().message());
    Check(response.outcomes(refusal.index()) == v1::EVENT_OUTCOME_REFUSED,
          "outcomes say what is refused");
    if (!absl::IsAborted(status)) CheckRefusal(status);
  }
}

void CheckApplied(const v1::AppendEventsRequest& request,
                  const v1::AppendEventsResponse& response) {
  Check(response.applied() + response.duplicates() + response.refusals_size() ==
            static_cast<uint64_t>(request.events_size()),
        "every event is applied, a duplicate or refused");
  Check(response.outcomes().empty() ||
            response.outcomes_size() == request.events_size(),
        "every event has an outcome, or all are applied");
  CheckRefusals(response);
  Check(CountLogged(request) == response.applied(),
        "what is applied is in the log");
}

// Returns how many events were applied after all: those that were held back
// behind one that the batch has again, right this time.
uint64_t CheckRetry(const v1::AppendEventsRequest& request,
                    const v1::AppendEventsResponse& response,
                    IngestPipeline::OnFull on_full) {
  const auto again = SmallServer::Get().Append(request, on_full);
  Check(again.ok() &&
            again->duplicates() >= response.applied() + response.duplicates() &&
            again->refusals_size() <= response.refusals_size(),
        "what comes again is a duplicate, or was refused");
  return again->applied();
}

// Returns how many events there were of the batch's users.
uint64_t DeleteAll(const v1::AppendEventsRequest& request) {
  uint64_t removed = 0;
  for (const std::string& user_id : UsersOf(request)) {
    const auto deleted = SmallServer::Get().Delete(user_id);
    if (deleted.ok()) {
      removed += *deleted;
    } else {
      CheckRefusal(deleted.status());
    }
  }
  return removed;
}

}  // namespace

std::vector<std::string> Seeds() {
  const Bundle& bundle = SmallServer::Get().bundle();
  std::vector<std::string> seeds;
  const auto add = [&](const v1::AppendEventsRequest& append) {
    v1::StreamEventsRequest request;
    request.set_batch_id(seeds.size());
    *request.mutable_append() = append;
    seeds.push_back(request.SerializeAsString());
  };
  add(testing::MakeAppend(bundle, "a", 1, 3));
  v1::AppendEventsRequest mixed = testing::MakeAppend(bundle, "a", 1, 2);
  testing::AddEvent(bundle, "b", 1, mixed);
  testing::AddEvent(bundle, "a", 3, mixed);
  testing::AddEvent(bundle, "a", 2, mixed);
  add(mixed);
  v1::AppendEventsRequest late = testing::MakeAppend(bundle, "c", 1, 4);
  late.mutable_events(3)->mutable_event()->mutable_time()->set_seconds(0);
  add(late);
  add(testing::MakeAppend(bundle, "d", 1, 9));
  for (const float feature : {1e9f, -3e38f}) {
    v1::AppendEventsRequest great = testing::MakeAppend(bundle, "e", 1, 3);
    great.mutable_events(1)->mutable_event()->set_features(0, feature);
    add(great);
  }
  return seeds;
}

}  // namespace qlarank::fuzz

// A batch of StreamEvents holds what AppendEvents takes; odd batches go the
// stream's way into the pipeline, even ones the unary call's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  using OnFull = qlarank::IngestPipeline::OnFull;
  fuzz::SmallServer& server = fuzz::SmallServer::Get();
  qlarank::v1::StreamEventsRequest request;
  if (!fuzz::ParseMessage(data, size, request)) return 0;
  const qlarank::v1::AppendEventsRequest& append = request.append();
  const OnFull on_full =
      request.batch_id() % 2 == 1 ? OnFull::kWait : OnFull::kRefuse;

  fuzz::DeleteAll(append);  // whoever is there already, the history's user
  const auto response = server.Append(append, on_full);
  if (!response.ok()) {
    fuzz::CheckRefusal(response.status());
    fuzz::Check(fuzz::DeleteAll(append) == 0, "a refusal appends nothing");
    return 0;
  }
  fuzz::CheckApplied(append, *response);
  const uint64_t after_all = fuzz::CheckRetry(append, *response, on_full);
  fuzz::Check(fuzz::DeleteAll(append) == response->applied() + after_all,
              "an erasure finds what was applied");
  return 0;
}
