#include "server/request_log/log_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "server/request_log/frames.h"

namespace qlarank {
namespace {

constexpr absl::string_view kPrefix = "requests-";
constexpr absl::string_view kSuffix = ".pb";
constexpr absl::string_view kPart = ".part";  // of a file that is written
constexpr absl::string_view kNew = ".new";    // of one that is rewritten
constexpr absl::string_view kTimeFormat = "%E4Y%m%dT%H%M%SZ";
constexpr mode_t kOnlyOwner = 0600;

absl::Status Failed(absl::string_view path, absl::string_view what, int error) {
  return absl::UnavailableError(
      absl::StrCat(path, ": ", what, ": ",
                   std::generic_category().message(error)));
}

// Blocks while an interrupted write goes on. False: errno says why.
bool WriteAll(int file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool Rename(const std::string& from, const std::string& to) {
  return rename(from.c_str(), to.c_str()) == 0;
}

// A file's number and time, from its name.
struct Parts {
  absl::Time begun;
  uint64_t number;
};

std::optional<Parts> ParseName(absl::string_view name) {
  Parts parts;
  if (!absl::ConsumePrefix(&name, kPrefix) ||
      !absl::ConsumeSuffix(&name, kSuffix)) {
    return std::nullopt;
  }
  const size_t dash = name.find('-');
  if (dash == absl::string_view::npos ||
      !absl::ParseTime(kTimeFormat, name.substr(0, dash), &parts.begun,
                       nullptr) ||
      !absl::SimpleAtoi(name.substr(dash + 1), &parts.number)) {
    return std::nullopt;
  }
  return parts;
}

// Makes the names in a folder durable.
void SyncFolder(const std::string& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogFolder>> LogFolder::Open(
    const std::string& path, const Limits& limits) {
  std::unique_ptr<LogFolder> folder(new LogFolder(path, limits));
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Failed(path, "cannot be made", error.value());
  absl::Status status = folder->Lock();
  if (status.ok()) status = folder->Load();
  if (!status.ok()) return status;
  return folder;
}

LogFolder::~LogFolder() {
  CloseFile();
  if (lock_ >= 0) close(lock_);
}

std::string LogFolder::PathOf(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

absl::Status LogFolder::Lock() {
  const std::string path = PathOf("LOCK");
  lock_ = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, kOnlyOwner);
  if (lock_ < 0) return Failed(path, "cannot be opened", errno);
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path_, ": another process logs its requests there"));
}

absl::Status LogFolder::Load() {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) return Failed(path_, "cannot be listed", error.value());
  for (std::string& name : names) {
    absl::string_view closed = name;
    if (absl::ConsumeSuffix(&closed, kNew) && ParseName(closed).has_value()) {
      unlink(PathOf(name).c_str());
      continue;
    }
    if (absl::ConsumeSuffix(&closed, kPart) && ParseName(closed).has_value()) {
      const absl::Status status = Recover(name);
      if (!status.ok()) return status;
      name = std::string(closed);
    }
    const std::optional<Parts> parts = ParseName(name);
    const uint64_t bytes = std::filesystem::file_size(PathOf(name), error);
    if (!parts.has_value() || error) continue;  // of somebody else, or gone
    next_number_ = std::max(next_number_, parts->number + 1);
    closed_.push_back({name, parts->begun, bytes});
    bytes_ += bytes;
  }
  std::sort(closed_.begin(), closed_.end(), [](const File& a, const File& b) {
    return ParseName(a.name)->number < ParseName(b.name)->number;
  });
  return absl::OkStatus();
}

absl::Status LogFolder::Recover(const std::string& name) {
  const std::string path = PathOf(name);
  std::ifstream file(path, std::ios::binary);
  RecordReader reader(file);
  for (std::string record; reader.Next(record);) continue;
  if (reader.read_bytes() == 0) {
    unlink(path.c_str());
    return absl::OkStatus();
  }
  if (truncate(path.c_str(), static_cast<off_t>(reader.read_bytes())) != 0) {
    return Failed(path, "cannot be cut to its last whole record", errno);
  }
  if (!Rename(path, std::string(absl::StripSuffix(path, kPart)))) {
    return Failed(path, "cannot be renamed", errno);
  }
  return absl::OkStatus();
}

absl::Status LogFolder::Append(absl::string_view record, absl::Time now) {
  const std::string framed = Framed(record);
  if (framed.size() > limits_.max_file_bytes) {
    return absl::OutOfRangeError(absl::StrCat(
        "a record of ", framed.size(), " bytes; a file may have ",
        limits_.max_file_bytes));
  }
  if (open_.bytes + framed.size() > limits_.max_file_bytes) CloseFile();
  absl::Status status = Tend(now);
  while (status.ok() && !closed_.empty() &&
         bytes_ + framed.size() > limits_.max_bytes) {
    status = Remove(closed_.begin());
  }
  if (status.ok() && file_ < 0) status = OpenFile(now);
  if (status.ok()) status = Write(framed);
  return status;
}

absl::Status LogFolder::OpenFile(absl::Time now) {
  File file;
  file.name = absl::StrCat(
      kPrefix, absl::FormatTime(kTimeFormat, now, absl::UTCTimeZone()), "-",
      absl::StrFormat("%06d", next_number_), kSuffix);
  file.begun = now;
  const std::string path = absl::StrCat(PathOf(file.name), kPart);
  file_ = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
               kOnlyOwner);
  if (file_ < 0) return Failed(path, "cannot be opened", errno);
  ++next_number_;
  open_ = std::move(file);
  return absl::OkStatus();
}

