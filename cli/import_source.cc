#include "cli/import_source.h"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/csv_reader.h"
#include "cli/file_digest.h"
#include "cli/input_file.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// Calls until it succeeds, fails for good, or the time is over.
template <typename Call>
auto Retry(absl::Duration retry_for, Call call) {
  const absl::Time end = absl::Now() + retry_for;
  absl::Duration pause = absl::Milliseconds(200);
  for (;;) {
    auto result = call();
    const bool retryable = absl::IsUnavailable(result.status()) ||
                           absl::IsResourceExhausted(result.status());
    if (!retryable || absl::Now() + pause > end) return result;
    absl::SleepFor(pause);
    pause = std::min(2 * pause, absl::Seconds(5));
  }
}

std::string ToNote(const ImportMark& mark) {
  nlohmann::json note{{"bytes", mark.bytes},
                      {"xxh3", mark.digest},
                      {"imported", mark.time}};
  if (!mark.order.empty()) note["order"] = mark.order;
  if (mark.whole_bytes != 0) note["whole"] = mark.whole_bytes;
  return note.dump();
}

std::optional<ImportMark> FromNote(const std::string& text) {
  const auto note = nlohmann::json::parse(text, nullptr, false);
  if (!note.is_object() || !note.contains("bytes") ||
      !note["bytes"].is_number_unsigned() || !note.contains("xxh3") ||
      !note["xxh3"].is_string()) {
    return std::nullopt;
  }
  ImportMark mark;
  mark.bytes = note["bytes"];
  mark.digest = note["xxh3"];
  if (note.contains("order") && note["order"].is_string()) {
    mark.order = note["order"];
  }
  if (note.contains("whole") && note["whole"].is_number_unsigned()) {
    mark.whole_bytes = note["whole"];
  }
  if (note.contains("imported") && note["imported"].is_string()) {
    mark.time = note["imported"];
  }
  return mark;
}

}  // namespace

absl::StatusOr<std::string> SourceOfFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  CsvReader reader((*file)->stream(), path, CsvReader::LastLine::kIsUnfinished);
  if (absl::Status s = reader.ReadHeader(); !s.ok()) {
    if (reader.unfinished_line()) return "";
    return (*file)->status().ok() ? s : (*file)->status();
  }
  std::string beginning = absl::StrCat(reader.row_text(), "\n");
  std::vector<std::string> fields;
  absl::StatusOr<bool> read = reader.ReadRow(fields);
  if (read.ok() && !*read) return "";
  // One that is no row is a beginning, too.
  if (!read.ok() && !absl::IsInvalidArgument(read.status())) {
    return (*file)->status().ok() ? read.status() : (*file)->status();
  }
  absl::StrAppend(&beginning, reader.row_text());
  const std::string name = std::filesystem::path(path).filename().string();
  return absl::StrCat(NameWithoutCompression(name), "@",
                      ShortDigest(beginning));
}

absl::StatusOr<std::optional<ImportMark>> ImportMarks::Get(
    const std::string& source) const {
  v1::GetSourceRequest request;
  request.set_source(source);
  const absl::StatusOr<v1::GetSourceResponse> response =
      Retry(retry_for_, [&] { return client_.GetSource(request); });
  if (!response.ok()) return response.status();
  if (!response->found()) return std::nullopt;
  std::optional<ImportMark> mark = FromNote(response->note());
  if (!mark) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the source ", source, " is marked through ",
        response->complete_through(),
        ", but not by an import of a file: give this one another --source"));
  }
  mark->complete_through = response->complete_through();
  return mark;
}

absl::Status ImportMarks::Set(const std::string& source,
                              ImportMark mark) const {
  mark.time = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(),
                               absl::UTCTimeZone());
  v1::MarkSourceRequest request;
  request.set_source(source);
  request.set_complete_through(mark.complete_through);
  request.set_note(ToNote(mark));
  return Retry(retry_for_, [&] { return client_.MarkSource(request); })
      .status();
}

}  // namespace qlarank
