// Makes the row of an item from what is said of it: docs/model.md section 12,
// for items that the bundle does not have. In double, in a fixed order, without
// libraries' functions, so that a row has the same bits everywhere.
//
// Immutable, shared by threads.
#ifndef QLARANK_MODEL_CONTENT_TOWER_H_
#define QLARANK_MODEL_CONTENT_TOWER_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/bundle.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// What is said of an item, by the names of the item table's columns. What a
// model does not ask for, it does not look at.
struct ItemContent {
  // Texts as the table's cells have them: one that the model has a separator
  // for is several values. What is empty or space says nothing.
  std::map<std::string, std::vector<std::string>, std::less<>> attributes;
  std::map<std::string, double, std::less<>> numbers;  // NaN says nothing
};

class ContentTower {
 public:
  // How far a number counts, in scales from its mean.
  static constexpr double kMostScales = 1000;

  struct Row {
    std::vector<float> embedding;  // [d_model]
    float bias = 0;
  };

  // Null where the model makes no rows: it has no item attributes or numbers.
  // The bundle outlives the tower.
  static std::unique_ptr<const ContentTower> Create(const Bundle& bundle);

  // Of any content whatever: what the model does not know counts as unknown, as
  // it does in training.
  Row MakeRow(const ItemContent& content) const;

 private:
  struct Attribute {
    std::string name;
    std::string separator;
    absl::flat_hash_map<std::string, size_t> rows;  // by value
    absl::Span<const float> table;                  // [1 + values, d_model + 1]
  };

  explicit ContentTower(const Bundle& bundle);

  // Adds the mean of an item's values of one attribute to sum [d_model + 1].
  void AddAttribute(const Attribute& attribute, const ItemContent& content,
                    absl::Span<double> sum) const;

  size_t d_model_;
  std::vector<Attribute> attributes_;
  std::vector<model::v1::ItemNumber> numbers_;
  absl::Span<const float> number_table_;  // [numbers, d_model + 1]
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_CONTENT_TOWER_H_
