#include "cli/item_features.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/category_column.h"
#include "cli/csv_reader.h"
#include "cli/decimal.h"
#include "cli/input_file.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

// What a model wants to know of items, and what is known of one.
struct Wanted {
  std::vector<std::string> numbers;
  std::vector<CategoryColumn> categories;

  bool empty() const { return numbers.empty() && categories.empty(); }
};

struct OfItem {
  std::vector<float> numbers;
  std::vector<std::string> cells;  // one for each category
};

using Features = absl::flat_hash_map<uint64_t, OfItem>;

class FeaturesFile {
 public:
  FeaturesFile(CsvReader& reader, const ItemColumn& items, Wanted wanted)
      : reader_(reader), items_(items), wanted_(std::move(wanted)) {}

  // Finds the columns. INVALID_ARGUMENT names one that is missing.
  absl::Status ReadHeader();
  // The next line's; false at the end.
  absl::StatusOr<bool> ReadRow(Features& features);

 private:
  absl::Status Bad(const std::string& column, const std::string& value,
                   absl::string_view problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat(reader_.Position(), ": ", column, " \"",
                     ShownText(value), "\" ", problem));
  }

  CsvReader& reader_;
  const ItemColumn& items_;
  const Wanted wanted_;
  size_t item_ = 0;
  std::vector<size_t> numbers_;
  std::vector<size_t> cells_;
  std::vector<std::string> fields_;
};

absl::Status FeaturesFile::ReadHeader() {
  if (absl::Status s = reader_.ReadHeader(); !s.ok()) return s;
  absl::StatusOr<size_t> item = reader_.Column(items_.name, "--item-column");
  if (!item.ok()) return item.status();
  item_ = *item;
  for (const std::string& name : wanted_.numbers) {
    absl::StatusOr<size_t> column = reader_.Column(name);
    if (!column.ok()) return column.status();
    numbers_.push_back(*column);
  }
  for (const CategoryColumn& category : wanted_.categories) {
    absl::StatusOr<size_t> column = reader_.Column(category.name);
    if (!column.ok()) return column.status();
    cells_.push_back(*column);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FeaturesFile::ReadRow(Features& features) {
  absl::StatusOr<bool> read = reader_.ReadRow(fields_);
  if (!read.ok() || !*read) return read;
  absl::StatusOr<uint64_t> id = ParseItem(fields_[item_], items_.keys);
  if (!id.ok()) {
    return Bad(items_.name, fields_[item_], id.status().message());
  }
  auto [of_item, is_new] = features.try_emplace(*id);
  if (!is_new) return Bad(items_.name, fields_[item_], "has a line already");
  for (size_t i = 0; i < numbers_.size(); ++i) {
    const std::string& field = fields_[numbers_[i]];
    absl::StatusOr<float> value = ParseFinite(field);
    if (!value.ok()) {
      return Bad(wanted_.numbers[i], field, value.status().message());
    }
    of_item->second.numbers.push_back(*value);
  }
  for (size_t i = 0; i < cells_.size(); ++i) {
    const std::string& field = fields_[cells_[i]];
    if (!IsUtf8(field)) {
      return Bad(wanted_.categories[i].name, field, "is not UTF-8");
    }
    of_item->second.cells.push_back(field);
  }
  return true;
}

absl::StatusOr<Features> Load(const std::string& path, const ItemColumn& items,
                              const Wanted& wanted) {
  absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  CsvReader reader((*file)->stream(), path);
  FeaturesFile features_file(reader, items, wanted);
  if (absl::Status s = features_file.ReadHeader(); !s.ok()) return s;
  Features features;
  for (;;) {
    absl::StatusOr<bool> read = features_file.ReadRow(features);
    if (absl::Status s = (*file)->status(); !s.ok()) return s;
    if (!read.ok()) return read.status();
    if (!*read) return features;
  }
}

void Fill(const OfItem& item, const Wanted& wanted, v1::RankRequest& request) {
  request.mutable_candidate_features()->Add(item.numbers.begin(),
                                            item.numbers.end());
  for (size_t i = 0; i < wanted.categories.size(); ++i) {
    auto& category =
        *request.mutable_candidate_categories(static_cast<int>(i));
    AddValues(item.cells[i], wanted.categories[i],
              *category.add_candidates()->mutable_values());
  }
}

}  // namespace

absl::Status FillFeatures(const model::v1::ModelSpec& model,
                          const std::string& path, const ItemColumn& items,
                          v1::RankRequest& request) {
  const Wanted wanted{
      NumberNames(model.candidate_features(), model.candidate_categories()),
      CategoryColumns(model.candidate_categories())};
  if (wanted.empty() != path.empty()) {
    return absl::InvalidArgumentError(
        wanted.empty()
            ? absl::StrCat("--features ", path,
                           ": the model has no candidate features")
            : absl::StrCat("the model has candidate features (",
                           absl::StrJoin(
                               ShownFeatures(model.candidate_features(),
                                             model.candidate_categories()),
                               ", "),
                           "): --features FILE says what they are of each "
                           "item"));
  }
  if (wanted.empty()) return absl::OkStatus();
  absl::StatusOr<Features> features = Load(path, items, wanted);
  if (!features.ok()) return features.status();
  for (const CategoryColumn& category : wanted.categories) {
    request.add_candidate_categories()->set_name(category.name);
  }
  for (uint64_t id : request.item_ids()) {
    auto found = features->find(id);
    if (found == features->end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " has no line for item ", id, ", which is a candidate"));
    }
    Fill(found->second, wanted, request);
  }
  return absl::OkStatus();
}

}  // namespace qlarank
