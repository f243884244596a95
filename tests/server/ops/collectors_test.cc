#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "server/metrics/process_collector.h"
#include "server/metrics/statistics_collector.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

TEST(ParseProcStatTest, ReadsTheFieldsOfTheManual) {
  // A command with a space and parentheses, as a process may well call itself.
  const std::optional<ProcStat> stat = ParseProcStat(
      "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 1000 "
      "8192000 300 18446744073709551615\n",
      100, 4096);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->cpu_seconds, 3);
  EXPECT_EQ(stat->threads, 7);
  EXPECT_EQ(stat->start_seconds_after_boot, 10);
  EXPECT_EQ(stat->virtual_memory_bytes, 8192000);
  EXPECT_EQ(stat->resident_memory_bytes, 300 * 4096);
}

TEST(ParseProcStatTest, RefusesWhatIsCutShort) {
  EXPECT_FALSE(ParseProcStat("", 100, 4096).has_value());
  EXPECT_FALSE(ParseProcStat("42 (a) S 1 42", 100, 4096).has_value());
}

std::map<std::string, double> ProcessFigures() {
  std::map<std::string, double> figures;
  for (const prometheus::MetricFamily& family : ProcessCollector().Collect()) {
    const prometheus::ClientMetric& metric = family.metric.front();
    figures[family.name] = family.type == prometheus::MetricType::Counter
                               ? metric.counter.value
                               : metric.gauge.value;
  }
  return figures;
}

TEST(ProcessCollectorTest, ReportsThisProcess) {
  std::map<std::string, double> before = ProcessFigures();
  EXPECT_GT(before["process_resident_memory_bytes"], 1 << 20);
  EXPECT_GE(before["process_virtual_memory_bytes"],
            before["process_resident_memory_bytes"]);
  EXPECT_GE(before["process_threads"], 1);
  const double now = static_cast<double>(time(nullptr));
  EXPECT_NEAR(before["process_start_time_seconds"], now, 120);

  const int file = open("/dev/null", O_RDONLY);
  ASSERT_GE(file, 0);
  std::map<std::string, double> after = ProcessFigures();
  close(file);
  EXPECT_EQ(after["process_open_fds"], before["process_open_fds"] + 1);
}

TEST(StatisticsCollectorTest, TellsCountersFromGauges) {
  const StatisticsCollector collector(
      "qlarank_rocksdb_", "the state store", [] {
        return std::map<std::string, double>{{"bytes_written_total", 7},
                                             {"block-cache.usage", 3}};
      });
  EXPECT_EQ(prometheus::TextSerializer().Serialize(collector.Collect()),
            "# HELP qlarank_rocksdb_block_cache_usage From the state store: "
            "block-cache.usage.\n"
            "# TYPE qlarank_rocksdb_block_cache_usage gauge\n"
            "qlarank_rocksdb_block_cache_usage 3\n"
            "# HELP qlarank_rocksdb_bytes_written_total From the state store: "
            "bytes_written_total.\n"
            "# TYPE qlarank_rocksdb_bytes_written_total counter\n"
            "qlarank_rocksdb_bytes_written_total 7\n");
}

}  // namespace
}  // namespace qlarank