absl::Status LogFolder::Write(absl::string_view bytes) {
  if (WriteAll(file_, bytes)) {
    open_.bytes += bytes.size();
    bytes_ += bytes.size();
    return absl::OkStatus();
  }
  const absl::Status status =
      Failed(PathOf(open_.name), "cannot be written", errno);
  // What is there of the record goes. Readers would stop at it, if it stayed: so
  // this file takes no more.
  [[maybe_unused]] const int cut =
      ftruncate(file_, static_cast<off_t>(open_.bytes));
  CloseFile();
  return status;
}

void LogFolder::CloseFile() {
  if (file_ < 0) return;
  fdatasync(file_);
  close(file_);
  file_ = -1;
  File file = std::exchange(open_, File());
  const std::string path = PathOf(file.name);
  const std::string part = absl::StrCat(path, kPart);
  if (file.bytes == 0) {
    unlink(part.c_str());
    return;
  }
  // A name that stays is dealt with like any other.
  if (!Rename(part, path)) absl::StrAppend(&file.name, kPart);
  closed_.push_back(std::move(file));
}

absl::Status LogFolder::Tend(absl::Time now) {
  const bool aging = limits_.max_age > absl::ZeroDuration();
  const absl::Duration file_age =
      aging ? std::min(kMaxFileAge, limits_.max_age / 2) : kMaxFileAge;
  if (file_ >= 0 && now - open_.begun >= file_age) CloseFile();
  absl::Status status;
  while (aging && status.ok()) {
    const auto old = std::find_if(
        closed_.begin(), closed_.end(), [&](const File& file) {
          return now - file.begun >= limits_.max_age;
        });
    if (old == closed_.end()) break;
    status = Remove(old);
  }
  return status;
}

absl::Status LogFolder::Remove(std::deque<File>::iterator file) {
  const std::string path = PathOf(file->name);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Failed(path, "cannot be removed", errno);
  }
  bytes_ -= file->bytes;
  closed_.erase(file);
  return absl::OkStatus();
}

std::vector<std::string> LogFolder::names() const {
  std::vector<std::string> names;
  for (const File& file : closed_) names.push_back(file.name);
  return names;
}

absl::Status LogFolder::Filter(const std::string& name, Unwanted unwanted) {
  const auto file =
      std::find_if(closed_.begin(), closed_.end(),
                   [&](const File& file) { return file.name == name; });
  if (file == closed_.end()) return absl::OkStatus();
  std::ifstream contents(PathOf(name), std::ios::binary);
  RecordReader reader(contents);
  bool whole = true;
  for (std::string record; whole && reader.Next(record);) {
    whole = !unwanted(record);
  }
  if (whole && reader.at_end() && reader.file_bytes() > 0) {
    return absl::OkStatus();
  }
  const absl::StatusOr<uint64_t> bytes = Rewrite(name, unwanted);
  if (!bytes.ok() || *bytes == 0) return Remove(file);
  bytes_ -= file->bytes - *bytes;
  file->bytes = *bytes;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> LogFolder::Rewrite(const std::string& name,
                                            Unwanted unwanted) const {
  const std::string path = PathOf(name);
  const std::string fresh = absl::StrCat(path, kNew);
  const int out = open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC,
                       kOnlyOwner);
  if (out < 0) return Failed(fresh, "cannot be opened", errno);
  std::ifstream in(path, std::ios::binary);
  RecordReader reader(in);
  uint64_t bytes = 0;
  bool written = true;
  for (std::string record; written && reader.Next(record);) {
    if (unwanted(record)) continue;
    const std::string framed = Framed(record);
    written = WriteAll(out, framed);
    bytes += framed.size();
  }
  written = written && fsync(out) == 0;
  close(out);
  if (!written || bytes == 0 || !Rename(fresh, path)) {
    unlink(fresh.c_str());
    if (written && bytes == 0) return 0;
    return Failed(fresh, "cannot be written", errno);
  }
  SyncFolder(path_);
  return bytes;
}

}  // namespace qlarank
