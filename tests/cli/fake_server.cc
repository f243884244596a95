#include "tests/cli/fake_server.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace qlarank {

class FakeServer::Ingest final : public v1::IngestService::Service {
 public:
  explicit Ingest(FakeServer& fake) : fake_(fake) {}

  grpc::Status AppendEvents(grpc::ServerContext*,
                            const v1::AppendEventsRequest* request,
                            v1::AppendEventsResponse* response) override {
    return fake_.Append(*request, *response);
  }

  grpc::Status MarkSource(grpc::ServerContext*,
                          const v1::MarkSourceRequest* request,
                          v1::MarkSourceResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    v1::MarkSourceRequest& mark = fake_.marks_[request->source()];
    if (request->complete_through() >= mark.complete_through()) {
      mark = *request;
    }
    response->set_complete_through(mark.complete_through());
    return grpc::Status::OK;
  }

  grpc::Status GetSource(grpc::ServerContext*,
                         const v1::GetSourceRequest* request,
                         v1::GetSourceResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    auto mark = fake_.marks_.find(request->source());
    if (mark == fake_.marks_.end()) return grpc::Status::OK;
    response->set_found(true);
    response->set_complete_through(mark->second.complete_through());
    response->set_note(mark->second.note());
    return grpc::Status::OK;
  }

  grpc::Status StreamEvents(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::StreamEventsResponse,
                               v1::StreamEventsRequest>* stream) override {
    v1::StreamEventsRequest request;
    for (int taken = 1; stream->Read(&request); ++taken) {
      v1::StreamEventsResponse response;
      response.set_batch_id(request.batch_id());
      grpc::Status status = TakeIn(request, response);
      response.set_error_code(status.error_code());
      response.set_error_message(status.error_message());
      if (Breaks(taken)) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the line is cut");
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status TakeIn(const v1::StreamEventsRequest& request,
                      v1::StreamEventsResponse& response) {
    {
      absl::MutexLock lock(&fake_.mutex_);
      if (fake_.faults_.refusals > 0) {
        --fake_.faults_.refusals;
        return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too busy");
      }
    }
    return fake_.Append(request.append(), *response.mutable_result());
  }

  bool Breaks(int taken) {
    absl::MutexLock lock(&fake_.mutex_);
    if (fake_.faults_.breaks == 0 ||
        taken != fake_.faults_.break_after_requests) {
      return false;
    }
    --fake_.faults_.breaks;
    return true;
  }

  FakeServer& fake_;
};

class FakeServer::Ranker final : public v1::RankService::Service {
 public:
  explicit Ranker(FakeServer& fake) : fake_(fake) {}

  grpc::Status Score(const v1::RankRequest& request,
                     v1::RankResponse& response) {
    absl::MutexLock lock(&fake_.mutex_);
    fake_.ranks_.push_back(request);
    *response.mutable_tasks() = request.tasks();
    if (response.tasks().empty()) response.add_tasks("buy");
    for (uint64_t item : request.item_ids()) {
      float score = 0;
      if (auto user = fake_.users_.find(request.user_id());
          user != fake_.users_.end()) {
        for (const v1::UserEvent& event : user->second.events) {
          score += event.event().item_id() == item ? 1.0F : 0.0F;
        }
      }
      for (const v1::Event& event : request.recent_events()) {
        score += event.item_id() == item ? 1.0F : 0.0F;
      }
      for (int task = 0; task < response.tasks_size(); ++task) {
        response.add_scores(score + 10.0F * static_cast<float>(task));
      }
      if (item == 0) {
        response.add_unknown_items(
            response.scores_size() / response.tasks_size() - 1);
      }
    }
    std::vector<uint32_t> order(request.item_ids_size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      const auto tasks = static_cast<uint32_t>(response.tasks_size());
      return response.scores(static_cast<int>(a * tasks)) >
             response.scores(static_cast<int>(b * tasks));
    });
    order.resize(std::min<size_t>(order.size(), request.top_k()));
    response.mutable_order()->Add(order.begin(), order.end());
    response.set_model_name("toy");
    response.set_model_version(3);
    response.set_scored_fraction(1);
    *response.mutable_state() = fake_.InfoOf(request.user_id());
    return grpc::Status::OK;
  }

  grpc::Status Rank(grpc::ServerContext*, const v1::RankRequest* request,
                    v1::RankResponse* response) override {
    if (request->user_id().empty()) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                          "user_id is empty");
    }
    if (request->recent_events_size() > kMaxRecentEvents) {
      return grpc::Status(
          grpc::StatusCode::INVALID_ARGUMENT,
          absl::StrCat("recent_events: ", request->recent_events_size(),
                       " events; must be at most ", kMaxRecentEvents));
    }
    if (!request->model_name().empty() && request->model_name() != "toy") {
      return grpc::Status(grpc::StatusCode::NOT_FOUND,
                          absl::StrCat("model_name \"", request->model_name(),
                                       "\" is not served"));
    }
    return Score(*request, *response);
  }

 private:
  FakeServer& fake_;
};

