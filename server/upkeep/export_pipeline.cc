#include "server/upkeep/export_pipeline.h"

#include <cassert>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace qlarank {

ExportPipeline::Export::~Export() {
  pipeline_.metrics_.exports.running.Decrement();
  pipeline_.running_.fetch_sub(1);
}

absl::StatusOr<std::unique_ptr<ExportPipeline::Export>> ExportPipeline::Begin(
    const v1::ExportEventsRequest& request) {
  auto events = EventExport::Create(store_, metrics_.state, request);
  if (!events.ok()) return events.status();
  metrics_.exports.running.Increment();
  const bool full = running_.fetch_add(1) >= kMaxExports;
  auto begun = absl::WrapUnique(new Export(*this));
  if (full) {
    return absl::ResourceExhaustedError(absl::StrCat(
        kMaxExports, " exports are running; try again when one has ended"));
  }
  begun->events_ = *std::move(events);
  return begun;
}

void ExportPipeline::Next(Export& running, v1::ExportEventsResponse& message,
                          Done done) {
  const bool taken = thread_.Submit(
      [this, &running, &message, done = std::move(done)]() mutable {
        absl::StatusOr<bool> more = running.events_->Next(message);
        double events = 0;
        for (const v1::ExportedUser& user : message.users()) {
          events += user.events_size();
        }
        metrics_.exports.events.Increment(events);
        return [done = std::move(done), more = std::move(more)]() mutable {
          done(std::move(more));
        };
      });
  assert(taken);  // each export has one at most
  (void)taken;
}

}  // namespace qlarank
