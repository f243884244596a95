#include "server/models/bundle_bytes.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "model/bundle.h"
#include "model/catalogue.h"
#include "model/item_table.h"

namespace qlarank {
namespace {

// But for the items' file if they are served from a file of our own.
uint64_t FolderBytes(const ModelOptions& model) {
  std::error_code error;
  uint64_t bytes = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(model.path, error)) {
    if (!model.item_table_path.empty() &&
        file.path().filename() == "items.safetensors") {
      continue;
    }
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

uint64_t BundleBytes(const ModelOptions& model) {
  uint64_t bytes = FolderBytes(model);
  // Whoever loads the model says what is wrong with it.
  if (const auto spec = Bundle::LoadSpec(model.path); spec.ok()) {
    bytes += model.item_table_path.empty()
                 ? ItemTable::Bytes(*spec, model.item_share_bytes)
                 : ItemTable::ResidentBytes(*spec);
    bytes += Catalogue::MostBytes(*spec, model.max_added_items,
                                  model.item_share_bytes);
  }
  return bytes;
}

}  // namespace qlarank
