#include "server/partition/append_result.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

// gRPC's clients take 8 KiB of trailing metadata, where details go in base64,
// with the message beside them.
constexpr size_t kMaxBadRequestBytes = 3'000;
// And, unless told otherwise, responses of 4 MiB.
constexpr size_t kMaxRefusalBytes = 2 << 20;

// Names the refused events, as many as there is room for.
google::rpc::BadRequest NameAll(const std::vector<EventRefusal>& refusals) {
  google::rpc::BadRequest all;
  size_t bytes = 0;
  for (size_t i = 0; i < refusals.size(); ++i) {
    const absl::Status& status = refusals[i].status;
    google::rpc::BadRequest own;
    const auto payload = status.GetPayload(kBadRequestType);
    if (payload.has_value()) own.ParseFromString(std::string(*payload));
    if (own.field_violations().empty()) {
      auto& violation = *own.add_field_violations();
      violation.set_field(absl::StrCat("events[", refusals[i].index, "]"));
      violation.set_description(std::string(status.message()));
    }
    bytes += own.ByteSizeLong();
    if (bytes > kMaxBadRequestBytes && i > 0) {
      auto& violation = *all.add_field_violations();
      violation.set_field("events");
      violation.set_description(
          absl::StrCat(refusals.size() - i, " more were refused"));
      break;
    }
    all.MergeFrom(own);
  }
  return all;
}

// The first one's, and which others there are.
absl::Status StatusOf(const std::vector<EventRefusal>& refusals) {
  absl::Status status = refusals.front().status;
  status.SetPayload(kBadRequestType,
                    absl::Cord(NameAll(refusals).SerializeAsString()));
  return status;
}

void Describe(const std::vector<EventRefusal>& refusals,
              v1::AppendEventsResponse& response) {
  size_t bytes = 0;
  for (const EventRefusal& refusal : refusals) {
    v1::Refusal& described = *response.add_refusals();
    described.set_index(refusal.index);
    *described.mutable_status() = ToProto(refusal.status);
    if ((bytes += described.ByteSizeLong()) <= kMaxRefusalBytes) continue;
    // The code and the reason remain.
    described.mutable_status()->clear_message();
    auto& details = *described.mutable_status()->mutable_details();
    for (int i = details.size() - 1; i >= 0; --i) {
      if (details[i].type_url() != kErrorInfoType) {
        details.DeleteSubrange(i, 1);
      }
    }
  }
}

}  // namespace

void AppendTally::Add(AppendTally part) {
  applied += part.applied;
  late += part.late;
  duplicates.insert(duplicates.end(), part.duplicates.begin(),
                    part.duplicates.end());
  refusals.insert(refusals.end(),
                  std::make_move_iterator(part.refusals.begin()),
                  std::make_move_iterator(part.refusals.end()));
}

AppendResult MakeAppendResult(size_t num_events, AppendTally tally) {
  AppendResult result;
  result.response.set_applied(tally.applied);
  result.response.set_duplicates(tally.duplicates.size());
  if (tally.duplicates.empty() && tally.refusals.empty()) return result;
  auto& outcomes = *result.response.mutable_outcomes();
  outcomes.Resize(static_cast<int>(num_events), v1::EVENT_OUTCOME_APPLIED);
  for (const uint32_t i : tally.duplicates) {
    outcomes.Set(i, v1::EVENT_OUTCOME_DUPLICATE);
  }
  for (const EventRefusal& refusal : tally.refusals) {
    outcomes.Set(refusal.index, v1::EVENT_OUTCOME_REFUSED);
  }
  if (tally.refusals.empty()) return result;
  std::sort(tally.refusals.begin(), tally.refusals.end(),
            [](const EventRefusal& a, const EventRefusal& b) {
              return a.index < b.index;
            });
  Describe(tally.refusals, result.response);
  if (tally.applied == 0 && tally.duplicates.empty()) {
    result.status = StatusOf(tally.refusals);
  }
  return result;
}

}  // namespace qlarank
