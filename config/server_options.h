// The server's configuration as the code uses it: plain values, defaults
// applied, units in types or names. config/config.h makes one from a file;
// proto/qlarank/config/v1/server_config.proto says what each field means.
#ifndef QLARANK_CONFIG_SERVER_OPTIONS_H_
#define QLARANK_CONFIG_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

struct ListenOptions {
  std::string grpc_address = "127.0.0.1:8500";
  std::string http_address = "127.0.0.1:8501";
  std::string port_file;  // empty: none is written
  // When loaded: "127.0.0.1:8502", unless configured.
  std::string admin_address = "127.0.0.1:0";

  bool operator==(const ListenOptions&) const = default;
};

// What a caller may do; docs/security.md lists the methods of each.
enum class Role { kRank, kIngest, kAdmin };

class RoleSet {
 public:
  void Add(Role role) { bits_ |= Bit(role); }
  void Add(RoleSet roles) { bits_ |= roles.bits_; }
  bool Has(Role role) const { return (bits_ & Bit(role)) != 0; }
  bool empty() const { return bits_ == 0; }

  bool operator==(const RoleSet&) const = default;

 private:
  static unsigned Bit(Role role) { return 1u << static_cast<int>(role); }

  unsigned bits_ = 0;
};

enum class ScoringPrecision { kAuto, kF32, kBf16, kInt8 };

struct ModelOptions {
  std::string name;
  uint64_t version = 0;
  std::string path;                  // of the bundle's folder
  std::string expected_fingerprint;  // empty: any
  bool default_model = false;        // true for exactly one
  ScoringPrecision precision = ScoringPrecision::kF32;
  uint64_t item_share_bytes = 1 << 30;
  std::string item_table_path = "";  // empty: in memory
  uint64_t max_added_items = 100'000;  // as CatalogueOptions says

  bool operator==(const ModelOptions&) const = default;
};

enum class StoreEngine { kRocksDb, kMemory };

// Where there is a memory budget, a cache of 0 bytes gets a part of it
// (memory_plan.h).
struct StoreOptions {
  StoreEngine engine = StoreEngine::kRocksDb;
  std::string path;  // not empty for kRocksDb
  uint64_t block_cache_bytes = 256 << 20;
  uint64_t user_cache_bytes = 1 << 30;
  uint32_t snapshot_interval_events = 64;
  uint64_t head_cache_bytes = 32 << 20;
  std::string checkpoint_path;  // empty: no checkpoints
  std::string backup_path;      // empty: no backups
  // Of readings kept with states: not configured, a part of the memory plan.
  uint64_t reading_cache_bytes = 32 << 20;

  bool operator==(const StoreOptions&) const = default;
};

struct MemoryOptions {
  uint64_t budget_bytes = 0;  // 0: none

  bool operator==(const MemoryOptions&) const = default;
};

struct LimitsOptions {
  uint32_t max_user_id_bytes = 256;
  uint32_t max_candidates = 50'000;
  uint32_t max_recent_events = 256;
  uint32_t max_events_per_append = 10'000;
  uint32_t max_sources_per_user = 64;
  uint32_t max_source_bytes = 128;
  uint32_t max_message_bytes = 16 << 20;  // fits in an int
  absl::Duration max_event_future = absl::Hours(24);

  bool operator==(const LimitsOptions&) const = default;
};

struct RankOptions {
  uint32_t workers = 1;  // when loaded: one per processor, unless configured
  uint32_t max_inflight_requests = 1024;
  absl::Duration reply_timeout = absl::Seconds(30);

  bool operator==(const RankOptions&) const = default;
};

// Of an event whose action no served model knows.
enum class UnknownActions { kRefuse, kAccept };

struct IngestOptions {
  uint32_t shards = 2;
  uint32_t max_group_events = 4096;
  uint32_t max_queued_events = 65'536;
  uint32_t fold_threads = 1;  // when loaded: one per processor, likewise
  uint64_t stream_window_bytes = 4 << 20;
  UnknownActions unknown_actions = UnknownActions::kRefuse;

  bool operator==(const IngestOptions&) const = default;
};

struct LifecycleOptions {
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration shutdown_timeout = absl::Seconds(30);

