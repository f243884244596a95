// Any request about a user's state, summary or erasure is refused by naming
// what is wrong, or answered in full. The first byte says which it is.
#include <cmath>

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_server.h"

namespace qlarank::fuzz {
namespace {

enum Kind : uint8_t { kState, kSummary, kDelete, kNumKinds };

void AskState(const uint8_t* data, size_t size) {
  SmallServer& server = SmallServer::Get();
  v1::GetUserStateRequest request;
  if (!ParseMessage(data, size, request)) return;
  v1::GetUserStateResponse response;
  const absl::Status status = server.Ask(request, response);
  if (!status.ok()) return CheckRefusal(status);
  Check(response.state().found() ==
            (request.user_id() == SmallServer::kUser),
        "nobody is found but who is there");
  Check(response.state().event_count() >= request.min_event_count(),
        "the state is as new as was asked for");
  if (!request.include_state()) return;
  Check(server.engine().ParseState(response.serialized_state()).ok(),
        "a state that is handed out can be read");
}

void AskSummary(const uint8_t* data, size_t size) {
  v1::GetUserSummaryRequest request;
  if (!ParseMessage(data, size, request)) return;
  v1::GetUserSummaryResponse response;
  const absl::Status status = SmallServer::Get().Ask(request, response);
  if (!status.ok()) return CheckRefusal(status);
  const size_t numbers = response.num_seeds() * response.width();
  Check(numbers > 0 && (response.values_size() == static_cast<int>(numbers) ||
                        response.quantized_values().size() == numbers),
        "a summary has its numbers");
  for (const float value : response.values()) {
    Check(std::isfinite(value), "summaries are finite");
  }
}

void Delete(const uint8_t* data, size_t size) {
  SmallServer& server = SmallServer::Get();
  v1::DeleteUserRequest request;
  if (!ParseMessage(data, size, request)) return;
  const auto removed = server.Delete(request.user_id());
  if (!removed.ok()) return CheckRefusal(removed.status());
  const bool known = request.user_id() == SmallServer::kUser;
  Check(*removed == (known ? SmallServer::kHistory : 0),
        "a user's events are erased, and nobody else's");
  if (known) server.RestoreHistory();
}

template <typename Request>
Request About(const std::string& user_id) {
  Request request;
  request.set_user_id(user_id);
  return request;
}

}  // namespace

std::vector<std::string> Seeds() {
  const auto seed = [](Kind kind, const google::protobuf::Message& request) {
    return std::string(1, static_cast<char>(kind)) +
           request.SerializeAsString();
  };
  auto state = About<v1::GetUserStateRequest>(SmallServer::kUser);
  state.set_model_name("tiny");
  state.set_model_version(1);
  state.set_include_state(true);
  state.set_min_event_count(SmallServer::kHistory);
  auto summary = About<v1::GetUserSummaryRequest>(SmallServer::kUser);
  summary.set_encoding(v1::SUMMARY_ENCODING_INT8);
  return {seed(kState, state),
          seed(kState, About<v1::GetUserStateRequest>("nobody")),
          seed(kSummary, summary),
          seed(kSummary, About<v1::GetUserSummaryRequest>("nobody")),
          seed(kDelete, About<v1::DeleteUserRequest>(SmallServer::kUser))};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  if (size == 0) return 0;
  switch (data[0] % fuzz::kNumKinds) {
    case fuzz::kState:
      fuzz::AskState(data + 1, size - 1);
      break;
    case fuzz::kSummary:
      fuzz::AskSummary(data + 1, size - 1);
      break;
    default:
      fuzz::Delete(data + 1, size - 1);
  }
  return 0;
}
