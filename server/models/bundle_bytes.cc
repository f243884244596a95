#include "server/models/bundle_bytes.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "model/bundle.h"
#include "model/item_table.h"

namespace qlarank {
namespace {

uint64_t FolderBytes(const std::string& path) {
  std::error_code error;
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(path, error)) {
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

uint64_t BundleBytes(const ModelOptions& model) {
  uint64_t bytes = FolderBytes(model.path);
  // Whoever loads the model says what is wrong with it.
  if (const auto spec = Bundle::LoadSpec(model.path); spec.ok()) {
    bytes += ItemTable::Bytes(*spec, model.item_share_bytes);
  }
  return bytes;
}

}  // namespace qlarank
