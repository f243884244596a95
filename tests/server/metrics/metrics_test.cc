#include "server/metrics/metrics.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/metrics/admission_metrics.h"
#include "server/metrics/process_collector.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "other";
  }
}

// "name type label,label" for every family, sorted, one a line.
std::string DescribeFamilies(
    const std::vector<prometheus::MetricFamily>& families) {
  std::set<std::string> lines;
  for (const prometheus::MetricFamily& family : families) {
    std::set<std::string> labels;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) labels.insert(label.name);
    }
    std::string line = absl::StrCat(family.name, " ", TypeName(family.type));
    if (!labels.empty())
      absl::StrAppend(&line, " ", absl::StrJoin(labels, ","));
    lines.insert(line);
  }
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

std::string Scrape(const Metrics& metrics) {
  return prometheus::TextSerializer().Serialize(metrics.registry.Collect());
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Dashboards and alerts depend on these names: a change here breaks them. To
// accept one, run with QLARANK_UPDATE_METRIC_NAMES=1 and tell the operators.
TEST(MetricsTest, NamesAreThoseThatDashboardsKnow) {
  Metrics metrics;
  const AdmissionMetrics admission(metrics.registry);
  metrics.rank.ForModel("grocery", 1);
  metrics.ingest.ForModel("grocery", 1);
  metrics.info.ModelLoaded("grocery", 1, "f00d", "int8", 4883 * 4);
  metrics.shadow.CountRequest({"grocery", 1, 2}, "compared");
  ShadowTaskSums sums;
  sums.served_score = .5;
  metrics.shadow.Add({"grocery", 1, 2}, "buy", sums);
  metrics.shadow.Add({"grocery", 1, 2}, ShadowCandidateSums());
  metrics.catalogue.AddedRows("grocery", 1);
  std::vector<prometheus::MetricFamily> families = metrics.registry.Collect();
  for (auto& family : ProcessCollector().Collect()) families.push_back(family);
  const std::string names = DescribeFamilies(families);
  if (std::getenv("QLARANK_UPDATE_METRIC_NAMES") != nullptr) {
    std::ofstream(QLARANK_METRIC_NAMES) << names;
  }
  EXPECT_EQ(names, ReadFile(QLARANK_METRIC_NAMES));
}

TEST(MetricsTest, ModelHandlesAreResolvedOnce) {
  Metrics metrics;
  ModelRankMetrics& model = metrics.rank.ForModel("grocery", 1);
  EXPECT_EQ(&model, &metrics.rank.ForModel("grocery", 1));
  EXPECT_NE(&model, &metrics.rank.ForModel("grocery", 2));
}

TEST(MetricsTest, CountsRequestsByModelAndStatus) {
  Metrics metrics;
  ModelRankMetrics& model = metrics.rank.ForModel("grocery", 1);
  model.requests.Increment(absl::StatusCode::kOk);
  model.requests.Increment(absl::StatusCode::kOk);
  model.requests.Increment(absl::StatusCode::kDeadlineExceeded);
  metrics.rank.no_model.requests.Increment(absl::StatusCode::kNotFound);
  const std::string text = Scrape(metrics);
  EXPECT_THAT(text, HasSubstr("qlarank_rank_requests_total{model=\"grocery\","
                              "status=\"OK\",version=\"1\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("qlarank_rank_requests_total{model=\"grocery\","
                        "status=\"DeadlineExceeded\",version=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("qlarank_rank_requests_total{model=\"\","
                              "status=\"NotFound\",version=\"\"} 1\n"));
}

TEST(MetricsTest, CodesThatAreNoneCountAsUnknown) {
  EXPECT_EQ(StatusCodeName(0), "OK");
  EXPECT_EQ(StatusCodeName(16), "Unauthenticated");
  EXPECT_EQ(StatusCodeName(-1), "Unknown");
  EXPECT_EQ(StatusCodeName(17), "Unknown");
}

TEST(MetricsTest, StagesAreToldApart) {
  Metrics metrics;
  ObserveSeconds(metrics.rank.score_seconds, absl::Milliseconds(4));
  const std::string text = Scrape(metrics);
  EXPECT_THAT(text, HasSubstr("qlarank_rank_stage_duration_seconds_sum{"
                              "stage=\"score\"} 0.004"));
  EXPECT_THAT(text, HasSubstr("qlarank_rank_stage_duration_seconds_count{"
                              "stage=\"queue\"} 0"));
  EXPECT_THAT(text, HasSubstr("qlarank_rank_stage_duration_seconds_bucket{"
                              "stage=\"score\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("qlarank_rank_stage_duration_seconds_bucket{"
                              "stage=\"score\",le=\"0.0001\"} 0"));
}

TEST(MetricsTest, MethodsAreExposedBeforeTheirFirstCall) {
  Metrics metrics;
  metrics.rpc.AddService(
      *v1::RankRequest::descriptor()->file()->FindServiceByName("RankService"));
  EXPECT_THAT(Scrape(metrics),
              HasSubstr("grpc_server_started_total{"
                        "grpc_method=\"Rank\","
                        "grpc_service=\"qlarank.v1.RankService\","
                        "grpc_type=\"unary\"} 0\n"));
}

TEST(MetricsTest, UnknownMethodsShareOneSeries) {
  Metrics metrics;
  RpcMethodMetrics& unknown = metrics.rpc.ForPath("/a.B/C");
  EXPECT_EQ(&unknown, &metrics.rpc.ForPath("/a.B/D"));
  unknown.started.Increment();
  const std::string text = Scrape(metrics);
  EXPECT_THAT(text, Not(HasSubstr("a.B")));
  EXPECT_THAT(text, HasSubstr("grpc_service=\"unknown\",grpc_type=\"unknown\"} "
                              "1\n"));
}

}  // namespace
}  // namespace qlarank
