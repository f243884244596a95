#include "cli/item_features.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/csv_reader.h"
#include "cli/decimal.h"
#include "cli/input_file.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

absl::Status Bad(const CsvReader& reader, const std::string& column,
                 const std::string& value, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat(reader.Position(), ": ", column, " \"", ShownText(value),
                   "\" ", problem));
}

using Features = absl::flat_hash_map<uint64_t, std::vector<float>>;

absl::StatusOr<Features> Load(const std::string& path, const ItemColumn& items,
                              const std::vector<std::string>& names) {
  absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  CsvReader reader((*file)->stream(), path);
  if (absl::Status s = reader.ReadHeader(); !s.ok()) return s;
  absl::StatusOr<size_t> item = reader.Column(items.name, "--item-column");
  if (!item.ok()) return item.status();
  std::vector<size_t> columns;
  for (const std::string& name : names) {
    absl::StatusOr<size_t> column = reader.Column(name);
    if (!column.ok()) return column.status();
    columns.push_back(*column);
  }
  Features features;
  std::vector<std::string> fields;
  for (;;) {
    absl::StatusOr<bool> read = reader.ReadRow(fields);
    if (absl::Status s = (*file)->status(); !s.ok()) return s;
    if (!read.ok()) return read.status();
    if (!*read) return features;
    absl::StatusOr<uint64_t> id = ParseItem(fields[*item], items.keys);
    if (!id.ok()) {
      return Bad(reader, items.name, fields[*item], id.status().message());
    }
    auto [of_item, is_new] = features.try_emplace(*id);
    if (!is_new) {
      return Bad(reader, items.name, fields[*item], "has a line already");
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      absl::StatusOr<float> value = ParseFinite(fields[columns[i]]);
      if (!value.ok()) {
        return Bad(reader, names[i], fields[columns[i]],
                   value.status().message());
      }
      of_item->second.push_back(*value);
    }
  }
}

}  // namespace

absl::Status FillFeatures(const model::v1::ModelSpec& model,
                          const std::string& path, const ItemColumn& items,
                          v1::RankRequest& request) {
  const std::vector<std::string> names(model.candidate_features().begin(),
                                       model.candidate_features().end());
  if (names.empty() != path.empty()) {
    return absl::InvalidArgumentError(
        names.empty()
            ? absl::StrCat("--features ", path,
                           ": the model has no candidate features")
            : absl::StrCat("the model has candidate features (",
                           absl::StrJoin(names, ", "),
                           "): --features FILE says what they are of each "
                           "item"));
  }
  if (names.empty()) return absl::OkStatus();
  absl::StatusOr<Features> features = Load(path, items, names);
  if (!features.ok()) return features.status();
  for (uint64_t id : request.item_ids()) {
    auto found = features->find(id);
    if (found == features->end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " has no line for item ", id, ", which is a candidate"));
    }
    request.mutable_candidate_features()->Add(found->second.begin(),
                                              found->second.end());
  }
  return absl::OkStatus();
}

}  // namespace qlarank
