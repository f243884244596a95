#include "config/options_from_proto.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "config/host_port.h"
#include "config/memory_plan.h"
#include "config/model_name.h"
#include "config/problems.h"
#include "config/security_from_proto.h"

namespace qlarank {
namespace {

namespace proto = config::v1;

// A duration that would end everything at once if it were 0.
void SetTimeout(const google::protobuf::Duration& value, absl::Duration& option,
                absl::string_view field, Problems& problems) {
  if (value.seconds() == 0 && value.nanos() == 0) {
    problems.Add(field, "{ }", "must be above 0");
    return;
  }
  SetDuration(value, option, field, problems);
}

void SetAddress(const std::string& value, std::string& option,
                absl::string_view field, Problems& problems) {
  SetUnlessZero(value, option);
  if (!ParseHostPort(option).has_value()) {
    problems.AddQuoted(field, value,
                       "expected host:port, with a port in [0, 65535]");
  }
}

// Two addresses may be the same only when both ask for a free port.
void CheckDiffer(absl::string_view field, const std::string& address,
                 absl::string_view other_field,
                 const std::string& other_address, Problems& problems) {
  const std::optional<HostPort> parsed = ParseHostPort(address);
  if (address != other_address || !parsed.has_value() || parsed->port == 0) {
    return;
  }
  problems.AddQuoted(field, address,
                     absl::StrCat("must differ from ", other_field));
}

ListenOptions ListenFromProto(const proto::ListenConfig& config,
                              Problems& problems) {
  ListenOptions options;
  SetAddress(config.grpc_address(), options.grpc_address, "listen.grpc_address",
             problems);
  SetAddress(config.http_address(), options.http_address, "listen.http_address",
             problems);
  options.port_file = config.port_file();
  const std::optional<HostPort> grpc = ParseHostPort(options.grpc_address);
  // Who asks for a free port must not meet others at a fixed one.
  const bool free_port = grpc.has_value() && grpc->port == 0;
  options.admin_address = free_port ? "127.0.0.1:0" : "127.0.0.1:8502";
  SetAddress(config.admin_address(), options.admin_address,
             "listen.admin_address", problems);
  CheckDiffer("listen.http_address", options.http_address,
              "listen.grpc_address", options.grpc_address, problems);
  CheckDiffer("listen.admin_address", options.admin_address,
              "listen.grpc_address", options.grpc_address, problems);
  CheckDiffer("listen.admin_address", options.admin_address,
              "listen.http_address", options.http_address, problems);
  return options;
}

// SHA-256 in lower-case hex, docs/model.md section 6.
bool IsFingerprint(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

ScoringPrecision PrecisionFromProto(proto::ModelConfig::Precision precision) {
  switch (precision) {
    case proto::ModelConfig::PRECISION_AUTO:
      return ScoringPrecision::kAuto;
    case proto::ModelConfig::PRECISION_BF16:
      return ScoringPrecision::kBf16;
    case proto::ModelConfig::PRECISION_INT8:
      return ScoringPrecision::kInt8;
    default:
      return ScoringPrecision::kF32;
  }
}

ModelOptions ModelFromProto(const proto::ModelConfig& config,
                            const std::string& field, Problems& problems) {
  ModelOptions options;
  options.name = config.name();
  options.version = config.version();
  options.path = absl::StrCat("models/", config.name(), "/", config.version());
  SetUnlessZero(config.path(), options.path);
  options.expected_fingerprint = config.expected_fingerprint();
  options.default_model = config.default_model();
  options.precision = PrecisionFromProto(config.precision());
  SetUnlessZero(config.item_share_bytes(), options.item_share_bytes);
  options.item_table_path = config.item_table_path();
  if (config.name().empty()) {
    problems.AddQuoted(field + ".name", "", "is required");
  } else if (!IsModelName(config.name())) {
    problems.AddQuoted(field + ".name", config.name(), kModelNameRule);
  }
  if (config.version() == 0) {
    problems.Add(field + ".version", "0", "must be at least 1");
  }
  if (!config.expected_fingerprint().empty() &&
      !IsFingerprint(config.expected_fingerprint())) {
    problems.AddQuoted(field + ".expected_fingerprint",
                       config.expected_fingerprint(),
                       "expected 64 lower-case hex digits");
  }
  return options;
}

// What must hold between the models: one is the default, no two are the same.
void ValidateModels(std::vector<ModelOptions>& models, Problems& problems) {
  if (models.empty()) {
    problems.Add("models", "none", "at least one model is required");
    return;
  }
  std::map<std::pair<std::string, uint64_t>, size_t> seen;
  const size_t none = models.size();
  size_t default_index = none;
  for (size_t i = 0; i < models.size(); ++i) {
    const ModelOptions& model = models[i];
    const auto [first, added] = seen.insert({{model.name, model.version}, i});
    if (!added && model.version != 0 && !model.name.empty()) {
      problems.Add(absl::StrCat("models[", i, "]"),
                   absl::StrCat(QuotedValue(model.name), " version ", model.version),
                   absl::StrCat("is models[", first->second, "] already"));
    }
    if (!model.default_model) continue;
    if (default_index == none) {
      default_index = i;
    } else {
      problems.Add(
          absl::StrCat("models[", i, "].default_model"), "true",
          absl::StrCat("models[", default_index, "] is the default already"));
    }
  }
  models[default_index == none ? 0 : default_index].default_model = true;
}

StoreOptions StoreFromProto(const proto::StoreConfig& config,
                            const MemoryOptions& memory, Problems& problems) {
  StoreOptions options;
  if (memory.budget_bytes > 0) {
    options.block_cache_bytes = 0;
    options.user_cache_bytes = 0;
    options.head_cache_bytes = 0;
  }
  if (!proto::StoreConfig::Engine_IsValid(config.engine())) {
    problems.Add("store.engine", absl::StrCat(config.engine()), "is no engine");
  }
  if (config.engine() == proto::StoreConfig::ENGINE_MEMORY) {
    options.engine = StoreEngine::kMemory;
  }
  options.path = config.path();
  if (options.engine == StoreEngine::kRocksDb && options.path.empty()) {
    problems.AddQuoted("store.path", "", "is required for ENGINE_ROCKSDB");
  }
  SetUnlessZero(config.block_cache_bytes(), options.block_cache_bytes);
  SetUnlessZero(config.user_cache_bytes(), options.user_cache_bytes);
  SetUnlessZero(config.head_cache_bytes(), options.head_cache_bytes);
  SetUnlessZero(config.snapshot_interval_events(),
                options.snapshot_interval_events);
  options.checkpoint_path = config.checkpoint_path();
  options.backup_path = config.backup_path();
  return options;
}

LimitsOptions LimitsFromProto(const proto::LimitsConfig& config,
                              Problems& problems) {
  // gRPC holds message sizes in an int.
  constexpr uint32_t kMaxInt = std::numeric_limits<int32_t>::max();
  LimitsOptions options;
  SetUnlessZero(config.max_user_id_bytes(), options.max_user_id_bytes);
  SetUnlessZero(config.max_candidates(), options.max_candidates);
  SetUnlessZero(config.max_recent_events(), options.max_recent_events);
  SetUnlessZero(config.max_events_per_append(), options.max_events_per_append);
  SetUnlessZero(config.max_sources_per_user(), options.max_sources_per_user);
  SetUnlessZero(config.max_source_bytes(), options.max_source_bytes);
  SetUnlessZero(config.max_message_bytes(), options.max_message_bytes, kMaxInt,
                "limits.max_message_bytes", problems);
  if (config.has_max_event_future()) {
    SetDuration(config.max_event_future(), options.max_event_future,
                "limits.max_event_future", problems);
  }
  return options;
}

uint32_t NumProcessors() {
  return std::max(1u, std::thread::hardware_concurrency());
}

RankOptions RankFromProto(const proto::RankConfig& config, Problems& problems) {
  constexpr uint32_t kMaxThreads = 1024;
  RankOptions options;
  options.workers = NumProcessors();
  SetUnlessZero(config.workers(), options.workers, kMaxThreads, "rank.workers",
                problems);
  SetUnlessZero(config.max_inflight_requests(), options.max_inflight_requests);
  if (config.has_reply_timeout()) {
    SetTimeout(config.reply_timeout(), options.reply_timeout,
               "rank.reply_timeout", problems);
  }
  return options;
}

IngestOptions IngestFromProto(const proto::IngestConfig& config,
                              const LimitsOptions& limits, Problems& problems) {
  constexpr uint32_t kMaxThreads = 1024;
  IngestOptions options;
  SetUnlessZero(config.shards(), options.shards, kMaxThreads, "ingest.shards",
                problems);
  SetUnlessZero(config.max_group_events(), options.max_group_events);
  SetUnlessZero(config.max_queued_events(), options.max_queued_events);
  options.fold_threads = NumProcessors();
  SetUnlessZero(config.fold_threads(), options.fold_threads, kMaxThreads,
                "ingest.fold_threads", problems);
  SetUnlessZero(config.stream_window_bytes(), options.stream_window_bytes);
  options.unknown_actions =
      config.unknown_actions() == proto::IngestConfig::UNKNOWN_ACTIONS_ACCEPT
          ? UnknownActions::kAccept
          : UnknownActions::kRefuse;
  if (options.max_queued_events < limits.max_events_per_append) {
    problems.Add("ingest.max_queued_events",
                 absl::StrCat(options.max_queued_events),
                 absl::StrCat("must be at least limits.max_events_per_append, ",
                              limits.max_events_per_append));
  }
  return options;
}

LifecycleOptions LifecycleFromProto(const proto::LifecycleConfig& config,
                                    Problems& problems) {
  LifecycleOptions options;
  if (config.has_drain_delay()) {
    SetDuration(config.drain_delay(), options.drain_delay,
                "lifecycle.drain_delay", problems);
  }
  if (config.has_shutdown_timeout()) {
    SetDuration(config.shutdown_timeout(), options.shutdown_timeout,
                "lifecycle.shutdown_timeout", problems);
  }
  return options;
}

LogLevel LevelFromProto(proto::LogConfig::Level level, Problems& problems) {
  switch (level) {
    case proto::LogConfig::LEVEL_UNSPECIFIED:
    case proto::LogConfig::LEVEL_INFO:
      return LogLevel::kInfo;
    case proto::LogConfig::LEVEL_DEBUG:
      return LogLevel::kDebug;
    case proto::LogConfig::LEVEL_WARNING:
      return LogLevel::kWarning;
    case proto::LogConfig::LEVEL_ERROR:
      return LogLevel::kError;
    default:
      // A proto3 enum takes any number.
      problems.Add("log.level", absl::StrCat(level), "is no level");
      return LogLevel::kInfo;
  }
}

LogOptions LogFromProto(const proto::LogConfig& config, Problems& problems) {
  LogOptions options;
  options.level = LevelFromProto(config.level(), problems);
  if (config.format() == proto::LogConfig::FORMAT_JSON) {
    options.format = LogFormat::kJson;
  }
  if (!proto::LogConfig::Format_IsValid(config.format())) {
    problems.Add("log.format", absl::StrCat(config.format()), "is no format");
  }
  return options;
}

RetentionOptions RetentionFromProto(const proto::RetentionConfig& config,
                                    Problems& problems) {
  RetentionOptions options;
  const auto set = [&](bool written, const google::protobuf::Duration& value,
                       absl::Duration& option, absl::string_view field) {
    if (written) SetDuration(value, option, field, problems);
  };
  set(config.has_purge_interval(), config.purge_interval(),
      options.purge_interval, "retention.purge_interval");
  set(config.has_idle_user_ttl(), config.idle_user_ttl(), options.idle_user_ttl,
      "retention.idle_user_ttl");
  set(config.has_max_event_age(), config.max_event_age(), options.max_event_age,
      "retention.max_event_age");
  SetUnlessZero(config.max_events_per_user(), options.max_events_per_user);
  set(config.has_sweep_interval(), config.sweep_interval(),
      options.sweep_interval, "retention.sweep_interval");
  if (options.sweep_interval == absl::ZeroDuration()) {
    problems.Add("retention.sweep_interval", "0 s", "must be more than 0 s");
  }
  options.allow_idle_store = config.allow_idle_store();
  options.max_daily_share = config.max_daily_share();
  // NaN is neither.
  if (!(options.max_daily_share >= 0 && options.max_daily_share <= 1)) {
    problems.Add("retention.max_daily_share",
                 absl::StrCat(options.max_daily_share), "must be 0 to 1");
  }
  return options;
}

MigrationOptions MigrationFromProto(const proto::MigrationConfig& config,
                                    Problems& problems) {
  MigrationOptions options;
  SetUnlessZero(config.processor_share(), options.processor_share);
  // NaN is neither.
  if (!(options.processor_share > 0 && options.processor_share <= 1)) {
    problems.Add("migration.processor_share",
                 absl::StrCat(options.processor_share),
                 "must be above 0 and at most 1");
  }
  SetUnlessZero(config.max_events_behind(), options.max_events_behind);
  SetUnlessZero(config.max_replay_events(), options.max_replay_events);
  return options;
}

// More often than that, a look finds nothing but its own last one.
constexpr absl::Duration kLeastWatchInterval = absl::Milliseconds(100);

void WatchedVersionsFromProto(const proto::ModelWatchConfig& config,
                              ModelWatchOptions& options, Problems& problems) {
  for (int i = 0; i < config.versions_size(); ++i) {
    const auto& version = config.versions(i);
    if (version.model().empty() && version.version() == 0) continue;
    options.versions.push_back({version.model(), version.version()});
    const std::string field = absl::StrCat("model_watch.versions[", i, "]");
    if (!IsModelName(version.model())) {
      problems.AddQuoted(absl::StrCat(field, ".model"), version.model(),
                         kModelNameRule);
    }
    if (version.version() == 0) {
      problems.Add(absl::StrCat(field, ".version"), "0", "must be at least 1");
    }
  }
}

ModelWatchOptions ModelWatchFromProto(const proto::ModelWatchConfig& config,
                                      const std::string& base,
                                      Problems& problems) {
  ModelWatchOptions options;
  if (config.has_interval()) {
    SetDuration(config.interval(), options.interval, "model_watch.interval",
                problems);
  }
  if (options.enabled() && options.interval < kLeastWatchInterval) {
    problems.Add("model_watch.interval",
                 absl::FormatDuration(options.interval),
                 "must be 0 s, or at least 100 ms");
  }
  if (options.enabled() && base.empty()) {
    problems.Add("model_base_path", "\"\"",
                 "must name a folder for model_watch to look at");
  }
  for (int i = 0; i < config.models_size(); ++i) {
    if (config.models(i).empty()) continue;
    options.models.push_back(config.models(i));
    if (IsModelName(config.models(i))) continue;
    problems.AddQuoted(absl::StrCat("model_watch.models[", i, "]"),
                       config.models(i), kModelNameRule);
  }
  options.keep_versions = config.keep_versions();
  WatchedVersionsFromProto(config, options, problems);
  options.label = config.label();
  if (!options.label.empty() && !IsModelLabel(options.label)) {
    problems.AddQuoted("model_watch.label", options.label, kModelLabelRule);
  }
  SetUnlessZero(config.min_coverage(), options.min_coverage);
  if (!(options.min_coverage > 0 && options.min_coverage <= 1)) {
    problems.Add("model_watch.min_coverage",
                 absl::StrCat(options.min_coverage),
                 "must be above 0 and at most 1");
  }
  return options;
}

// Rows are numbered in 32 bits, and address space is reserved for all of them.
constexpr uint64_t kMostAddedItems = 100'000'000;

CatalogueOptions CatalogueFromProto(const proto::CatalogueConfig& config,
                                    Problems& problems) {
  CatalogueOptions options;
  SetUnlessZero(config.max_added_items(), options.max_added_items);
  if (options.max_added_items > kMostAddedItems) {
    problems.Add("catalogue.max_added_items",
                 absl::StrCat(options.max_added_items),
                 absl::StrCat("must be at most ", kMostAddedItems));
  }
  return options;
}

// Files are closed within half of it, so that they are not all gone at once.
constexpr absl::Duration kLeastLogAge = absl::Minutes(1);

RequestLogOptions RequestLogFromProto(const proto::RequestLogConfig& config,
                                      Problems& problems) {
  RequestLogOptions options;
  options.path = config.path();
  SetUnlessZero(config.sample(), options.sample);
  // NaN is neither.
  if (!(options.sample > 0 && options.sample <= 1)) {
    problems.Add("request_log.sample", absl::StrCat(options.sample),
                 "must be above 0 and at most 1");
  }
  options.sample_users = config.sample_users();
  SetUnlessZero(config.max_file_bytes(), options.max_file_bytes);
  SetUnlessZero(config.max_bytes(), options.max_bytes);
  if (options.max_bytes / 2 < options.max_file_bytes) {
    problems.Add("request_log.max_bytes", absl::StrCat(options.max_bytes),
                 absl::StrCat("must be at least twice max_file_bytes, ",
                              options.max_file_bytes));
  }
  if (config.has_max_age()) {
    SetDuration(config.max_age(), options.max_age, "request_log.max_age",
                problems);
  }
  if (options.max_age > absl::ZeroDuration() &&
      options.max_age < kLeastLogAge) {
    problems.Add("request_log.max_age", absl::FormatDuration(options.max_age),
                 "must be at least 1 min, or 0 s");
  }
  SetUnlessZero(config.max_queue_bytes(), options.max_queue_bytes);
  return options;
}

}  // namespace

absl::StatusOr<ServerOptions> OptionsFromProto(
    const proto::ServerConfig& config, absl::string_view origin) {
  Problems problems(origin);
  ServerOptions options;
  options.listen = ListenFromProto(config.listen(), problems);
  for (int i = 0; i < config.models_size(); ++i) {
    options.models.push_back(ModelFromProto(
        config.models(i), absl::StrCat("models[", i, "]"), problems));
  }
  ValidateModels(options.models, problems);
  options.model_base_path = config.model_base_path();
  options.memory.budget_bytes = config.memory().budget_bytes();
  options.store = StoreFromProto(config.store(), options.memory, problems);
  options.limits = LimitsFromProto(config.limits(), problems);
  options.rank = RankFromProto(config.rank(), problems);
  options.ingest = IngestFromProto(config.ingest(), options.limits, problems);
  options.lifecycle = LifecycleFromProto(config.lifecycle(), problems);
  options.log = LogFromProto(config.log(), problems);
  options.retention = RetentionFromProto(config.retention(), problems);
  options.migration = MigrationFromProto(config.migration(), problems);
  options.model_watch = ModelWatchFromProto(
      config.model_watch(), options.model_base_path, problems);
  options.catalogue = CatalogueFromProto(config.catalogue(), problems);
  for (ModelOptions& model : options.models) {
    model.max_added_items = options.catalogue.max_added_items;
  }
  options.request_log = RequestLogFromProto(config.request_log(), problems);
  options.security = SecurityFromProto(config.security(), problems);
  options.connections = ConnectionsFromProto(config.connections(), problems);
  ValidateExposure(options, problems);
  // How large the models are is known at start.
  if (absl::Status fits = PlanMemory(options, 0).status(); !fits.ok()) {
    problems.AddLine(fits.message());
  }
  if (!problems.status().ok()) return problems.status();
  return options;
}

}  // namespace qlarank
