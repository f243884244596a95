#include "tests/model/golden.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"

namespace qlarank::testing {
namespace {

using nlohmann::json;

template <typename T>
T ValueOrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::cerr << value.status() << "\n";
    std::abort();
  }
  return *std::move(value);
}

uint32_t ItemRowOf(const Bundle& bundle, const json& item_id) {
  uint64_t id = 0;
  if (!absl::SimpleAtoi(item_id.get<std::string>(), &id)) std::abort();
  return bundle.ItemRow(id);
}

// Numbers of nested arrays, in order.
template <typename T>
void Flatten(const json& value, std::vector<T>& out) {
  if (value.is_array()) {
    for (const json& element : value) Flatten(element, out);
  } else {
    out.push_back(value.get<T>());
  }
}

GoldenEvents ReadEvents(const Bundle& bundle, const json& list) {
  GoldenEvents events;
  for (const json& entry : list) {
    ModelEvent event;
    event.item_row = ItemRowOf(bundle, entry.at("item_id"));
    event.action = bundle.ActionIndex(entry.at("action").get<std::string>());
    event.time_us = entry.at("time_us").get<int64_t>();
    std::vector<float> features;
    if (entry.contains("features")) Flatten(entry.at("features"), features);
    events.Add(event, std::move(features));
  }
  return events;
}

std::vector<uint32_t> ReadContext(const Bundle& bundle, const json& request) {
  std::vector<uint32_t> rows(bundle.spec().context_features_size());
  if (!request.contains("context")) return rows;
  for (const auto& [name, value] : request.at("context").items()) {
    const uint32_t feature = bundle.ContextFeatureIndex(name).value();
    rows[feature] =
        bundle.context_features()[feature].Row(value.get<std::string>());
  }
  return rows;
}

GoldenCase ReadCase(const Bundle& bundle, const json& entry) {
  GoldenCase result;
  result.name = entry.at("name");
  result.history = entry.at("history");
  result.num_events = entry.at("num_events");
  const json& request = entry.at("request");
  result.request_time_us = request.at("time_us");
  if (request.contains("recent_events")) {
    result.recent_events = ReadEvents(bundle, request.at("recent_events"));
  }
  result.context_rows = ReadContext(bundle, request);
  for (const json& item_id : request.at("item_ids")) {
    result.item_rows.push_back(ItemRowOf(bundle, item_id));
  }
  if (request.contains("candidate_features")) {
    Flatten(request.at("candidate_features"), result.candidate_features);
  }
  Flatten(entry.at("user_vector"), result.user_vector);
  Flatten(entry.at("scores"), result.scores);
  if (entry.contains("state")) {
    const json& state = entry.at("state");
    Flatten(state.at("z"), result.state);
    Flatten(state.at("window"), result.state);
  }
  if (entry.contains("summaries")) {
    Flatten(entry.at("summaries"), result.summaries);
  }
  return result;
}

GoldenContent ReadContent(const json& entry) {
  GoldenContent result;
  for (const auto& [name, cell] : entry.at("attributes").items()) {
    result.content.attributes[name] = {cell.get<std::string>()};
  }
  for (const auto& [name, number] : entry.at("numbers").items()) {
    result.content.numbers[name] = number.get<double>();
  }
  Flatten(entry.at("embedding"), result.embedding);
  result.bias = entry.at("bias");
  return result;
}

}  // namespace

void GoldenEvents::Add(ModelEvent event, std::vector<float> features) {
  events_.push_back(event);
  features_.push_back(std::move(features));
}

std::vector<ModelEvent> GoldenEvents::First(size_t n) const {
  std::vector<ModelEvent> first(events_.begin(), events_.begin() + n);
  for (size_t i = 0; i < n; ++i) first[i].features = features_[i];
  return first;
}

std::vector<std::string> GoldenModelNames() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(QLARANK_GOLDEN_DIR)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string GoldenBundleFolder(const std::string& name) {
  return std::string(QLARANK_GOLDEN_DIR) + "/" + name + "/bundle";
}

GoldenModel LoadGoldenModel(const std::string& name, Precision precision) {
  return LoadGoldenModel(name, Engine::Options{precision});
}

GoldenModel LoadGoldenModel(const std::string& name,
                            const Engine::Options& options) {
  GoldenModel model;
  model.bundle = ValueOrDie(Bundle::Load(GoldenBundleFolder(name)));
  model.engine = ValueOrDie(Engine::Create(model.bundle, options));
  std::ifstream file(std::string(QLARANK_GOLDEN_DIR) + "/" + name +
                     "/cases.json");
  const json cases = json::parse(file);
  for (const auto& [history, events] : cases.at("histories").items()) {
    model.histories.emplace(history, ReadEvents(*model.bundle, events));
  }
  for (const json& entry : cases.at("cases")) {
    model.cases.push_back(ReadCase(*model.bundle, entry));
  }
  if (cases.contains("contents")) {
    for (const json& entry : cases.at("contents")) {
      model.contents.push_back(ReadContent(entry));
    }
  }
  return model;
}

std::shared_ptr<const UserState> FoldHistory(const GoldenModel& model,
                                             const std::string& history,
                                             size_t num_events) {
  const auto events = model.histories.at(history).First(num_events);
  FoldJob job{model.engine->empty_state(), events, nullptr};
  model.engine->Fold(absl::MakeSpan(&job, 1), *model.engine->NewScratch());
  return job.after;
}

}  // namespace qlarank::testing
