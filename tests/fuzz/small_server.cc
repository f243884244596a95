#include "tests/fuzz/small_server.h"

#include <google/protobuf/stubs/logging.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "state_store/memory_state_store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"

namespace qlarank::fuzz {
namespace {

// Limits within reach of small inputs.
ServerOptions SmallOptions(const std::string& folder) {
  Write(MakeFiles(TinySpec()), folder);
  ModelOptions model;
  model.name = "tiny";
  model.version = 1;
  model.path = folder;
  model.default_model = true;
  ServerOptions options = testing::TestOptions(model);
  options.limits.max_user_id_bytes = 16;
  options.limits.max_candidates = 130;
  options.limits.max_recent_events = 4;
  options.limits.max_events_per_append = 8;
  options.limits.max_source_bytes = 16;
  options.rank.workers = 1;
  options.ingest.shards = 1;
  return options;
}

const absl::Time kNow = absl::FromUnixMicros(testing::kEpochUs);

// Starts what takes a callback of `Result`, and waits for it.
template <typename Result, typename Start>
Result Await(const Start& start) {
  absl::Notification answered;
  Result result;
  start([&](Result answer, const auto&... /*the request's slot*/) {
    result = std::move(answer);
    answered.Notify();
  });
  answered.WaitForNotification();
  return result;
}

}  // namespace

SmallServer& SmallServer::Get() {
  static auto* const server = new SmallServer;
  return *server;
}

SmallServer::SmallServer()
    : options_(SmallOptions(folder_.path())), store_(NewMemoryStateStore()) {
  google::protobuf::SetLogHandler(nullptr);
  auto pipeline = Pipeline::Create(options_, *store_, metrics_);
  Check(pipeline.ok(), "the small server starts");
  pipeline_ = *std::move(pipeline);
  RestoreHistory();
}

void SmallServer::RestoreHistory() {
  const auto request =
      testing::MakeAppend(bundle(), kUser, 1, kHistory, kSource);
  Check(Append(request, IngestPipeline::OnFull::kRefuse).ok(),
        "a user's history can be appended");
}

absl::Status SmallServer::Rank(const v1::RankRequest& request,
                               v1::RankResponse& response) {
  return Await<absl::Status>([&](auto done) {
    RankCall::Context context;
    context.arrival = kNow;
    auto admission = pipeline_->rank().Admit(request, context);
    if (!admission.ok()) return done(admission.status(), RequestSlot());
    pipeline_->rank().Start(*std::move(admission), request, response, context,
                            std::move(done));
  });
}

absl::StatusOr<v1::AppendEventsResponse> SmallServer::Append(
    const v1::AppendEventsRequest& request, IngestPipeline::OnFull on_full) {
  AppendResult result = Await<AppendResult>([&](auto done) {
    pipeline_->ingest().Append(request, kNow, {}, on_full, std::move(done));
  });
  if (!result.status.ok()) return result.status;
  return std::move(result.response);
}

absl::StatusOr<uint64_t> SmallServer::Delete(const std::string& user_id) {
  return Await<absl::StatusOr<uint64_t>>([&](auto done) {
    pipeline_->ingest().DeleteUser(user_id, {}, std::move(done));
  });
}

absl::Status SmallServer::Ask(const v1::GetModelRequest& request,
                              v1::GetModelResponse& response) {
  return Await<absl::Status>([&](auto done) {
    ModelPipeline::Context context;
    context.arrival = kNow;
    pipeline_->model().Start(request, response, context, std::move(done));
  });
}

template <typename Request, typename Response>
absl::Status SmallServer::Ask(const Request& request, Response& response) {
  return Await<absl::Status>([&](auto done) {
    StatePipeline::Context context;
    context.arrival = kNow;
    pipeline_->state().Start(request, response, context, std::move(done));
  });
}
template absl::Status SmallServer::Ask(const v1::GetUserStateRequest&,
                                       v1::GetUserStateResponse&);
template absl::Status SmallServer::Ask(const v1::GetUserSummaryRequest&,
                                       v1::GetUserSummaryResponse&);

void CheckRefusal(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    Check(absl::StrContains(status.message(), ": ") &&
              absl::StrContains(status.message(), "; "),
          "a refusal says \"field: value; rule\"");
    return;
  }
  Check(absl::IsNotFound(status) || absl::IsFailedPrecondition(status),
        "nothing but documented codes refuses a request");
}

bool ParseMessage(const uint8_t* data, size_t size,
                  google::protobuf::Message& message) {
  google::protobuf::SetLogHandler(nullptr);
  return message.ParseFromArray(data, static_cast<int>(size));
}

}  // namespace qlarank::fuzz
