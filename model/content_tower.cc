#include "model/content_tower.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_set.h"
#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace qlarank {
namespace {

// The different values of an item's cells.
absl::flat_hash_set<absl::string_view> ValuesOf(
    absl::Span<const std::string> cells, absl::string_view separator) {
  absl::flat_hash_set<absl::string_view> values;
  const auto add = [&](absl::string_view text) {
    text = absl::StripAsciiWhitespace(text);
    if (!text.empty()) values.insert(text);
  };
  for (const std::string& cell : cells) {
    if (separator.empty()) {
      add(cell);
    } else {
      for (absl::string_view part : absl::StrSplit(cell, separator)) add(part);
    }
  }
  return values;
}

// (value - mean) / scale, within bounds; 0 where nothing is said.
double Normalised(double value, const model::v1::ItemNumber& number) {
  if (std::isnan(value)) return 0;
  const double scales = (value - number.mean()) / number.scale();
  // In float32, as the table holds it in training.
  return static_cast<float>(std::clamp(scales, -ContentTower::kMostScales,
                                       ContentTower::kMostScales));
}

}  // namespace

std::unique_ptr<const ContentTower> ContentTower::Create(const Bundle& bundle) {
  if (bundle.content() == nullptr) return nullptr;
  return absl::WrapUnique(new ContentTower(bundle));
}

ContentTower::ContentTower(const Bundle& bundle)
    : d_model_(bundle.spec().d_model()),
      numbers_(bundle.spec().item_numbers().begin(),
               bundle.spec().item_numbers().end()) {
  const auto& tensors = bundle.content()->tensors();
  for (const auto& attribute : bundle.spec().item_attributes()) {
    Attribute& added = attributes_.emplace_back();
    added.name = attribute.name();
    added.separator = attribute.separator();
    for (const std::string& value : attribute.values()) {
      added.rows.emplace(value, added.rows.size() + 1);
    }
    added.table =
        tensors.find(absl::StrCat("content.", added.name))->second.floats();
  }
  if (!numbers_.empty()) {
    number_table_ = tensors.find("content.numbers")->second.floats();
  }
}

void ContentTower::AddAttribute(const Attribute& attribute,
                                const ItemContent& content,
                                absl::Span<double> sum) const {
  // Row 0 for each value that is unknown, or for none at all.
  std::vector<size_t> rows;
  const auto cells = content.attributes.find(attribute.name);
  if (cells != content.attributes.end()) {
    for (absl::string_view value :
         ValuesOf(cells->second, attribute.separator)) {
      const auto known = attribute.rows.find(value);
      rows.push_back(known == attribute.rows.end() ? 0 : known->second);
    }
  }
  if (rows.empty()) rows.push_back(0);
  // So that the order in which values are named changes no bit.
  std::sort(rows.begin(), rows.end());
  for (size_t i = 0; i < sum.size(); ++i) {
    double of_values = 0;
    for (const size_t row : rows) {
      of_values += attribute.table[row * sum.size() + i];
    }
    sum[i] += of_values / static_cast<double>(rows.size());
  }
}

ContentTower::Row ContentTower::MakeRow(const ItemContent& content) const {
  std::vector<double> sum(d_model_ + 1);
  for (const Attribute& attribute : attributes_) {
    AddAttribute(attribute, content, absl::MakeSpan(sum));
  }
  for (size_t j = 0; j < numbers_.size(); ++j) {
    const auto value = content.numbers.find(numbers_[j].name());
    if (value == content.numbers.end()) continue;
    const double factor = Normalised(value->second, numbers_[j]);
    for (size_t i = 0; i < sum.size(); ++i) {
      // The product of two floats is exact in double.
      sum[i] += factor * number_table_[j * sum.size() + i];
    }
  }
  return {{sum.begin(), sum.end() - 1}, static_cast<float>(sum.back())};
}

}  // namespace qlarank
