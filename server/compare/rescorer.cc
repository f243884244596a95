#include "server/compare/rescorer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/models/load_engine.h"
#include "server/rank/rank_plan.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr size_t kMissing = SIZE_MAX;

// For each of `wanted` its place among `names`.
std::vector<size_t> PlacesOf(const Names& wanted, const Names& names) {
  std::vector<size_t> places;
  for (const std::string& name : wanted) {
    const auto found = std::find(names.begin(), names.end(), name);
    places.push_back(found == names.end() ? kMissing : found - names.begin());
  }
  return places;
}

// Rows of `width` values, their columns at `places`; 0 where there is none.
std::vector<float> Arranged(const google::protobuf::RepeatedField<float>& rows,
                            int width, const std::vector<size_t>& places) {
  std::vector<float> arranged;
  for (int at = 0; width > 0 && at < rows.size(); at += width) {
    for (const size_t place : places) {
      arranged.push_back(
          place == kMissing ? 0.0f : rows[at + static_cast<int>(place)]);
    }
  }
  return arranged;
}

// Whether its parts are of the sizes that they name.
bool IsWhole(const v1::LoggedRequest& record) {
  const v1::RankRequest& request = record.request();
  const v1::RankResponse& response = record.response();
  const int candidates = request.item_ids_size();
  const auto& unknown = response.unknown_items();
  return candidates > 0 && response.tasks_size() > 0 &&
         response.scores_size() == candidates * response.tasks_size() &&
         record.value_weights_size() == response.tasks_size() &&
         request.candidate_features_size() ==
             candidates * record.candidate_features_size() &&
         record.recent_features_size() ==
             request.recent_events_size() * record.event_features_size() &&
         std::all_of(unknown.begin(), unknown.end(), [&](uint32_t index) {
           return index < static_cast<uint32_t>(candidates);
         });
}

}  // namespace

absl::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompared:
      return "compared";
    case Outcome::kPartial:
      return "partial";
    case Outcome::kErased:
      return "erased";
    case Outcome::kTrimmed:
      return "trimmed";
    case Outcome::kBeyondLog:
      return "beyond_log";
    case Outcome::kUnfit:
      return "unfit";
    case Outcome::kTooLong:
      return "too_long";
    case Outcome::kGivenUp:
      return "given_up";
    case Outcome::kFailed:
      return "failed";
  }
  return "unknown";
}

struct Rescorer::Asked {
  std::vector<std::vector<float>> recent_features;
  std::vector<ModelEvent> recent_events;
  std::vector<uint32_t> context_rows;
  std::vector<uint32_t> tasks;
  std::vector<float> candidate_features;
};

Rescorer::Rescorer(LoadedModelPtr model, const EventLog& log)
    : model_(std::move(model)),
      log_(log),
      scratch_(model_->engine->NewScratch()) {}

Outcome Rescorer::Unfit(std::string why) {
  why_ = std::move(why);
  return Outcome::kUnfit;
}

Outcome Rescorer::Failed(std::string why) {
  why_ = std::move(why);
  return Outcome::kFailed;
}

Outcome Rescorer::BringState(const v1::LoggedRequest& record, KnownState known,
                             GoOn go_on, KnownState& state,
                             uint64_t most_events) {
  const uint64_t sequence = record.response().state().folded_sequence();
  const bool continues = known.state != nullptr &&
                         known.incarnation == record.incarnation() &&
                         known.folded_sequence() <= sequence;
  state = continues ? std::move(known) : KnownState();
  if (!continues) state.state = model_->engine->empty_state();
  state.incarnation = record.incarnation();
  if (record.incarnation() == 0) return Outcome::kCompared;  // had no event
  const std::string& user_id = record.request().user_id();
  const absl::StatusOr<UserHead> head = log_.GetHead(user_id);
  if (!head.ok()) return Failed(head.status().ToString());
  if (head->incarnation != record.incarnation()) return Outcome::kErased;
  if (head->last_sequence < sequence) return Outcome::kBeyondLog;
  if (state.folded_sequence() + 1 < head->first_sequence &&
      state.folded_sequence() < sequence) {
    return Outcome::kTrimmed;
  }
  if (sequence - state.folded_sequence() > most_events) {
    return Outcome::kTooLong;
  }
  return Fold(user_id, sequence, go_on, state);
}

Outcome Rescorer::Fold(const std::string& user_id, uint64_t sequence,
                       GoOn go_on, KnownState& state) {
  while (state.folded_sequence() < sequence) {
    if (!go_on()) return Outcome::kGivenUp;
    const uint64_t from = state.folded_sequence();
    auto events = log_.ReadEvents(
        user_id, from + 1, std::min<uint64_t>(kStepEvents, sequence - from));
    if (absl::IsFailedPrecondition(events.status())) return Outcome::kTrimmed;
    if (!events.ok()) return Failed(events.status().ToString());
    // What was read may be another user's of the same id.
    const absl::StatusOr<UserHead> head = log_.GetHead(user_id);
    if (!head.ok()) return Failed(head.status().ToString());
    if (head->incarnation != state.incarnation || events->empty()) {
      return Outcome::kErased;
    }
    UserFold fold(std::move(state), *std::move(events), sequence,
                  *model_->engine, model_->features);
    UserFold::Run({&fold, 1}, *model_->engine, *scratch_);
    if (!fold.status().ok()) return Failed(fold.status().ToString());
    state = fold.after();
  }
  return Outcome::kCompared;
}

