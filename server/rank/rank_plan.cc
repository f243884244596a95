#include "server/rank/rank_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/models/event_rules.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

std::string Label(const Bundle& bundle) {
  return absl::StrCat("model ", Quoted(bundle.spec().name()), " version ",
                      bundle.spec().version());
}

// Of keys that are left: those of a sound request became ids.
absl::Status CheckItemKeys(const v1::RankRequest& request) {
  for (int i = 0; i < request.item_keys_size(); ++i) {
    if (request.item_keys(i).empty()) {
      return FieldError(absl::StrCat("item_keys[", i, "]"), "\"\"",
                        "an item has a text");
    }
  }
  if (request.item_keys().empty()) return absl::OkStatus();
  return FieldError("item_keys", absl::StrCat(request.item_keys_size(), " keys"),
                    absl::StrCat("there are ", request.item_ids_size(),
                                 " item_ids, too: give one of them"));
}

absl::Status CheckCandidates(const v1::RankRequest& request,
                             const Bundle& bundle,
                             const LimitsOptions& limits) {
  const size_t num_candidates = request.item_ids_size();
  if (num_candidates == 0) {
    return FieldError("item_ids", "empty", "at least one is required");
  }
  if (num_candidates > limits.max_candidates) {
    return FieldError("item_ids", absl::StrCat(num_candidates, " candidates"),
                      absl::StrCat("must be at most ", limits.max_candidates,
                                   ", limits.max_candidates of the server"));
  }
  const size_t num_features = bundle.spec().candidate_features_size();
  const size_t num_values = request.candidate_features_size();
  if (num_values != num_candidates * num_features) {
    return FieldError(
        "candidate_features", absl::StrCat(num_values, " values"),
        absl::StrCat("must be ", num_candidates * num_features, ": ",
                     num_candidates, " candidates x ", num_features,
                     " candidate features of ", Label(bundle)));
  }
  return CheckFeatures("candidate_features", request.candidate_features());
}

absl::Status PlanTimes(const v1::RankRequest& request, absl::Time now,
                       RankPlan& plan) {
  plan.time_us = absl::ToUnixMicros(now);
  if (request.has_request_time()) {
    if (!IsValid(request.request_time())) {
      return FieldError(
          "request_time",
          absl::StrCat(request.request_time().seconds(), " s ",
                       request.request_time().nanos(), " ns"),
          "must be a valid timestamp (years 1 to 9999, nanos below 1e9)");
    }
    plan.time_us = ToMicros(request.request_time());
  }
  if (request.has_max_state_age()) {
    const absl::Duration age = ToDuration(request.max_state_age());
    if (!IsValid(request.max_state_age()) || age < absl::ZeroDuration()) {
      return FieldError("max_state_age", absl::FormatDuration(age),
                        "must be a valid duration and not negative");
    }
    plan.max_state_age = age;
  }
  return absl::OkStatus();
}

absl::Status PlanContext(const v1::RankRequest& request, const Bundle& bundle,
                         RankPlan& plan) {
  auto rows = ContextRows(request.context(), bundle);
  if (!rows.ok()) return rows.status();
  plan.context_rows = *std::move(rows);
  return absl::OkStatus();
}

absl::Status PlanRecentEvents(const v1::RankRequest& request,
                              const Bundle& bundle,
                              const RequestEvents& events,
                              const LimitsOptions& limits, absl::Time now,
                              RankPlan& plan) {
  const size_t num_events = request.recent_events_size();
  if (num_events > limits.max_recent_events) {
    return FieldError(
        "recent_events", absl::StrCat(num_events, " events"),
        absl::StrCat("must be at most ", limits.max_recent_events));
  }
  plan.recent_events.reserve(num_events);
  plan.recent_features.reserve(num_events);
  for (size_t i = 0; i < num_events; ++i) {
    const v1::Event& event = request.recent_events(i);
    const std::string field = absl::StrCat("recent_events[", i, "].");
    if (absl::Status status =
            CheckEvent(event, events.vocabulary, limits, now);
        !status.ok()) {
      return Within(field, status);
    }
    const int64_t time_us = ToMicros(event.time());
    if (i > 0 && time_us < plan.recent_events.back().time_us) {
      return FieldError(
          absl::StrCat(field, "time"),
          absl::FormatTime(absl::FromUnixMicros(time_us), absl::UTCTimeZone()),
          "must not be before the event that precedes it");
    }
    std::vector<float>& values = plan.recent_features.emplace_back(
        event.features().begin(), event.features().end());
    events.features.Arrange(events.schema, values);
    const absl::string_view action = events.vocabulary.Resolve(event.action());
    if (event.action().empty()) {
      plan.default_action = events.vocabulary.default_action();
    }
    plan.recent_events.push_back({events.catalogue.Row(event.item_id()),
                                  bundle.ActionIndex(action), time_us, values});
  }
  return absl::OkStatus();
}

