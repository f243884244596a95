// A CSV file of events that is read as a whole, maybe more than once.
#ifndef QLARANK_CLI_EVENT_FILE_H_
#define QLARANK_CLI_EVENT_FILE_H_

#include <cstdint>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/event_csv.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

// How a file of events is written.
struct EventFormat {
  EventColumns columns;
  std::string time_unit = "s";  // as ParseTimeUnit takes it
};

// Declares the options that say so: --time-unit, --user-column, ... They write
// to `format`, which must outlive the app.
void AddEventFormatOptions(CLI::App* app, EventFormat& format);

// Calls `take` with every event, in order; it may move from it.
// INVALID_ARGUMENT names file, line, column and value.
absl::Status ForEachEvent(const std::string& path, const EventFormat& format,
                          absl::FunctionRef<void(v1::UserEvent&)> take);
// The same with what its line says beside it: context, candidate features,
// labels.
absl::Status ForEachEventInContext(
    const std::string& path, const EventFormat& format,
    absl::FunctionRef<void(v1::UserEvent&, const EventCsv&)> take);

// Every user's last event in a file: that of the latest time, and of those of
// one time the last line, as in the trainer's data.split = "last".
struct LastEvent {
  absl::Time time;
  uint64_t sequence;  // its line
};
using LastEvents = absl::flat_hash_map<std::string, LastEvent>;
absl::StatusOr<LastEvents> FindLastEvents(const std::string& path,
                                          const EventFormat& format);

// Whether an event of that file is its user's last one.
bool IsLastEvent(const LastEvents& last, const v1::UserEvent& event);

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_FILE_H_
