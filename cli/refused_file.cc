#include "cli/refused_file.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/csv_reader.h"
#include "cli/input_file.h"

namespace qlarank {
namespace {

std::string Beside(const std::string& input_path) {
  const std::string path = NameWithoutCompression(input_path);
  return absl::StrCat(absl::StripSuffix(path, ".csv"), ".refused");
}

}  // namespace

RefusedFile::RefusedFile(const std::string& path,
                         const std::string& input_path)
    : wanted_(path.empty() ? Beside(input_path) : path),
      numbered_(path.empty()) {}

absl::Status RefusedFile::Open() {
  path_ = numbered_ ? wanted_ + ".csv" : wanted_;
  std::error_code error;
  for (int number = 2; numbered_ && std::filesystem::exists(path_, error);
       ++number) {
    path_ = absl::StrCat(wanted_, ".", number, ".csv");
  }
  if (!numbered_ && std::filesystem::exists(path_, error) &&
      std::filesystem::is_regular_file(path_, error) &&
      std::filesystem::file_size(path_, error) > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--refused ", path_, " is there already"));
  }
  file_.open(path_);
  file_ << "refused," << header_ << "\n";
  if (file_) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write what is refused to ", path_,
                   ": say where with --refused"));
}

absl::Status RefusedFile::Add(absl::string_view reason, absl::string_view row) {
  if (!file_.is_open()) {
    if (absl::Status s = Open(); !s.ok()) return s;
  }
  file_ << CsvField(reason) << "," << row << "\n";
  return absl::OkStatus();
}

absl::Status RefusedFile::Close() {
  if (!file_.is_open()) return absl::OkStatus();
  file_.close();
  return file_ ? absl::OkStatus()
               : absl::InvalidArgumentError(absl::StrCat(
                     "cannot write what is refused to ", path_));
}

}  // namespace qlarank
