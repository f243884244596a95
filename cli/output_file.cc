#include "cli/output_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

std::string PartialOf(const std::string& path) { return path + ".partial"; }

absl::Status CannotWrite(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Create(
    const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is there already"));
  }
  // zlib writes what is not to be compressed as it is.
  const char* mode = absl::EndsWith(path, ".gz") ? "wb" : "wbT";
  gzFile file = gzopen(PartialOf(path).c_str(), mode);
  if (file == nullptr) return CannotWrite(path);
  gzbuffer(file, 256 << 10);
  return absl::WrapUnique(new OutputFile(path, file));
}

OutputFile::OutputFile(std::string path, gzFile_s* file)
    : path_(std::move(path)), partial_(PartialOf(path_)), file_(file) {}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  gzclose(file_);
  std::error_code ignored;
  fs::remove(partial_, ignored);
}

absl::Status OutputFile::Write(absl::string_view bytes) {
  if (bytes.empty() || gzwrite(file_, bytes.data(), bytes.size()) ==
                           static_cast<int>(bytes.size())) {
    return absl::OkStatus();
  }
  return CannotWrite(partial_);
}

absl::Status OutputFile::Commit() {
  const bool closed = gzclose(std::exchange(file_, nullptr)) == Z_OK;
  std::error_code error;
  if (closed) fs::rename(partial_, path_, error);
  if (closed && !error) return absl::OkStatus();
  const absl::Status failed = CannotWrite(path_);
  fs::remove(partial_, error);
  return failed;
}

}  // namespace qlarank