absl::Status PlanTasks(const v1::RankRequest& request, const Bundle& bundle,
                       RankPlan& plan) {
  const auto& tasks = bundle.spec().tasks();
  for (int i = 0; i < request.tasks_size(); ++i) {
    const std::string field = absl::StrCat("tasks[", i, "]");
    const std::string& name = request.tasks(i);
    const std::optional<uint32_t> task = bundle.TaskIndex(name);
    if (!task.has_value()) {
      return FieldError(field, Quoted(name),
                        absl::StrCat("is not a task of ", Label(bundle)));
    }
    if (std::find(plan.tasks.begin(), plan.tasks.end(), *task) !=
        plan.tasks.end()) {
      return FieldError(field, Quoted(name), "is there twice");
    }
    plan.tasks.push_back(*task);
  }
  if (request.tasks_size() == 0) {
    for (int i = 0; i < tasks.size(); ++i) plan.tasks.push_back(i);
  }

  const size_t num_weights = request.value_weights_size();
  if (num_weights > 0 && num_weights != plan.tasks.size()) {
    return FieldError(
        "value_weights", absl::StrCat(num_weights, " weights"),
        absl::StrCat("must be one for each of ", plan.tasks.size(), " tasks"));
  }
  for (size_t i = 0; i < num_weights; ++i) {
    if (!std::isfinite(request.value_weights(i))) {
      return FieldError(absl::StrCat("value_weights[", i, "]"),
                        request.value_weights(i), "must be finite");
    }
    plan.value_weights.push_back(request.value_weights(i));
  }
  if (num_weights == 0) {
    for (const uint32_t task : plan.tasks) {
      plan.value_weights.push_back(tasks[task].value_weight());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ContextRows(
    const google::protobuf::Map<std::string, std::string>& context,
    const Bundle& bundle) {
  std::vector<uint32_t> rows;
  for (const ContextFeature& feature : bundle.context_features()) {
    rows.push_back(feature.default_row());
  }
  for (const auto& [name, value] : context) {
    const std::optional<uint32_t> feature = bundle.ContextFeatureIndex(name);
    if (!feature.has_value()) {
      return FieldError(
          absl::StrCat("context[", Quoted(name), "]"), Quoted(value),
          absl::StrCat("is not a context feature of ", Label(bundle)));
    }
    rows[*feature] = bundle.context_features()[*feature].Row(value);
  }
  return rows;
}

absl::StatusOr<RankPlan> PlanRank(const v1::RankRequest& request,
                                  const Bundle& bundle,
                                  const RequestEvents& events,
                                  const LimitsOptions& limits, absl::Time now) {
  RankPlan plan;
  absl::Status status = CheckUserId(request.user_id(), limits);
  if (status.ok()) status = CheckItemKeys(request);
  if (status.ok()) status = CheckCandidates(request, bundle, limits);
  if (status.ok()) status = PlanTimes(request, now, plan);
  if (status.ok()) status = PlanContext(request, bundle, plan);
  if (status.ok()) {
    status = PlanRecentEvents(request, bundle, events, limits, now, plan);
  }
  if (status.ok()) status = PlanTasks(request, bundle, plan);
  if (!status.ok()) return status;
  plan.top_k = std::min<size_t>(request.top_k(), request.item_ids_size());
  plan.min_event_count = request.min_event_count();
  if (request.has_max_events_behind()) {
    plan.max_events_behind = request.max_events_behind();
  }
  return plan;
}

}  // namespace qlarank