Outcome Rescorer::Understand(const v1::LoggedRequest& record, Asked& asked) {
  const Bundle& bundle = model_->bundle();
  const model::v1::ModelSpec& spec = bundle.spec();
  const v1::RankRequest& request = record.request();
  auto context = ContextRows(request.context(), bundle);
  if (!context.ok()) return Unfit(std::string(context.status().message()));
  asked.context_rows = *std::move(context);

  const std::vector<size_t> features =
      PlacesOf(spec.candidate_features(), record.candidate_features());
  for (size_t i = 0; i < features.size(); ++i) {
    if (features[i] != kMissing) continue;
    return Unfit(absl::StrCat(
        "candidate_features: the request has no ",
        Quoted(spec.candidate_features(static_cast<int>(i))), ", which ",
        ModelLabel(model_->name, model_->version), " asks for"));
  }
  asked.candidate_features = Arranged(request.candidate_features(),
                                      record.candidate_features_size(),
                                      features);

  const std::vector<size_t> of_events =
      PlacesOf(spec.event_features(), record.event_features());
  const int width = record.event_features_size();
  for (int i = 0; i < request.recent_events_size(); ++i) {
    const v1::Event& event = request.recent_events(i);
    std::vector<float>& values = asked.recent_features.emplace_back();
    for (const size_t place : of_events) {
      values.push_back(place == kMissing
                           ? 0.0f
                           : record.recent_features(
                                 i * width + static_cast<int>(place)));
    }
    asked.recent_events.push_back(
        {model_->engine->catalogue().Row(event.item_id()),
         bundle.ActionIndex(event.action().empty() ? record.default_action()
                                                   : event.action()),
         ToMicros(event.time()), values});
  }
  return Outcome::kCompared;
}

Outcome Rescorer::Score(const v1::LoggedRequest& record, const UserState& state,
                        GoOn go_on, CandidateScores& scores) {
  const v1::RankRequest& request = record.request();
  if (record.response().scored_fraction() < 1) return Outcome::kPartial;
  if (!IsWhole(record)) return Unfit("its record is not whole");
  Asked asked;
  if (const Outcome understood = Understand(record, asked);
      understood != Outcome::kCompared) {
    return understood;
  }
  for (int i = 0; i < record.response().tasks_size(); ++i) {
    const std::string& name = record.response().tasks(i);
    const std::optional<uint32_t> task = model_->bundle().TaskIndex(name);
    if (!task.has_value()) continue;
    asked.tasks.push_back(*task);
    scores.tasks.push_back(name);
    scores.value_weights.push_back(record.value_weights(i));
  }
  if (asked.tasks.empty()) {
    return Unfit(absl::StrCat(ModelLabel(model_->name, model_->version),
                              " has none of the tasks of the answer"));
  }
  if (!go_on()) return Outcome::kGivenUp;
  const std::unique_ptr<const Reading> reading = model_->engine->Read(
      state, {record.request_time_us(), asked.recent_events,
              asked.context_rows},
      *scratch_);

  const size_t num_candidates = request.item_ids_size();
  const size_t num_tasks = asked.tasks.size();
  const size_t num_features = asked.candidate_features.size() / num_candidates;
  std::vector<uint32_t> rows(num_candidates);
  model_->engine->catalogue().Rows(request.item_ids(), absl::MakeSpan(rows));
  scores.logits.resize(num_candidates * num_tasks);
  for (size_t at = 0; at < num_candidates; at += Engine::kTileRows) {
    if (!go_on()) return Outcome::kGivenUp;
    const size_t n = std::min(Engine::kTileRows, num_candidates - at);
    model_->engine->Score(
        *reading, absl::MakeConstSpan(rows).subspan(at, n),
        absl::MakeConstSpan(asked.candidate_features)
            .subspan(at * num_features, n * num_features),
        asked.tasks,
        absl::MakeSpan(scores.logits).subspan(at * num_tasks, n * num_tasks),
        *scratch_);
  }
  if (!AllFinite(scores.logits)) return Failed("scores that are not finite");
  for (const uint32_t row : rows) {
    scores.unknown.push_back(row == Bundle::kOutOfVocabularyRow);
  }
  return Outcome::kCompared;
}

CandidateScores ScoresOf(const v1::LoggedRequest& record) {
  const v1::RankResponse& response = record.response();
  CandidateScores scores;
  scores.tasks = {response.tasks().begin(), response.tasks().end()};
  scores.value_weights = {record.value_weights().begin(),
                          record.value_weights().end()};
  scores.logits = {response.scores().begin(), response.scores().end()};
  scores.unknown.resize(record.request().item_ids_size());
  for (const uint32_t index : response.unknown_items()) {
    scores.unknown[index] = true;
  }
  return scores;
}

}  // namespace qlarank
