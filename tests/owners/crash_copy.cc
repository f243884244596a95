#include "tests/owners/crash_copy.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 1000;

// The files by name, with the sizes of those that say which others count. Logs
// grow meanwhile, and end where they are cut off.
std::optional<std::map<std::string, uintmax_t>> FilesIn(
    const std::string& folder) {
  std::map<std::string, uintmax_t> files;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder, error)) {
    const std::string name = file.path().filename();
    const bool listing = name.rfind("MANIFEST", 0) == 0;
    files[name] = listing ? file.file_size(error) : 0;
    if (error) return std::nullopt;
  }
  if (error) return std::nullopt;
  return files;
}

bool Copy(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_directory(to, error);
  for (const auto& file : fs::directory_iterator(from, error)) {
    const fs::path target = fs::path(to) / file.path().filename();
    if (file.path().extension() == ".sst") {
      fs::create_hard_link(file.path(), target, error);
    } else {
      fs::copy(file.path(), target, fs::copy_options::recursive, error);
    }
    if (error) return false;
  }
  return !error;
}

}  // namespace

bool CopyAsCrashed(const std::string& from, const std::string& to) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fs::remove_all(to);
    const auto before = FilesIn(from);
    if (before.has_value() && Copy(from, to) && FilesIn(from) == before) {
      return true;
    }
  }
  return false;
}

}  // namespace qlarank::testing
