#include "tests/testing/requests.h"

#include <cstdlib>
#include <iostream>

#include "server/work/proto_time.h"

namespace qlarank::testing {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

// A small multiple of 1/64 that depends on all of the arguments, and is the
// same in every process.
float Feature(uint64_t a, uint64_t b) {
  return static_cast<float>((a * 31 + b * 17) % 128) / 64 - 1;
}

uint64_t StableHash(const std::string& text) {
  uint64_t hash = 1469598103934665603;  // FNV-1a
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211;
  return hash;
}

}  // namespace

ModelOptions GoldenModel(const std::string& name) {
  ModelOptions model;
  model.name = name;
  model.version = 1;
  model.path = std::string(QLARANK_GOLDEN_DIR) + "/" + name + "/bundle";
  model.default_model = true;
  return model;
}

std::shared_ptr<const Bundle> LoadGolden(const ModelOptions& model) {
  auto bundle = Bundle::Load(model.path);
  if (!bundle.ok()) {
    std::cerr << bundle.status() << "\n";
    std::abort();
  }
  return *std::move(bundle);
}

ServerOptions TestOptions(const ModelOptions& model) {
  ServerOptions options;
  options.listen.grpc_address = "127.0.0.1:0";
  options.listen.http_address = "127.0.0.1:0";
  options.models = {model};
  options.store.engine = StoreEngine::kMemory;
  options.rank.workers = 2;
  return options;
}

v1::Event MakeEvent(const Bundle& bundle, const std::string& user_id,
                    uint64_t n) {
  const uint64_t seed = StableHash(user_id) % 1000 + n * 7;
  const auto& spec = bundle.spec();
  v1::Event event;
  event.set_item_id(bundle.item_ids()[seed % bundle.item_ids().size()]);
  event.set_action(spec.actions(seed % spec.actions_size()));
  *event.mutable_time() = FromMicros(kEpochUs + n * kMinuteUs);
  for (int i = 0; i < spec.event_features_size(); ++i) {
    event.add_features(Feature(seed, i));
  }
  return event;
}

void AddEvent(const Bundle& bundle, const std::string& user_id, uint64_t n,
              v1::AppendEventsRequest& request) {
  v1::UserEvent& event = *request.add_events();
  event.set_user_id(user_id);
  event.set_sequence(n);
  *event.mutable_event() = MakeEvent(bundle, user_id, n);
}

v1::AppendEventsRequest MakeAppend(const Bundle& bundle,
                                   const std::string& user_id, uint64_t first,
                                   uint64_t last, const std::string& source) {
  v1::AppendEventsRequest request;
  request.set_source(source);
  for (uint64_t n = first; n <= last; ++n) {
    AddEvent(bundle, user_id, n, request);
  }
  return request;
}

v1::RankRequest MakeRank(const Bundle& bundle, const std::string& user_id,
                         const std::vector<uint64_t>& item_ids) {
  const auto& spec = bundle.spec();
  v1::RankRequest request;
  request.set_user_id(user_id);
  *request.mutable_request_time() = FromMicros(kEpochUs + 1000 * kMinuteUs);
  for (const auto& feature : spec.context_features()) {
    (*request.mutable_context())[feature.name()] = feature.values(0);
  }
  for (const uint64_t item_id : item_ids) {
    request.add_item_ids(item_id);
    for (int i = 0; i < spec.candidate_features_size(); ++i) {
      request.add_candidate_features(Feature(item_id, i));
    }
  }
  return request;
}

std::vector<uint64_t> CatalogueItems(const Bundle& bundle, size_t n) {
  std::vector<uint64_t> item_ids;
  for (size_t i = 0; i < n; ++i) {
    item_ids.push_back(bundle.item_ids()[i % bundle.item_ids().size()]);
  }
  return item_ids;
}

}  // namespace qlarank::testing
