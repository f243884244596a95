// qlarank serve-check: whether the server serves, for people, scripts and
// container health checks.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// "" is the server as a whole.
constexpr const char* kServices[] = {"", "qlarank.v1.RankService",
                                     "qlarank.v1.IngestService",
                                     "qlarank.v1.StateService",
                                     "qlarank.v1.ModelService"};
// Scored from the empty state, as nobody has this name.
constexpr char kNobody[] = "qlarank-serve-check";

struct Check {
  std::string name;
  absl::Status status;
  absl::Duration latency;
};

template <typename Call>
Check Timed(const std::string& name, Call call) {
  absl::Time start = absl::Now();
  absl::Status status = call();
  return {name, status, absl::Now() - start};
}

// Health has no word for the reason. That of IngestService is told by an append
// of nothing, to whoever may append.
std::string WhyNot(const Client& client, const std::string& service) {
  if (service != v1::IngestService::service_full_name()) return "";
  v1::AppendEventsRequest nothing;
  nothing.set_source(kNobody);
  const absl::Status why = client.AppendEvents(nothing).status();
  if (absl::IsUnavailable(why)) return absl::StrCat(": ", why.message());
  return "; GET /readyz says why";
}

absl::Status CheckServing(const Client& client, const std::string& service) {
  auto response = client.CheckHealth(service);
  if (!response.ok()) return response.status();
  using grpc::health::v1::HealthCheckResponse;
  if (response->status() == HealthCheckResponse::SERVING) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(HealthCheckResponse::ServingStatus_Name(response->status()),
                   WhyNot(client, service)));
}

// A server that has no room for one more request does serve. So does one whose
// model wants features of candidates, which nobody knows here.
bool IsAnswerOfItsOwn(const absl::Status& status) {
  return absl::IsResourceExhausted(status) ||
         (absl::IsInvalidArgument(status) &&
          absl::StartsWith(status.message(), "candidate_features: "));
}

absl::Status CheckRank(const Client& client) {
  v1::RankRequest request;
  request.set_user_id(kNobody);
  request.add_item_ids(1);
  auto response = client.Rank(request);
  if (IsAnswerOfItsOwn(response.status())) return absl::OkStatus();
  if (!response.ok()) return response.status();
  if (response->scores().empty()) {
    return absl::InternalError("the reply has no score");
  }
  return absl::OkStatus();
}

void Print(CommandContext& context, const std::vector<Check>& checks) {
  if (context.json) {
    nlohmann::json json = nlohmann::json::array();
    for (const Check& check : checks) {
      json.push_back(
          {{"check", check.name},
           {"ok", check.status.ok()},
           {"message", std::string(check.status.message())},
           {"latency_ms", absl::ToDoubleMilliseconds(check.latency)}});
    }
    context.out << json.dump() << "\n";
    return;
  }
  for (const Check& check : checks) {
    context.out << absl::StreamFormat(
        "%-32s %s  %.2f ms\n", check.name,
        check.status.ok() ? "ok" : std::string(check.status.message()),
        absl::ToDoubleMilliseconds(check.latency));
  }
}

// Unreachable beats "not serving": the first is where to look first.
ExitCode Judge(const std::vector<Check>& checks) {
  ExitCode code = ExitCode::kOk;
  for (const Check& check : checks) {
    if (absl::IsUnavailable(check.status)) return ExitCode::kUnavailable;
    if (!check.status.ok()) code = ExitCode::kNegative;
  }
  return code;
}

absl::StatusOr<ExitCode> ServeCheck(CommandContext& context) {
  Client client = context.Connect();
  std::vector<Check> checks;
  for (const std::string service : kServices) {
    checks.push_back(
        Timed(service.empty() ? "health" : absl::StrCat("health ", service),
              [&] { return CheckServing(client, service); }));
    // Nothing else can be said of a server that does not answer.
    if (absl::IsUnavailable(checks.back().status)) break;
  }
  if (!absl::IsUnavailable(checks.back().status)) {
    checks.push_back(
        Timed("rank, one item", [&] { return CheckRank(client); }));
  }
  Print(context, checks);
  return Judge(checks);
}

}  // namespace

void AddServeCheckCommand(CommandSet& commands) {
  CommandContext& context = commands.context();
  commands.Add("serve-check",
               "Check every service; exits 0 only when all of them serve",
               [&context] { return ServeCheck(context); });
}

}  // namespace qlarank
