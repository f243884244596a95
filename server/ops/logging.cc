#include "server/ops/logging.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "server/ops/user_label.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace qlarank {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// Where lines go. spdlog filters by level and writes whole lines from any
// thread; the lines are ours.
struct Destination {
  Destination(const LogOptions& options, spdlog::sink_ptr sink)
      : logger("", std::move(sink)), format(options.format) {
    logger.set_pattern("%v");
    logger.set_level(ToSpdlog(options.level));
    logger.flush_on(spdlog::level::debug);
  }

  spdlog::logger logger;
  LogFormat format;
};

// Never destroyed: threads may log while the process exits.
std::unique_ptr<Destination>& CurrentDestination() {
  static auto* const current = new std::unique_ptr<Destination>(new Destination(
      LogOptions(), std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  return *current;
}

// No caller can forget it: a field that is a user's id becomes their label, and
// so does an id within a text.
std::vector<LogField> WithoutUserIds(LogFields fields) {
  std::vector<LogField> result(fields);
  for (LogField& field : result) {
    if (field.key == "user" || field.key == "user_id") {
      field = LogField(field.key, UserLabel(field.value));
    } else if (field.is_text) {
      field.value = WithUserLabels(field.value);
    }
  }
  return result;
}

void Log(LogLevel level, absl::string_view message, LogFields fields) {
  Destination& destination = *CurrentDestination();
  const spdlog::level::level_enum spdlog_level = ToSpdlog(level);
  if (!destination.logger.should_log(spdlog_level)) return;
  const absl::Time now = absl::Now();
  const std::vector<LogField> safe = WithoutUserIds(fields);
  const std::string line = destination.format == LogFormat::kJson
                               ? FormatLogJson(now, level, message, safe)
                               : FormatLogText(now, level, message, safe);
  destination.logger.log(spdlog_level,
                         spdlog::string_view_t(line.data(), line.size()));
}

std::string FormatLogTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

// Bytes that are not UTF-8 become the replacement character.
std::string JsonString(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool NeedsQuotes(absl::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (c == ' ' || c == '"' || c == '=' || absl::ascii_iscntrl(c)) return true;
  }
  return false;
}

}  // namespace

LogField::LogField(absl::string_view key, double value)
    : key(key), value(absl::StrCat(value)), is_text(!std::isfinite(value)) {}

void InitLogging(const LogOptions& options) {
  CurrentDestination() = std::make_unique<Destination>(
      options, std::make_shared<spdlog::sinks::stderr_sink_mt>());
}

void InitLogging(const LogOptions& options, std::ostream& out) {
  CurrentDestination() = std::make_unique<Destination>(
      options, std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
}

void LogDebug(absl::string_view message, LogFields fields) {
  Log(LogLevel::kDebug, message, fields);
}

void LogInfo(absl::string_view message, LogFields fields) {
  Log(LogLevel::kInfo, message, fields);
}

void LogWarning(absl::string_view message, LogFields fields) {
  Log(LogLevel::kWarning, message, fields);
}

void LogError(absl::string_view message, LogFields fields) {
  Log(LogLevel::kError, message, fields);
}

std::string FormatLogText(absl::Time time, LogLevel level,
                          absl::string_view message,
                          absl::Span<const LogField> fields) {
  std::string line =
      absl::StrCat(FormatLogTime(time), " ",
                   absl::AsciiStrToUpper(LevelName(level)), " ", message);
  for (const LogField& field : fields) {
    const bool quoted = field.is_text && NeedsQuotes(field.value);
    absl::StrAppend(&line, " ", field.key, "=",
                    quoted ? JsonString(field.value) : field.value);
  }
  return line;
}

std::string FormatLogJson(absl::Time time, LogLevel level,
                          absl::string_view message,
                          absl::Span<const LogField> fields) {
  std::string line =
      absl::StrCat("{\"time\":\"", FormatLogTime(time), "\",\"level\":\"",
                   LevelName(level), "\",\"message\":", JsonString(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",", JsonString(field.key), ":",
                    field.is_text ? JsonString(field.value) : field.value);
  }
  return line + "}";
}

}  // namespace qlarank
