#include "server/metrics/process_collector.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace qlarank {
namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Seconds since the epoch at which the machine booted.
std::optional<double> BootTime() {
  const std::string text = ReadFile("/proc/stat");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    double seconds;
    if (words.first == "btime" && absl::SimpleAtod(words.second, &seconds)) {
      return seconds;
    }
  }
  return std::nullopt;
}

std::optional<double> OpenFiles() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return std::nullopt;
  // ".", ".." and the descriptor of this very listing do not count.
  double files = -3;
  while (readdir(folder) != nullptr) ++files;
  closedir(folder);
  return files;
}

std::optional<double> MaxOpenFiles() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

prometheus::MetricFamily Family(const char* name, const char* help,
                                prometheus::MetricType type, double value) {
  prometheus::MetricFamily family{name, help, type, {{}}};
  if (type == prometheus::MetricType::Counter) {
    family.metric.front().counter.value = value;
  } else {
    family.metric.front().gauge.value = value;
  }
  return family;
}

}  // namespace

std::optional<ProcStat> ParseProcStat(absl::string_view line,
                                      double ticks_per_second,
                                      double page_bytes) {
  // The second field is "(command)"; numbers follow, the first being field 3.
  const size_t command_end = line.rfind(')');
  if (command_end == absl::string_view::npos) return std::nullopt;
  const std::vector<absl::string_view> fields = absl::StrSplit(
      line.substr(command_end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const auto field = [&fields](size_t number, double& value) {
    const size_t index = number - 3;
    return index < fields.size() && absl::SimpleAtod(fields[index], &value);
  };
  double user_ticks, system_ticks, start_ticks, resident_pages;
  ProcStat stat;
  if (!field(14, user_ticks) || !field(15, system_ticks) ||
      !field(20, stat.threads) || !field(22, start_ticks) ||
      !field(23, stat.virtual_memory_bytes) || !field(24, resident_pages)) {
    return std::nullopt;
  }
  stat.cpu_seconds = (user_ticks + system_ticks) / ticks_per_second;
  stat.start_seconds_after_boot = start_ticks / ticks_per_second;
  stat.resident_memory_bytes = resident_pages * page_bytes;
  return stat;
}

std::vector<prometheus::MetricFamily> ProcessCollector::Collect() const {
  constexpr auto kCounter = prometheus::MetricType::Counter;
  constexpr auto kGauge = prometheus::MetricType::Gauge;
  std::vector<prometheus::MetricFamily> families;
  if (const std::optional<ProcStat> stat =
          ParseProcStat(ReadFile("/proc/self/stat"),
                        static_cast<double>(sysconf(_SC_CLK_TCK)),
                        static_cast<double>(sysconf(_SC_PAGESIZE)))) {
    families.push_back(Family("process_cpu_seconds_total",
                              "User and system CPU time spent.", kCounter,
                              stat->cpu_seconds));
    families.push_back(Family("process_resident_memory_bytes",
                              "Resident memory.", kGauge,
                              stat->resident_memory_bytes));
    families.push_back(Family("process_virtual_memory_bytes", "Virtual memory.",
                              kGauge, stat->virtual_memory_bytes));
    families.push_back(
        Family("process_threads", "Threads.", kGauge, stat->threads));
    if (const std::optional<double> boot = BootTime()) {
      families.push_back(Family("process_start_time_seconds",
                                "Start, in seconds since the Unix epoch.",
                                kGauge,
                                *boot + stat->start_seconds_after_boot));
    }
  }
  if (const std::optional<double> files = OpenFiles()) {
    families.push_back(
        Family("process_open_fds", "Open file descriptors.", kGauge, *files));
  }
  if (const std::optional<double> files = MaxOpenFiles()) {
    families.push_back(Family(
        "process_max_fds", "Limit of open file descriptors.", kGauge, *files));
  }
  return families;
}

}  // namespace qlarank