class FakeServer::State final : public v1::StateService::Service {
 public:
  explicit State(FakeServer& fake) : fake_(fake) {}

  grpc::Status GetUserState(grpc::ServerContext*,
                            const v1::GetUserStateRequest* request,
                            v1::GetUserStateResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    *response->mutable_state() = fake_.InfoOf(request->user_id());
    response->set_model_name("toy");
    response->set_model_version(3);
    response->set_state_fingerprint("feed.f32");
    response->set_state_bytes(19'532);
    if (response->state().found()) {
      for (const auto& [source, sequence] :
           fake_.users_[request->user_id()].watermarks) {
        (*response->mutable_watermarks())[source] = sequence;
      }
    }
    return grpc::Status::OK;
  }

  // Two seeds of width 3.
  grpc::Status GetUserSummary(grpc::ServerContext*,
                              const v1::GetUserSummaryRequest* request,
                              v1::GetUserSummaryResponse* response) override {
    if (request->model_name() == "seedless") {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          "model \"seedless\" version 1 has no seeds");
    }
    absl::MutexLock lock(&fake_.mutex_);
    *response->mutable_state() = fake_.InfoOf(request->user_id());
    response->set_model_name("toy");
    response->set_model_version(3);
    response->set_state_fingerprint("feed.f32");
    response->set_num_seeds(2);
    response->set_width(3);
    if (request->encoding() == v1::SUMMARY_ENCODING_INT8) {
      response->set_quantized_values(
          std::string("\x7f\x81\x00\x02\x01\xff", 6));
      response->add_scales(0.5F);
      response->add_scales(0.25F);
    } else {
      for (float value : {63.5F, -63.5F, 0.0F, 0.5F, 0.25F, -0.25F}) {
        response->add_values(value);
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status DeleteUser(grpc::ServerContext*,
                          const v1::DeleteUserRequest* request,
                          v1::DeleteUserResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    auto user = fake_.users_.find(request->user_id());
    if (user == fake_.users_.end()) return grpc::Status::OK;
    response->set_found(true);
    response->set_events_deleted(user->second.events.size());
    fake_.users_.erase(user);
    return grpc::Status::OK;
  }

 private:
  FakeServer& fake_;
};

// Models "shop" 3 and "toy" 1 and 2, the last the default, in pages of two. The
// state of the first is one that only a newer server knows.
class FakeServer::Models final : public v1::ModelService::Service {
 public:
  grpc::Status ListModels(grpc::ServerContext*,
                          const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override {
    response->set_server_version("0.1.0 (58acfbc)");
    const size_t begin = request->page_token().empty() ? 0 : 2;
    for (size_t i = begin; i < kModels.size(); ++i) {
      const auto& [name, version] = kModels[i];
      if (!request->model_name().empty() && request->model_name() != name) {
        continue;
      }
      if (i == 2 && begin == 0) {
        response->set_next_page_token("more");
        break;
      }
      *response->add_models() = Describe(name, version);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetModel(grpc::ServerContext*,
                        const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override {
    const std::string name =
        request->model_name().empty() ? "toy" : request->model_name();
    const uint64_t version =
        request->model_version() == 0 ? 2 : request->model_version();
    if (name != "toy" || version > 2) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND,
                          absl::StrCat(name, "/", version, " is not served"));
    }
    response->set_server_version("0.1.0 (58acfbc)");
    response->mutable_limits()->set_max_user_id_bytes(256);
    response->mutable_limits()->set_max_candidates(50'000);
    response->mutable_limits()->set_max_recent_events(16);
    response->mutable_limits()->set_max_message_bytes(16 << 20);
    v1::Model& model = *response->mutable_model();
    model = Describe(name, version);
    model.set_description("For tests.");
    if (version == 1) return grpc::Status::OK;  // a model with few words
    v1::ModelSchema& schema = *model.mutable_schema();
    for (const double weight : {1.0, 2.5}) {
      v1::ModelSchema::Task& task = *schema.add_tasks();
      task.set_name(weight == 1 ? "click" : "like");
      task.set_dot_term(weight == 1);
      task.set_value_weight(weight);
    }
    schema.add_actions("view");
    schema.add_actions("buy");
    schema.add_event_features("price");
    schema.add_event_features("device=tv");
    v1::ModelSchema::Category* device = schema.add_event_categories();
    device->set_name("device");
    device->add_values("tv");
    schema.add_candidate_features("bid");
    schema.add_candidate_features("age");
    v1::ModelSchema::ContextFeature* feature = schema.add_context_features();
    feature->set_name("channel");
    feature->add_values("web");
    feature->add_values("app");
    feature->set_default_value("web");
    feature = schema.add_context_features();
    feature->set_name("hour");
    feature->add_boundaries(6);
    feature->add_boundaries(12.5);
    schema.set_num_seeds(16);
    schema.set_summary_width(32);
    return grpc::Status::OK;
  }

 private:
  static constexpr std::array<std::pair<const char*, uint64_t>, 3> kModels = {
      {{"shop", 3}, {"toy", 1}, {"toy", 2}}};

  static v1::Model Describe(const std::string& name, uint64_t version) {
    v1::Model model;
    model.set_name(name);
    model.set_version(version);
    model.set_is_default(version == 2);
    model.set_fingerprint("feed");
    model.set_state_fingerprint("feed.f32");
    model.set_scoring_precision(version == 2 ? v1::SCORING_PRECISION_INT8
                                             : v1::SCORING_PRECISION_F32);
    model.set_state_bytes(19'532);
    model.set_state(version == 3 ? static_cast<v1::ModelState>(99)
                                 : v1::MODEL_STATE_SERVING);
    model.set_num_items(12'345);
    if (version == 2) model.set_added_items(1'200);
    model.set_item_key_type(version == 2 ? v1::ITEM_KEY_TYPE_TEXT
                                         : v1::ITEM_KEY_TYPE_NUMBER);
    model.mutable_load_time()->set_seconds(1'500'000'000);
    model.mutable_load_time()->set_nanos(500'000'000);
    *model.mutable_state_time() = model.load_time();
    if (version == 2) {
      model.add_labels("stable");
      v1::PendingLabel& pending = *model.add_pending_labels();
      pending.set_label("canary");
      pending.set_model_version(2);
      pending.set_min_coverage(.99);
    }
    model.set_labels_etag("7");
    return model;
  }
};

// Model "toy", whose label "stable" went from 1 to 2 and whose labels have the
// etag 7. Nothing changes.
class FakeServer::ModelAdmin final : public v1::ModelAdminService::Service {
 public:
  grpc::Status LoadModel(grpc::ServerContext*,
                         const v1::LoadModelRequest* request,
                         v1::LoadModelResponse*) override {
    if (request->path() == "elsewhere") {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "path: \"elsewhere\"; must lie below model_base_path"};
    }
    return grpc::Status::OK;
  }
  grpc::Status UnloadModel(grpc::ServerContext*,
                           const v1::UnloadModelRequest* request,
                           v1::UnloadModelResponse* response) override {
    if (request->model_version() == 4 && request->drop_states()) {
      response->set_states_kept_for("toy/2");
      return grpc::Status::OK;
    }
    if (request->model_version() == 3) {
      response->set_states_dropped(request->drop_states());
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "model \"toy\" version 2 has labels that point to it: stable"};
  }
  grpc::Status SetLabel(grpc::ServerContext*,
                        const v1::SetLabelRequest* request,
                        v1::SetLabelResponse* response) override {
    if (!request->etag().empty() && request->etag() != "7") {
      return {grpc::StatusCode::ABORTED, "etag: \"6\"; changed meanwhile"};
    }
    if (IsTaken(*request)) return Taken();
    Describe(*response->mutable_labels());
    if (request->when_covered()) {
      v1::PendingLabel& pending =
          *response->mutable_labels()->add_pending_labels();
      pending.set_label(request->label());
      pending.set_model_version(request->model_version());
      pending.set_min_coverage(request->min_coverage());
      return grpc::Status::OK;
    }
    (*response->mutable_labels()->mutable_versions())[request->label()] =
        request->model_version();
    return grpc::Status::OK;
  }
  grpc::Status RemoveLabel(grpc::ServerContext*,
                           const v1::RemoveLabelRequest* request,
                           v1::RemoveLabelResponse* response) override {
    if (IsTaken(*request)) return Taken();
    Describe(*response->mutable_labels());
    response->mutable_labels()->mutable_versions()->erase(request->label());
    return grpc::Status::OK;
  }
  grpc::Status Rollback(grpc::ServerContext*,
                        const v1::RollbackRequest* request,
                        v1::RollbackResponse* response) override {
    if (IsTaken(*request)) return Taken();
    (*response->mutable_labels()->mutable_versions())["stable"] = 1;
    response->mutable_labels()->set_etag("8");
    return grpc::Status::OK;
  }
  grpc::Status SetTraffic(grpc::ServerContext*,
                          const v1::SetTrafficRequest* request,
                          v1::SetTrafficResponse* response) override {
    if (IsTaken(*request)) return Taken();
    Describe(*response->mutable_labels());
    auto& traffic = *response->mutable_labels()->mutable_traffic();
    traffic.set_label(request->label());
    traffic.set_share(request->share());
    *traffic.mutable_user_ids() = request->user_ids();
    return grpc::Status::OK;
  }
  grpc::Status SetShadow(grpc::ServerContext*,
                         const v1::SetShadowRequest* request,
                         v1::SetShadowResponse* response) override {
    if (IsTaken(*request)) return Taken();
    Describe(*response->mutable_labels());
    auto& shadow = *response->mutable_labels()->mutable_shadow();
    shadow.set_label(request->label());
    shadow.set_model_version(request->model_version());
    shadow.set_sample(request->sample());
    return grpc::Status::OK;
  }

 private:
  template <typename Request>
  static bool IsTaken(const Request& request) {
    return request.request_id() == kTakenId;
  }
  static grpc::Status Taken() {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            absl::StrCat("request_id: \"", kTakenId,
                         "\"; is that of another change")};
  }
  static void Describe(v1::ModelLabels& labels) {
    labels.set_model_name("toy");
    (*labels.mutable_versions())["stable"] = 2;
    labels.set_version_before_stable(1);
    labels.set_etag("8");
  }
};

// A store of files, and a model in each precision that there is or may come.
class FakeServer::Admin final : public v1::AdminService::Service {
 public:
  grpc::Status GetServerInfo(grpc::ServerContext*,
                             const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    response->set_server_version("0.1.0 (58acfbc)");
    response->set_store_format(2);
    response->set_num_partitions(4096);
    response->set_catalogue_version(7);
    response->set_num_owners(2);
    for (int precision = 1; precision <= 4; ++precision) {
      v1::Model& model = *response->add_models();
      model.set_name("toy");
      model.set_version(precision);
      model.set_is_default(precision == 3);
      model.set_state_fingerprint(absl::StrCat("feed", precision));
      model.set_scoring_precision(
          static_cast<v1::ScoringPrecision>(precision));
      model.set_state_bytes(19'532);
    }
    for (int kept = 4; kept <= 5; ++kept) {
      v1::StoredStates& states = *response->add_stored_states();
      states.set_state_fingerprint(absl::StrCat("feed", kept));
      states.set_users(1234 * kept);
      states.set_bytes(1'234'567);
    }
    return grpc::Status::OK;
  }
};

FakeServer::FakeServer()
    : ingest_(std::make_unique<Ingest>(*this)),
      rank_(std::make_unique<Ranker>(*this)),
      state_(std::make_unique<State>(*this)),
      models_(std::make_unique<Models>()),
      model_admin_(std::make_unique<ModelAdmin>()),
      admin_(std::make_unique<Admin>()) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(ingest_.get());
  builder.RegisterService(rank_.get());
  builder.RegisterService(state_.get());
  builder.RegisterService(models_.get());
  builder.RegisterService(model_admin_.get());
  builder.RegisterService(admin_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
  SetServing(true);
}

FakeServer::~FakeServer() { Shutdown(); }

void FakeServer::Shutdown() {
  server_->Shutdown(std::chrono::system_clock::now());
}

void FakeServer::SetFaults(Faults faults) {
  absl::MutexLock lock(&mutex_);
  faults_ = faults;
}

void FakeServer::SetServing(bool serving) {
  auto* health = server_->GetHealthCheckService();
  for (const char* service :
       {"", "qlarank.v1.RankService", "qlarank.v1.IngestService",
        "qlarank.v1.StateService", "qlarank.v1.ModelService"}) {
    health->SetServingStatus(service, serving);
  }
}

namespace {

void Refuse(int index, const char* reason, grpc::StatusCode code,
            const std::string& message, v1::AppendEventsResponse& response,
            uint64_t behind = 0) {
  google::rpc::ErrorInfo info;
  info.set_domain("qlarank");
  info.set_reason(reason);
  if (behind != 0) {
    (*info.mutable_metadata())["sequence"] = absl::StrCat(behind);
  }
  v1::Refusal& refusal = *response.add_refusals();
  refusal.set_index(static_cast<uint32_t>(index));
  refusal.mutable_status()->set_code(code);
  refusal.mutable_status()->set_message(message);
  refusal.mutable_status()->add_details()->PackFrom(info);
}

}  // namespace

// Whether an event is taken, a duplicate or refused: the rules of the real
// server. What is refused holds back what follows, unless it is given up.
v1::EventOutcome FakeServer::AppendOne(const v1::AppendEventsRequest& request,
                                       int index,
                                       v1::AppendEventsResponse& response) {
  const v1::UserEvent& event = request.events(index);
  User& user = users_[event.user_id()];
  uint64_t& watermark = user.watermarks[request.source()];
  uint64_t& fence = user.fences[request.source()];  // 0: none
  auto mark = marks_.find(request.source());
  const uint64_t marked =
      mark == marks_.end() ? 0 : mark->second.complete_through();
  if (event.sequence() <= std::max(watermark, marked)) {
    return v1::EVENT_OUTCOME_DUPLICATE;
  }
  const bool again = fence == event.sequence();
  if (fence != 0 && event.sequence() > fence) {
    Refuse(index, "HELD_BACK", grpc::StatusCode::ABORTED,
           absl::StrCat("events[", index, "] is held back"), response, fence);
    return v1::EVENT_OUTCOME_REFUSED;
  }
  const bool damaged = event.user_id() == kDamagedUser;
  if (!event.has_event() || event.event().action() == kBadAction || damaged) {
    Refuse(index, damaged ? "DAMAGED_LOG" : "INVALID_EVENT",
           damaged ? grpc::StatusCode::DATA_LOSS
                   : grpc::StatusCode::INVALID_ARGUMENT,
           absl::StrCat("events[", index,
                        damaged ? "].user_id: its log is damaged"
                                : "].event.action: \"bad\" is unknown"),
           response);
    if (!request.give_up_refused()) {
      fence = event.sequence();
    } else if (again) {
      fence = 0;
    }
    return v1::EVENT_OUTCOME_REFUSED;
  }
  if (event.event().action() == "slow" && faults_.unwritten > 0) {
    --faults_.unwritten;
    fence = event.sequence();
    Refuse(index, "NOT_WRITTEN", grpc::StatusCode::UNAVAILABLE,
           "the log could not be written", response);
    return v1::EVENT_OUTCOME_REFUSED;
  }
  fence = 0;
  watermark = event.sequence();
  user.events.push_back(event);
  return v1::EVENT_OUTCOME_APPLIED;
}

grpc::Status FakeServer::Append(const v1::AppendEventsRequest& request,
                                v1::AppendEventsResponse& response) {
  absl::MutexLock lock(&mutex_);
  ++num_batches_;
  for (int i = 0; i < request.events_size(); ++i) {
    const v1::EventOutcome outcome = AppendOne(request, i, response);
    response.add_outcomes(outcome);
    if (faults_.untold > 0) {
      --faults_.untold;
      continue;
    }
    if (outcome == v1::EVENT_OUTCOME_APPLIED) {
      response.set_applied(response.applied() + 1);
    } else if (outcome == v1::EVENT_OUTCOME_DUPLICATE) {
      response.set_duplicates(response.duplicates() + 1);
    }
  }
  if (response.applied() == static_cast<uint64_t>(request.events_size())) {
    response.clear_outcomes();
  }
  if (response.applied() + response.duplicates() > 0 ||
      response.refusals().empty()) {
    return grpc::Status::OK;
  }
  const google::rpc::Status& first = response.refusals(0).status();
  return grpc::Status(static_cast<grpc::StatusCode>(first.code()),
                      first.message());
}

uint64_t FakeServer::MarkOf(const std::string& source) const {
  absl::MutexLock lock(&mutex_);
  auto mark = marks_.find(source);
  return mark == marks_.end() ? 0 : mark->second.complete_through();
}

int FakeServer::num_batches() const {
  absl::MutexLock lock(&mutex_);
  return num_batches_;
}

v1::StateInfo FakeServer::InfoOf(const std::string& user) const
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  v1::StateInfo info;
  auto found = users_.find(user);
  if (found == users_.end()) return info;
  const std::vector<v1::UserEvent>& events = found->second.events;
  info.set_found(!events.empty());
  info.set_event_count(events.size());
  info.set_folded_sequence(events.size());
  info.set_log_sequence(events.size());
  for (const v1::UserEvent& event : events) {
    if (event.event().time().seconds() >= info.last_event_time().seconds()) {
      *info.mutable_last_event_time() = event.event().time();
    }
  }
  return info;
}

std::vector<v1::UserEvent> FakeServer::EventsOf(const std::string& user) const {
  absl::MutexLock lock(&mutex_);
  auto found = users_.find(user);
  return found == users_.end() ? std::vector<v1::UserEvent>()
                               : found->second.events;
}

size_t FakeServer::num_events() const {
  absl::MutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [name, user] : users_) count += user.events.size();
  return count;
}

v1::RankRequest FakeServer::last_rank() const {
  absl::MutexLock lock(&mutex_);
  return ranks_.empty() ? v1::RankRequest() : ranks_.back();
}

std::vector<v1::RankRequest> FakeServer::ranks() const {
  absl::MutexLock lock(&mutex_);
  return ranks_;
}

}  // namespace qlarank
