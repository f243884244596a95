// A model as it is shipped: the folder models/<name>/<version>/ of
// docs/model.md section 6, loaded and checked.
//
// Immutable after Load, so safe to share between threads. Everything is in
// memory, and what was checked is what is served: whatever happens to the files
// afterwards, an export over them too, changes nothing.
#ifndef QLARANK_MODEL_BUNDLE_H_
#define QLARANK_MODEL_BUNDLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/context_feature.h"
#include "model/item_index.h"
#include "model/tensor_file.h"
#include "qlarank/model/v1/golden_requests.pb.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

class Bundle {
 public:
  // The row of every item that the catalogue does not hold.
  static constexpr uint32_t kOutOfVocabularyRow = ItemIndex::kNoRow;
  // The row of an action that the model does not know; such an event is folded
  // without an action embedding.
  static constexpr uint32_t kUnknownAction = UINT32_MAX;

  // Reads and checks the bundle in `folder`: the spec's fields, every tensor's
  // presence, dtype, shape and finiteness, the files' digests, the fingerprint,
  // and that the golden requests can be asked. What they are answered is for
  // golden_replay.h to check.
  //
  // NOT_FOUND         the folder or one of its files is missing
  // INVALID_ARGUMENT  the spec or a tensor is not what docs/model.md asks for
  // DATA_LOSS         a file is truncated or not the one the spec was written
  // for
  static absl::StatusOr<std::shared_ptr<const Bundle>> Load(
      const std::string& folder);

  // Only the spec, read and checked likewise.
  static absl::StatusOr<model::v1::ModelSpec> LoadSpec(
      const std::string& folder);

  const model::v1::ModelSpec& spec() const { return spec_; }
  // Of all that shapes a state, without the version of the engine's arithmetic.
  const std::string& fingerprint() const { return spec_.fingerprint(); }
  const std::string& folder() const { return folder_; }

  // Without cases, where the bundle has none.
  const model::v1::GoldenRequests& golden_requests() const {
    return golden_requests_;
  }

  const TensorFile& weights() const { return *weights_; }
  const TensorFile& items() const { return *items_; }
  // What makes rows of what is said of items; null: nothing.
  const TensorFile* content() const { return content_.get(); }
  bool HasTensor(absl::string_view name) const;
  // The values of a tensor that the schema requires, row-major.
  // REQUIRES: HasTensor(name), and that it is F32.
  absl::Span<const float> tensor(absl::string_view name) const;

  // Ids of the catalogue; item k has row k + 1.
  absl::Span<const uint64_t> item_ids() const;
  // The item's row, or kOutOfVocabularyRow.
  uint32_t ItemRow(uint64_t item_id) const { return items_by_id_.Row(item_id); }
  // The rows of many items at once, into a span as long; much faster.
  void ItemRows(absl::Span<const uint64_t> item_ids,
                absl::Span<uint32_t> rows) const {
    items_by_id_.Rows(item_ids, rows);
  }
  // The item's title; empty when the bundle has none.
  absl::string_view Title(uint64_t item_id) const;

  // The action's index in spec().actions(); "" is the first; kUnknownAction
  // when there is no such action.
  uint32_t ActionIndex(absl::string_view action) const;
  // Index in spec().context_features(), or nullopt.
  std::optional<uint32_t> ContextFeatureIndex(absl::string_view name) const;
  // In the order of spec().context_features().
  absl::Span<const ContextFeature> context_features() const {
    return context_;
  }
  std::optional<uint32_t> TaskIndex(absl::string_view task) const;

 private:
  Bundle() = default;

  // Reads the tensors that the spec asks for, and checks the fingerprint.
  absl::Status LoadAllTensors();
  void IndexVocabularies();

  std::string folder_;
  model::v1::ModelSpec spec_;
  model::v1::GoldenRequests golden_requests_;
  std::unique_ptr<TensorFile> weights_;
  std::unique_ptr<TensorFile> items_;
  std::unique_ptr<TensorFile> content_;  // or null
  ItemIndex items_by_id_;
  absl::flat_hash_map<uint64_t, std::string> titles_;
  absl::flat_hash_map<std::string, uint32_t> actions_;
  absl::flat_hash_map<std::string, uint32_t> tasks_;
  absl::flat_hash_map<std::string, uint32_t> context_features_;
  std::vector<ContextFeature> context_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_BUNDLE_H_
