// Structured logs: one event a line on stderr, a constant message and fields.
//
//   LogInfo("model loaded", {{"model", name}, {"version", version}});
//
//   2026-03-01T12:00:00.123Z INFO model loaded model=grocery version=1
//   {"time":"2026-03-01T12:00:00.123Z","level":"info",
//    "message":"model loaded","model":"grocery","version":1}   (on one line)
//
// The message never holds a value, so that it can be searched for and counted.
// No line holds a user's id: a field "user", and what stands in a text as
// `user "ann"`, is replaced by the user's label (user_label.h).
// Do not log once a request: that is what metrics are for.
//
// Thread-safe after InitLogging; without it, text at level info.
#ifndef QLARANK_SERVER_OPS_LOGGING_H_
#define QLARANK_SERVER_OPS_LOGGING_H_

#include <concepts>
#include <initializer_list>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "config/server_options.h"

namespace qlarank {

// A named value. Numbers and truth values stay what they are in JSON; a
// duration becomes a number of seconds.
struct LogField {
  LogField(absl::string_view key, absl::string_view value)
      : key(key), value(value), is_text(true) {}
  LogField(absl::string_view key, const std::string& value)
      : LogField(key, absl::string_view(value)) {}
  LogField(absl::string_view key, const char* value)
      : LogField(key, absl::string_view(value)) {}
  LogField(absl::string_view key, const absl::Status& value)
      : LogField(key, value.ToString()) {}
  LogField(absl::string_view key, absl::Duration value)
      : key(key), value(absl::StrCat(absl::ToDoubleSeconds(value))) {}
  LogField(absl::string_view key, bool value)
      : key(key), value(value ? "true" : "false") {}
  template <std::integral T>
  LogField(absl::string_view key, T value)
      : key(key), value(absl::StrCat(value)) {}
  // JSON knows neither NaN nor infinity: those become text.
  LogField(absl::string_view key, double value);

  absl::string_view key;
  std::string value;
  bool is_text = false;
};

using LogFields = std::initializer_list<LogField>;

// Sets format and level. Call it before other threads log.
void InitLogging(const LogOptions& options);

// The same with another destination, which must outlive all logging.
void InitLogging(const LogOptions& options, std::ostream& out);

void LogDebug(absl::string_view message, LogFields fields = {});
void LogInfo(absl::string_view message, LogFields fields = {});
void LogWarning(absl::string_view message, LogFields fields = {});
void LogError(absl::string_view message, LogFields fields = {});

// One line of either format, without its end. Text quotes a value that holds a
// space, a quote, "=" or a control character.
std::string FormatLogText(absl::Time time, LogLevel level,
                          absl::string_view message,
                          absl::Span<const LogField> fields);
std::string FormatLogJson(absl::Time time, LogLevel level,
                          absl::string_view message,
                          absl::Span<const LogField> fields);

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_LOGGING_H_
