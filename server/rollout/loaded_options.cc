#include "server/rollout/loaded_options.h"

#include "absl/algorithm/container.h"
#include "server/rollout/bundle_folder.h"

namespace qlarank {

ModelOptions OptionsOfLoaded(const LoadedByRequest& wanted,
                             const std::string& folder,
                             absl::Span<const ModelOptions> configured,
                             uint64_t max_added_items) {
  ModelOptions options;
  for (const ModelOptions& model : configured) {
    if (model.name == wanted.name) options = model;
  }
  options.name = wanted.name;
  options.version = wanted.version;
  options.path = folder;
  options.expected_fingerprint.clear();
  options.default_model = false;
  options.max_added_items = max_added_items;
  return options;
}

absl::StatusOr<std::vector<RememberedModel>> RememberedModels(
    const ServerOptions& options, const EventLog& store) {
  const absl::StatusOr<ServedModels> served = ReadServedModels(store);
  if (!served.ok()) return served.status();
  std::vector<RememberedModel> remembered;
  for (const LoadedByRequest& wanted : served->loaded) {
    if (absl::c_any_of(options.models, [&](const ModelOptions& model) {
          return model.name == wanted.name && model.version == wanted.version;
        })) {
      continue;
    }
    const auto folder = BundleFolder(options.model_base_path, wanted);
    if (!folder.ok()) {
      remembered.push_back({wanted, folder.status()});
      continue;
    }
    remembered.push_back(
        {wanted, OptionsOfLoaded(wanted, *folder, options.models,
                          options.catalogue.max_added_items)});
  }
  return remembered;
}

}  // namespace qlarank
