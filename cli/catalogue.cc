#include "cli/catalogue.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/tensor_file.h"

namespace qlarank {
namespace {

absl::Status CannotRead(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
}

}  // namespace

absl::StatusOr<Titles> Titles::Read(std::istream& input,
                                    const std::string& name) {
  Titles titles;
  std::string line;
  for (uint64_t number = 1; std::getline(input, line); ++number) {
    if (line.empty()) continue;
    std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('\t', 1));
    absl::StatusOr<uint64_t> id =
        ParseItem(parts.first, ItemKeys::kNumbers);
    if (!id.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", number, ": item_id \"", parts.first, "\" ",
                       id.status().message()));
    }
    titles.titles_[*id] = std::string(parts.second);
  }
  return titles;
}

absl::StatusOr<Titles> Titles::Load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return CannotRead(path);
  return Read(file, path);
}

absl::string_view Titles::Of(uint64_t item_id) const {
  auto found = titles_.find(item_id);
  return found == titles_.end() ? absl::string_view() : found->second;
}

absl::StatusOr<std::vector<uint64_t>> ParseItems(absl::string_view text,
                                                 ItemKeys keys) {
  const absl::string_view separators =
      keys == ItemKeys::kNumbers ? ", \t\r\n" : ",\r\n";
  std::vector<uint64_t> ids;
  for (absl::string_view part : absl::StrSplit(
           text, absl::ByAnyChar(separators), absl::SkipWhitespace())) {
    part = absl::StripAsciiWhitespace(part);
    absl::StatusOr<uint64_t> id = ParseItem(part, keys);
    if (!id.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("item \"", part, "\" ", id.status().message()));
    }
    ids.push_back(*id);
  }
  if (ids.empty()) return absl::InvalidArgumentError("no items were given");
  return ids;
}

absl::StatusOr<std::vector<uint64_t>> LoadItems(const std::string& path,
                                                ItemKeys keys) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return CannotRead(path);
  }
  std::istream& input = path == "-" ? std::cin : file;
  return ParseItems(std::string(std::istreambuf_iterator<char>(input), {}),
                    keys);
}

absl::StatusOr<std::vector<uint64_t>> LoadBundleItems(
    const std::string& folder) {
  absl::StatusOr<std::unique_ptr<TensorFile>> file =
      TensorFile::Open(folder + "/items.safetensors");
  if (!file.ok()) return absl::InvalidArgumentError(file.status().message());
  auto ids = (*file)->tensors().find("item_ids");
  if (ids == (*file)->tensors().end() || ids->second.dtype != DType::kU64) {
    return absl::InvalidArgumentError(
        absl::StrCat((*file)->path(), " has no U64 tensor item_ids"));
  }
  absl::Span<const uint64_t> span = ids->second.u64s();
  return std::vector<uint64_t>(span.begin(), span.end());
}

absl::StatusOr<Titles> LoadItemKeys(const std::string& bundle_folder) {
  const std::string path = bundle_folder + "/item_keys.tsv";
  if (bundle_folder.empty() || !std::filesystem::exists(path)) {
    return Titles();
  }
  return Titles::Load(path);
}

absl::StatusOr<Titles> LoadTitles(const std::string& titles_path,
                                  const std::string& bundle_folder) {
  if (!titles_path.empty()) return Titles::Load(titles_path);
  std::string of_bundle = bundle_folder + "/titles.tsv";
  if (bundle_folder.empty() || !std::filesystem::exists(of_bundle)) {
    return Titles();
  }
  return Titles::Load(of_bundle);
}

absl::StatusOr<Titles> LoadTitlesOrKeys(const std::string& bundle_folder) {
  absl::StatusOr<Titles> titles = LoadTitles("", bundle_folder);
  if (!titles.ok() || !titles->empty()) return titles;
  return LoadItemKeys(bundle_folder);
}

}  // namespace qlarank
