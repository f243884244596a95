// The items that can be ranked, and what they are called.
#ifndef QLARANK_CLI_CATALOGUE_H_
#define QLARANK_CLI_CATALOGUE_H_

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/item_key.h"

namespace qlarank {

// Titles by item id, from lines "item_id <tab> title" (docs/model.md section
// 6).
class Titles {
 public:
  // INVALID_ARGUMENT naming the line that is not so.
  static absl::StatusOr<Titles> Read(std::istream& input,
                                     const std::string& name);
  static absl::StatusOr<Titles> Load(const std::string& path);

  // "" when there is none.
  absl::string_view Of(uint64_t item_id) const;
  bool empty() const { return titles_.empty(); }

 private:
  absl::flat_hash_map<uint64_t, std::string> titles_;
};

// The ids of items separated by commas or white space; of texts, by commas or
// the ends of lines. INVALID_ARGUMENT naming the one that is no item, or when
// there is none.
absl::StatusOr<std::vector<uint64_t>> ParseItems(absl::string_view text,
                                                 ItemKeys keys);
// The same from a file, "-" being standard input.
absl::StatusOr<std::vector<uint64_t>> LoadItems(const std::string& path,
                                                ItemKeys keys);

// Every item of the bundle in `folder`.
absl::StatusOr<std::vector<uint64_t>> LoadBundleItems(
    const std::string& folder);

// The texts by which a bundle's items are known, as if they were titles; empty
// where they are known by numbers.
absl::StatusOr<Titles> LoadItemKeys(const std::string& bundle_folder);

// The titles in `titles_path`, or when that is "" those of the bundle in
// `bundle_folder`, or none.
absl::StatusOr<Titles> LoadTitles(const std::string& titles_path,
                                  const std::string& bundle_folder);

// What a bundle's items are called: their titles, or the texts by which they
// are known.
absl::StatusOr<Titles> LoadTitlesOrKeys(const std::string& bundle_folder);

}  // namespace qlarank

#endif  // QLARANK_CLI_CATALOGUE_H_
