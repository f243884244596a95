#include "tests/owners/serving.h"

#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {

ServerOptions TinyOptions(const std::string& folder, int num_models) {
  ServerOptions options = TestOptions();
  options.models.clear();
  for (int i = 0; i < num_models; ++i) {
    model::v1::ModelSpec spec = fuzz::TinySpec();
    spec.set_num_layers(1 + i);
    ModelOptions model;
    model.name = absl::StrCat("tiny", i);
    model.version = 1;
    model.path = absl::StrCat(folder, "/", model.name);
    model.default_model = i == 0;
    std::filesystem::create_directory(model.path);
    fuzz::Write(fuzz::MakeFiles(spec), model.path);
    options.models.push_back(model);
  }
  return options;
}

Serving::Serving(const ServerOptions& options, StateStore& store)
    : store_(store) {
  auto pipeline = Pipeline::Create(options, store_, metrics_);
  fuzz::Check(pipeline.ok(), pipeline.status().ToString().c_str());
  pipeline_ = *std::move(pipeline);
}

const Engine& Serving::engine(size_t model) const {
  return *pipeline_->models().Current()->models()[model]->engine;
}

std::shared_ptr<const UserMemory> Serving::Memory(size_t model) const {
  return pipeline_->states().Of(pipeline_->models().Current()->models()[model]);
}

absl::StatusOr<Sight> Serving::Read(const std::string& user_id,
                                    const StateDemand& demand,
                                    EngineScratch& scratch, size_t model) {
  const auto memory = Memory(model);
  StateReader reader(*memory, pipeline_->partitions(), user_id, demand);
  while (!reader.done()) reader.Step(scratch);
  if (!reader.status().ok()) return reader.status();
  const UserMemory::Lookup& lookup = reader.lookup();
  Sight sight;
  sight.incarnation = lookup.head.incarnation;
  sight.first_sequence = lookup.head.first_sequence;
  sight.last_sequence = lookup.head.last_sequence;
  sight.folded = lookup.known.folded_sequence();
  sight.digest = DigestOf(engine(model).SerializeState(*lookup.known.state));
  return sight;
}

absl::StatusOr<Sight> Serving::Rank(const std::string& user_id,
                                    const StateDemand& demand) {
  const Bundle& bundle = engine().bundle();
  v1::RankRequest request =
      MakeRank(bundle, user_id, CatalogueItems(bundle, 3));
  request.set_min_event_count(demand.min_event_count);
  if (demand.max_events_behind.has_value()) {
    request.set_max_events_behind(*demand.max_events_behind);
  }
  RankCall::Context context;
  context.arrival = absl::Now();
  auto admission = pipeline_->rank().Admit(request, context);
  if (!admission.ok()) return admission.status();
  v1::RankResponse response;
  absl::Status status;
  absl::Notification done;
  pipeline_->rank().Start(*std::move(admission), request, response, context,
                          [&](absl::Status result, RequestSlot) {
                            status = std::move(result);
                            done.Notify();
                          });
  done.WaitForNotification();
  if (!status.ok()) return status;
  for (const float score : response.scores()) {
    if (!std::isfinite(score)) return absl::InternalError("no finite score");
  }
  Sight sight;
  sight.last_sequence = response.state().log_sequence();
  sight.folded = response.state().folded_sequence();
  return sight;
}

absl::StatusOr<Sight> Serving::GetUserState(const std::string& user_id,
                                            const StateDemand& demand) {
  v1::GetUserStateRequest request;
  request.set_user_id(user_id);
  request.set_include_state(true);
  request.set_min_event_count(demand.min_event_count);
  StatePipeline::Context context;
  context.arrival = absl::Now();
  v1::GetUserStateResponse response;
  absl::Status status;
  absl::Notification done;
  pipeline_->state().Start(request, response, context,
                           [&](absl::Status result, RequestSlot) {
                             status = std::move(result);
                             done.Notify();
                           });
  done.WaitForNotification();
  if (!status.ok()) return status;
  Sight sight;
  sight.last_sequence = response.state().log_sequence();
  sight.folded = response.state().folded_sequence();
  sight.digest = DigestOf(response.serialized_state());
  return sight;
}

absl::Status Serving::Flush() { return store_.Flush(); }

absl::Status Serving::Purge() { return store_.PurgeErased().status(); }

absl::StatusOr<std::optional<uint64_t>> Serving::Published(
    const std::string& user_id, size_t model) const {
  const auto lookup = Memory(model)->Find(user_id);
  if (!lookup.ok()) return lookup.status();
  if (lookup->origin != UserMemory::Origin::kCache) return std::nullopt;
  return lookup->known.folded_sequence();
}

absl::StatusOr<uint64_t> Serving::Snapshotted(const std::string& user_id,
                                              size_t model) const {
  const auto snapshot =
      store_.GetSnapshot(engine(model).state_fingerprint(), user_id);
  if (!snapshot.ok()) return snapshot.status();
  return snapshot->has_value() ? (*snapshot)->folded_sequence : 0;
}

}  // namespace qlarank::testing
