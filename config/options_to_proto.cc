#include "config/options_to_proto.h"

#include "config/roles.h"

namespace qlarank {
namespace {

namespace proto = config::v1;

void SetDuration(absl::Duration from, google::protobuf::Duration& to) {
  absl::Duration rest;
  to.set_seconds(absl::IDivDuration(from, absl::Seconds(1), &rest));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

void SetListen(const ListenOptions& from, proto::ListenConfig& to) {
  to.set_grpc_address(from.grpc_address);
  to.set_http_address(from.http_address);
  to.set_port_file(from.port_file);
  to.set_admin_address(from.admin_address);
}

proto::ModelConfig::Precision PrecisionToProto(ScoringPrecision precision) {
  switch (precision) {
    case ScoringPrecision::kAuto:
      return proto::ModelConfig::PRECISION_AUTO;
    case ScoringPrecision::kBf16:
      return proto::ModelConfig::PRECISION_BF16;
    case ScoringPrecision::kInt8:
      return proto::ModelConfig::PRECISION_INT8;
    default:
      return proto::ModelConfig::PRECISION_F32;
  }
}

void SetModel(const ModelOptions& from, proto::ModelConfig& to) {
  to.set_name(from.name);
  to.set_version(from.version);
  to.set_path(from.path);
  to.set_expected_fingerprint(from.expected_fingerprint);
  to.set_default_model(from.default_model);
  to.set_precision(PrecisionToProto(from.precision));
  to.set_item_share_bytes(from.item_share_bytes);
  to.set_item_table_path(from.item_table_path);
}

void SetStore(const StoreOptions& from, proto::StoreConfig& to) {
  to.set_engine(from.engine == StoreEngine::kMemory
                    ? proto::StoreConfig::ENGINE_MEMORY
                    : proto::StoreConfig::ENGINE_ROCKSDB);
  to.set_path(from.path);
  to.set_block_cache_bytes(from.block_cache_bytes);
  to.set_user_cache_bytes(from.user_cache_bytes);
  to.set_head_cache_bytes(from.head_cache_bytes);
  to.set_snapshot_interval_events(from.snapshot_interval_events);
  to.set_checkpoint_path(from.checkpoint_path);
  to.set_backup_path(from.backup_path);
}

void SetLimits(const LimitsOptions& from, proto::LimitsConfig& to) {
  to.set_max_user_id_bytes(from.max_user_id_bytes);
  to.set_max_candidates(from.max_candidates);
  to.set_max_recent_events(from.max_recent_events);
  to.set_max_events_per_append(from.max_events_per_append);
  to.set_max_sources_per_user(from.max_sources_per_user);
  to.set_max_source_bytes(from.max_source_bytes);
  to.set_max_message_bytes(from.max_message_bytes);
  SetDuration(from.max_event_future, *to.mutable_max_event_future());
}

void SetRank(const RankOptions& from, proto::RankConfig& to) {
  to.set_workers(from.workers);
  to.set_max_inflight_requests(from.max_inflight_requests);
  SetDuration(from.reply_timeout, *to.mutable_reply_timeout());
}

void SetIngest(const IngestOptions& from, proto::IngestConfig& to) {
  to.set_shards(from.shards);
  to.set_max_group_events(from.max_group_events);
  to.set_max_queued_events(from.max_queued_events);
  to.set_fold_threads(from.fold_threads);
  to.set_stream_window_bytes(from.stream_window_bytes);
  to.set_unknown_actions(from.unknown_actions == UnknownActions::kAccept
                             ? proto::IngestConfig::UNKNOWN_ACTIONS_ACCEPT
                             : proto::IngestConfig::UNKNOWN_ACTIONS_REFUSE);
}

void SetLifecycle(const LifecycleOptions& from, proto::LifecycleConfig& to) {
  SetDuration(from.drain_delay, *to.mutable_drain_delay());
  SetDuration(from.shutdown_timeout, *to.mutable_shutdown_timeout());
}

proto::LogConfig::Level LevelToProto(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return proto::LogConfig::LEVEL_DEBUG;
    case LogLevel::kInfo:
      return proto::LogConfig::LEVEL_INFO;
    case LogLevel::kWarning:
      return proto::LogConfig::LEVEL_WARNING;
    case LogLevel::kError:
      return proto::LogConfig::LEVEL_ERROR;
  }
  return proto::LogConfig::LEVEL_UNSPECIFIED;
}

void SetLog(const LogOptions& from, proto::LogConfig& to) {
  to.set_level(LevelToProto(from.level));
  to.set_format(from.format == LogFormat::kJson
                    ? proto::LogConfig::FORMAT_JSON
                    : proto::LogConfig::FORMAT_TEXT);
}

void SetRoles(const RoleSet& from,
              google::protobuf::RepeatedField<int>& to) {
  for (const Role role : {Role::kRank, Role::kIngest, Role::kAdmin}) {
    if (from.Has(role)) to.Add(RoleToProto(role));
  }
}

void SetSecurity(const SecurityOptions& from, proto::SecurityConfig& to) {
  to.mutable_tls()->set_certificate_file(from.tls.certificate_file);
  to.mutable_tls()->set_private_key_file(from.tls.private_key_file);
  to.mutable_tls()->set_client_ca_file(from.tls.client_ca_file);
  to.mutable_tls()->set_require_client_certificate(
      from.tls.require_client_certificate);
  to.set_token_file(from.token_file);
  for (const ClientNameOptions& client : from.client_names) {
    proto::ClientNameConfig& name = *to.add_client_names();
    name.set_name(client.name);
    SetRoles(client.roles, *name.mutable_roles());
  }
  SetDuration(from.reload_interval, *to.mutable_reload_interval());
}

void SetConnections(const ConnectionsOptions& from,
                    proto::ConnectionsConfig& to) {
  to.set_max_per_client(from.max_per_client);
  to.set_max_total(from.max_total);
  to.set_max_streams(from.max_streams);
  SetDuration(from.keepalive_time, *to.mutable_keepalive_time());
  SetDuration(from.keepalive_timeout, *to.mutable_keepalive_timeout());
  SetDuration(from.max_idle, *to.mutable_max_idle());
  SetDuration(from.max_age, *to.mutable_max_age());
}

void SetRetention(const RetentionOptions& from, proto::RetentionConfig& to) {
  SetDuration(from.purge_interval, *to.mutable_purge_interval());
  SetDuration(from.idle_user_ttl, *to.mutable_idle_user_ttl());
  SetDuration(from.max_event_age, *to.mutable_max_event_age());
  to.set_max_events_per_user(from.max_events_per_user);
  SetDuration(from.sweep_interval, *to.mutable_sweep_interval());
  to.set_allow_idle_store(from.allow_idle_store);
  to.set_max_daily_share(from.max_daily_share);
}

void SetMigration(const MigrationOptions& from, proto::MigrationConfig& to) {
  to.set_processor_share(from.processor_share);
  to.set_max_events_behind(from.max_events_behind);
  to.set_max_replay_events(from.max_replay_events);
}

void SetModelWatch(const ModelWatchOptions& from,
                   proto::ModelWatchConfig& to) {
  SetDuration(from.interval, *to.mutable_interval());
  to.mutable_models()->Assign(from.models.begin(), from.models.end());
  to.set_keep_versions(from.keep_versions);
  for (const ModelWatchOptions::Version& version : from.versions) {
    auto& added = *to.add_versions();
    added.set_model(version.model);
    added.set_version(version.version);
  }
  to.set_label(from.label);
  to.set_min_coverage(from.min_coverage);
}

void SetRequestLog(const RequestLogOptions& from,
                   proto::RequestLogConfig& to) {
  to.set_path(from.path);
  to.set_sample(from.sample);
  to.set_sample_users(from.sample_users);
  to.set_max_file_bytes(from.max_file_bytes);
  to.set_max_bytes(from.max_bytes);
  SetDuration(from.max_age, *to.mutable_max_age());
  to.set_max_queue_bytes(from.max_queue_bytes);
}

}  // namespace

proto::ServerConfig OptionsToProto(const ServerOptions& options) {
  proto::ServerConfig config;
  SetListen(options.listen, *config.mutable_listen());
  for (const ModelOptions& model : options.models) {
    SetModel(model, *config.add_models());
  }
  SetStore(options.store, *config.mutable_store());
  SetLimits(options.limits, *config.mutable_limits());
  SetRank(options.rank, *config.mutable_rank());
  SetIngest(options.ingest, *config.mutable_ingest());
  SetLifecycle(options.lifecycle, *config.mutable_lifecycle());
  SetLog(options.log, *config.mutable_log());
  SetSecurity(options.security, *config.mutable_security());
  SetConnections(options.connections, *config.mutable_connections());
  config.mutable_memory()->set_budget_bytes(options.memory.budget_bytes);
  SetRetention(options.retention, *config.mutable_retention());
  SetMigration(options.migration, *config.mutable_migration());
  SetModelWatch(options.model_watch, *config.mutable_model_watch());
  config.mutable_catalogue()->set_max_added_items(
      options.catalogue.max_added_items);
  SetRequestLog(options.request_log, *config.mutable_request_log());
  config.set_model_base_path(options.model_base_path);
  return config;
}

}  // namespace qlarank