  bool operator==(const LifecycleOptions&) const = default;
};

struct TlsOptions {
  std::string certificate_file;  // empty: no TLS
  std::string private_key_file;
  std::string client_ca_file;  // empty: clients are not asked for certificates
  bool require_client_certificate = false;

  bool enabled() const { return !certificate_file.empty(); }

  bool operator==(const TlsOptions&) const = default;
};

// What a client with a certificate of this name may do.
struct ClientNameOptions {
  std::string name;
  RoleSet roles;

  bool operator==(const ClientNameOptions&) const = default;
};

struct SecurityOptions {
  TlsOptions tls;
  std::string token_file;  // empty: no tokens
  std::vector<ClientNameOptions> client_names;
  absl::Duration reload_interval = absl::Seconds(10);

  // Whether callers have to say who they are.
  bool authenticates() const {
    return !token_file.empty() || !client_names.empty();
  }

  bool operator==(const SecurityOptions&) const = default;
};

struct ConnectionsOptions {
  uint32_t max_per_client = 1024;
  uint32_t max_streams = 4096;  // fits in an int; of one connection
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  absl::Duration max_idle = absl::Minutes(30);
  absl::Duration max_age = absl::ZeroDuration();  // 0: none
  uint32_t max_total = 0;  // 0: what the process's files allow

  bool operator==(const ConnectionsOptions&) const = default;
};

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;

  bool operator==(const LogOptions&) const = default;
};

struct RetentionOptions {
  absl::Duration purge_interval = absl::Hours(1);  // 0: never
  absl::Duration idle_user_ttl = absl::ZeroDuration();  // 0: users stay
  absl::Duration max_event_age = absl::ZeroDuration();  // 0: events stay
  uint64_t max_events_per_user = 0;                     // 0: all
  absl::Duration sweep_interval = absl::Hours(1);
  bool allow_idle_store = false;
  double max_daily_share = 0;  // 0: by the policies' ages

  bool operator==(const RetentionOptions&) const = default;
};

struct MigrationOptions {
  double processor_share = 0.5;  // of one
  uint64_t max_events_behind = 64;
  uint64_t max_replay_events = 2000;

  bool operator==(const MigrationOptions&) const = default;
};

struct ModelWatchOptions {
  struct Version {
    std::string model;
    uint64_t version = 0;

    bool operator==(const Version&) const = default;
  };

  absl::Duration interval = absl::ZeroDuration();  // 0: nobody looks
  std::vector<std::string> models;                 // none: all
  uint32_t keep_versions = 0;                      // 0: all
  std::vector<Version> versions;  // of their models no others
  std::string label;              // "": none moves
  double min_coverage = 0.99;

  bool enabled() const { return interval > absl::ZeroDuration(); }

  bool operator==(const ModelWatchOptions&) const = default;
};

struct CatalogueOptions {
  uint64_t max_added_items = 100'000;  // rows a model

  bool operator==(const CatalogueOptions&) const = default;
};

struct RequestLogOptions {
  std::string path;  // empty: nothing is logged
  double sample = .01;
  bool sample_users = false;
  uint64_t max_file_bytes = 64 << 20;
  uint64_t max_bytes = uint64_t{4} << 30;
  absl::Duration max_age = absl::Hours(30 * 24);  // 0: files stay
  uint64_t max_queue_bytes = 64 << 20;

  bool enabled() const { return !path.empty(); }

  bool operator==(const RequestLogOptions&) const = default;
};

struct ServerOptions {
  ListenOptions listen;
  std::vector<ModelOptions> models;
  std::string model_base_path;  // empty: no more of them
  StoreOptions store;
  LimitsOptions limits;
  RankOptions rank;
  IngestOptions ingest;
  LifecycleOptions lifecycle;
  LogOptions log;
  SecurityOptions security;
  ConnectionsOptions connections;
  MemoryOptions memory;
  RetentionOptions retention;
  MigrationOptions migration;
  ModelWatchOptions model_watch;
  CatalogueOptions catalogue;
  RequestLogOptions request_log;

  bool operator==(const ServerOptions&) const = default;
};

}  // namespace qlarank

#endif  // QLARANK_CONFIG_SERVER_OPTIONS_H_
