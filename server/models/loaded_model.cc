#include "server/models/loaded_model.h"

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

// What the trainer writes for items that are known by texts, and for no others.
// Ranking has no need of it: the ids follow from the texts.
bool HasItemKeys(const Bundle& bundle) {
  std::error_code error;
  return std::filesystem::exists(
      absl::StrCat(bundle.folder(), "/item_keys.tsv"), error);
}

}  // namespace

LoadedModelPtr MakeLoadedModel(std::string name, uint64_t version,
                               std::shared_ptr<const Engine> engine,
                               EventFeatures features, absl::Time load_time) {
  static std::atomic<uint32_t> next_id = 1;
  const bool items_are_texts = HasItemKeys(engine->bundle());
  const model::v1::ModelSpec& spec = engine->bundle().spec();
  CategoryFeatures event_categories(spec.event_categories(),
                                    spec.event_features_size());
  CategoryFeatures candidate_categories(spec.candidate_categories(),
                                        spec.candidate_features_size());
  return std::make_shared<LoadedModel>(
      LoadedModel{next_id.fetch_add(1, std::memory_order_relaxed),
                  std::move(name), version, std::move(engine),
                  std::move(features), items_are_texts, load_time,
                  std::move(event_categories),
                  std::move(candidate_categories)});
}

}  // namespace qlarank
