#include "model/catalogue.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

// Numbers of rows have 32 bits.
size_t MostRows(size_t first_added, size_t most_added_rows) {
  return std::min<size_t>(most_added_rows,
                          std::numeric_limits<uint32_t>::max() - first_added);
}

absl::Status CheckValue(absl::string_view field, float value) {
  if (std::abs(value) <= Catalogue::kMostMagnitude) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, "; expected ",
                   -Catalogue::kMostMagnitude, " to ",
                   Catalogue::kMostMagnitude));
}

}  // namespace

Catalogue::Catalogue(const Bundle& bundle, size_t most_added_rows,
                     ItemTable& table)
    : bundle_(bundle),
      first_added_(static_cast<uint32_t>(bundle.spec().num_items() + 1)),
      table_(table),
      added_(first_added_, MostRows(first_added_, most_added_rows)),
      removed_(first_added_ + added_.most_rows()) {}

uint64_t Catalogue::MostBytes(const model::v1::ModelSpec& spec,
                              uint64_t most_added_rows,
                              uint64_t most_share_bytes) {
  return AddedItems::Bytes(most_added_rows) +
         ItemTable::AddedBytes(spec, most_added_rows, most_share_bytes) +
         RemovedRows::Bytes(spec.num_items() + 1 + most_added_rows);
}

uint32_t Catalogue::Row(uint64_t item_id) const {
  const uint32_t added = added_.Newest(item_id);
  return added != AddedItems::kNone ? added : bundle_.ItemRow(item_id);
}

void Catalogue::Rows(absl::Span<const uint64_t> item_ids,
                     absl::Span<uint32_t> rows) const {
  bundle_.ItemRows(item_ids, rows);
  if (added_.num_rows() > 0) added_.PutNewest(item_ids, rows);
}

uint32_t Catalogue::RowAsOf(uint64_t item_id, uint64_t version) const {
  const uint32_t added = added_.NewestAsOf(item_id, version);
  return added != AddedItems::kNone ? added : bundle_.ItemRow(item_id);
}

absl::Status Catalogue::Check(absl::Span<const float> embedding,
                              float bias) const {
  const size_t d_model = bundle_.spec().d_model();
  if (embedding.size() != d_model) {
    return absl::InvalidArgumentError(absl::StrCat(
        "embedding: ", embedding.size(), " values; the model has ", d_model));
  }
  for (size_t i = 0; i < d_model; ++i) {
    absl::Status status =
        CheckValue(absl::StrCat("embedding[", i, "]"), embedding[i]);
    if (!status.ok()) return status;
  }
  return CheckValue("bias", bias);
}

absl::Status Catalogue::Add(uint64_t item_id, uint64_t version,
                            absl::Span<const float> embedding, float bias) {
  if (absl::Status status = Check(embedding, bias); !status.ok()) {
    return status;
  }
  if (version <= added_.newest_version()) {
    return absl::FailedPreconditionError(
        absl::StrCat("catalogue version ", version, " after ",
                     added_.newest_version()));
  }
  if (room() == 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the model has ", num_added_rows(),
                     " added rows already, and no room for more"));
  }
  const auto row = static_cast<uint32_t>(num_rows());
  const uint32_t before = Row(item_id);
  table_.Put(row, embedding, bias);
  added_.Append(item_id, version,
                before == Bundle::kOutOfVocabularyRow ? row : Identity(before));
  return absl::OkStatus();
}

void Catalogue::SetRemoved(uint64_t item_id, bool removed) {
  const uint32_t row = Row(item_id);
  if (row != Bundle::kOutOfVocabularyRow) removed_.Set(Identity(row), removed);
}

}  // namespace qlarank
