#include "server/upkeep/admin_pipeline.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/ops/logging.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr uint32_t kDefaultErasures = 1000;

// So no path: neither "/" nor ".." can be in it.
bool IsFolderName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         absl::ascii_isalnum(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

absl::Status NotConfigured(absl::string_view field) {
  return absl::FailedPreconditionError(absl::StrCat(
      field, ": \"\"; must name a folder in the server's configuration"));
}

// Counts a copy and says what became of it.
absl::Status Finish(absl::string_view kind, const std::string& path,
                    absl::Time begin, const absl::Status& status,
                    CopyMetrics::Kind& metrics) {
  if (status.ok()) {
    metrics.ok.Increment();
    metrics.last_time.Set(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
    LogInfo("copied the store",
            {{"kind", kind},
             {"path", path},
             {"seconds", absl::ToDoubleSeconds(absl::Now() - begin)}});
  } else {
    metrics.failed.Increment();
    LogError("could not copy the store", {{"kind", kind}, {"error", status}});
  }
  return status;
}

}  // namespace

void AdminPipeline::Start(const v1::CheckpointRequest& request,
                          v1::CheckpointResponse& response, Done done) {
  if (!IsFolderName(request.name())) {
    return done(FieldError(
        "name", Quoted(request.name()),
        absl::StrCat("must be 1 to ", kMaxNameBytes,
                     " letters, digits, \".\", \"_\" and \"-\", and begin with "
                     "a letter or a digit")));
  }
  if (options_.checkpoint_path.empty()) {
    return done(NotConfigured("store.checkpoint_path"));
  }
  Submit(
      copies_, [this, &request, &response] {
        return Checkpoint(request, response);
      },
      std::move(done));
}

absl::Status AdminPipeline::Checkpoint(const v1::CheckpointRequest& request,
                                       v1::CheckpointResponse& response) {
  std::error_code ignored;  // the store says what is missing
  std::filesystem::create_directory(options_.checkpoint_path, ignored);
  const std::string path =
      absl::StrCat(options_.checkpoint_path, "/", request.name());
  const absl::Time begin = absl::Now();
  const absl::Status status = Finish("checkpoint", path, begin,
                                     store_.Checkpoint(path),
                                     metrics_.checkpoint);
  if (status.ok()) response.set_path(path);
  return status;
}

void AdminPipeline::Start(const v1::BackupRequest& request,
                          v1::BackupResponse& response, Done done) {
  if (options_.backup_path.empty()) {
    return done(NotConfigured("store.backup_path"));
  }
  Submit(
      copies_,
      [this, &request, &response] { return Backup(request, response); },
      std::move(done));
}

absl::Status AdminPipeline::Backup(const v1::BackupRequest& request,
                                   v1::BackupResponse& response) {
  const absl::Time begin = absl::Now();
  const auto backup = store_.Backup(options_.backup_path, request.keep());
  if (backup.ok()) {
    response.set_backup_id(backup->id);
    response.set_bytes(backup->bytes);
    response.set_new_bytes(backup->new_bytes);
  }
  return Finish("backup", options_.backup_path, begin, backup.status(),
                metrics_.backup);
}

void AdminPipeline::Start(const v1::ListErasuresRequest& request,
                          v1::ListErasuresResponse& response, Done done) {
  Submit(
      readers_, [this, &request, &response] {
        return ListErasures(request, response);
      },
      std::move(done));
}

absl::Status AdminPipeline::ListErasures(
    const v1::ListErasuresRequest& request,
    v1::ListErasuresResponse& response) {
  const auto erasures = store_.ListErasures(
      request.user_id(),
      request.limit() == 0 ? kDefaultErasures : request.limit());
  if (!erasures.ok()) return erasures.status();
  for (const Erasure& erasure : *erasures) {
    v1::Erasure& to = *response.add_erasures();
    to.set_user_digest(erasure.user_digest);
    *to.mutable_time() = FromMicros(erasure.note.time_us);
    to.set_principal(erasure.note.principal);
    to.set_reason(erasure.note.reason);
    to.set_events(erasure.events);
    to.set_purged(erasure.purged);
  }
  return absl::OkStatus();
}

}  // namespace qlarank
