#include "config/config.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "qlarank/config/v1/server_config.pb.h"

namespace qlarank {
namespace {

using google::protobuf::TextFormat;

constexpr char kSmallest[] =
    "models { name: 'm' version: 1 } store { path: 's' }";

TEST(ParseServerConfigTest, AppliesTheDefaultsOfTheSchema) {
  const absl::StatusOr<ServerOptions> options =
      ParseServerConfig(kSmallest, "f");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->listen.grpc_address, "127.0.0.1:8500");
  EXPECT_EQ(options->listen.http_address, "127.0.0.1:8501");
  EXPECT_EQ(options->listen.port_file, "");
  EXPECT_EQ(options->listen.admin_address, "127.0.0.1:8502");
  ASSERT_EQ(options->models.size(), 1u);
  EXPECT_EQ(options->models[0].path, "models/m/1");
  EXPECT_EQ(options->models[0].expected_fingerprint, "");
  EXPECT_TRUE(options->models[0].default_model);
  EXPECT_EQ(options->store.engine, StoreEngine::kRocksDb);
  EXPECT_EQ(options->store.block_cache_bytes, 256u * 1024 * 1024);
  EXPECT_EQ(options->store.user_cache_bytes, 1024u * 1024 * 1024);
  EXPECT_EQ(options->store.snapshot_interval_events, 64u);
  EXPECT_EQ(options->store.head_cache_bytes, 32u * 1024 * 1024);
  EXPECT_EQ(options->memory.budget_bytes, 0u);
  EXPECT_EQ(options->limits.max_user_id_bytes, 256u);
  EXPECT_EQ(options->limits.max_candidates, 50'000u);
  EXPECT_EQ(options->limits.max_recent_events, 256u);
  EXPECT_EQ(options->limits.max_events_per_append, 10'000u);
  EXPECT_EQ(options->limits.max_sources_per_user, 64u);
  EXPECT_EQ(options->limits.max_source_bytes, 128u);
  EXPECT_EQ(options->limits.max_message_bytes, 16u * 1024 * 1024);
  EXPECT_EQ(options->limits.max_event_future, absl::Hours(24));
  EXPECT_GE(options->rank.workers, 1u);
  EXPECT_EQ(options->rank.max_inflight_requests, 1024u);
  EXPECT_EQ(options->rank.reply_timeout, absl::Seconds(30));
  EXPECT_EQ(options->ingest.stream_window_bytes, 4u * 1024 * 1024);
  EXPECT_EQ(options->ingest.shards, 2u);
  EXPECT_EQ(options->ingest.max_group_events, 4096u);
  EXPECT_EQ(options->ingest.max_queued_events, 65'536u);
  EXPECT_EQ(options->lifecycle.drain_delay, absl::ZeroDuration());
  EXPECT_EQ(options->lifecycle.shutdown_timeout, absl::Seconds(30));
  EXPECT_EQ(options->log.level, LogLevel::kInfo);
  EXPECT_EQ(options->log.format, LogFormat::kText);
  EXPECT_EQ(options->security, SecurityOptions());
  EXPECT_FALSE(options->security.tls.enabled());
  EXPECT_FALSE(options->security.authenticates());
  EXPECT_EQ(options->security.reload_interval, absl::Seconds(10));
  EXPECT_EQ(options->connections.max_per_client, 1024u);
  EXPECT_EQ(options->connections.max_streams, 4096u);
  EXPECT_EQ(options->connections.keepalive_time, absl::Seconds(60));
  EXPECT_EQ(options->connections.keepalive_timeout, absl::Seconds(20));
  EXPECT_EQ(options->connections.max_idle, absl::Minutes(30));
  EXPECT_EQ(options->connections.max_age, absl::ZeroDuration());
  EXPECT_EQ(options->connections.max_total, 0u);
  EXPECT_EQ(options->retention.purge_interval, absl::Hours(1));
  EXPECT_EQ(options->retention.idle_user_ttl, absl::ZeroDuration());
  EXPECT_EQ(options->retention.max_event_age, absl::ZeroDuration());
  EXPECT_EQ(options->retention.max_events_per_user, 0u);
  EXPECT_EQ(options->retention.sweep_interval, absl::Hours(1));
  EXPECT_FALSE(options->retention.allow_idle_store);
  EXPECT_EQ(options->retention.max_daily_share, 0);
  EXPECT_EQ(options->migration.processor_share, .5);
  EXPECT_EQ(options->migration.max_events_behind, 64u);
  EXPECT_EQ(options->migration.max_replay_events, 2000u);
  EXPECT_FALSE(options->model_watch.enabled());
  EXPECT_EQ(options->catalogue.max_added_items, 100'000u);
  EXPECT_EQ(options->models[0].max_added_items, 100'000u);
  EXPECT_FALSE(options->request_log.enabled());
  EXPECT_EQ(options->request_log.sample, .01);
  EXPECT_FALSE(options->request_log.sample_users);
  EXPECT_EQ(options->request_log.max_file_bytes, 64u * 1024 * 1024);
  EXPECT_EQ(options->request_log.max_bytes, uint64_t{4} << 30);
  EXPECT_EQ(options->request_log.max_age, absl::Hours(30 * 24));
  EXPECT_EQ(options->request_log.max_queue_bytes, 64u * 1024 * 1024);
}

// A value other than the default, and other than its neighbours', in every
// field: a field that is dropped or mistaken for another shows.
constexpr char kEverything[] = R"pb(
  listen {
    grpc_address: "[::1]:1"
    http_address: "0.0.0.0:0"
    port_file: "ports"
    admin_address: "127.0.0.2:2"
  }
  models { name: "a" version: 1 }
  models {
    name: "a"
    version: 2
    path: "p"
    expected_fingerprint: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    default_model: true
    precision: PRECISION_INT8
    item_table_path: "tables"
  }
  store {
    engine: ENGINE_MEMORY
    path: "db"
    block_cache_bytes: 3
    user_cache_bytes: 4
    snapshot_interval_events: 5
    head_cache_bytes: 22
    checkpoint_path: "cp"
    backup_path: "bk"
  }
  limits {
    max_user_id_bytes: 6
    max_candidates: 7
    max_recent_events: 8
    max_events_per_append: 9
    max_sources_per_user: 10
    max_source_bytes: 11
    max_message_bytes: 12
    max_event_future { seconds: 13 nanos: 14 }
  }
  rank {
    workers: 15
    max_inflight_requests: 16
    reply_timeout { seconds: 24 }
  }
  ingest {
    shards: 17
    max_group_events: 18
    max_queued_events: 19
    fold_threads: 20
    stream_window_bytes: 25
    unknown_actions: UNKNOWN_ACTIONS_ACCEPT
  }
  lifecycle {
    drain_delay { seconds: 20 }
    shutdown_timeout { nanos: 21 }
  }
  log { level: LEVEL_ERROR format: FORMAT_JSON }
  security {
    tls {
      certificate_file: "c"
      private_key_file: "k"
      client_ca_file: "a"
      require_client_certificate: true
    }
    token_file: "t"
    client_names { name: "n" roles: ROLE_RANK roles: ROLE_ADMIN }
    client_names { name: "o" roles: ROLE_INGEST }
    reload_interval { seconds: 22 }
  }
  connections {
    max_per_client: 23
    max_streams: 24
    keepalive_time { seconds: 25 }
    keepalive_timeout { seconds: 26 }
    max_idle { seconds: 27 }
    max_age { seconds: 28 }
    max_total: 29
  }
  memory { budget_bytes: 1000000000 }
  retention {
    purge_interval { seconds: 22 }
    idle_user_ttl { seconds: 23 }
    max_event_age { seconds: 24 }
    max_events_per_user: 25
    sweep_interval { seconds: 26 }
    allow_idle_store: true
    max_daily_share: 0.27
  }
  migration {
    processor_share: 0.28
    max_events_behind: 29
    max_replay_events: 63
  }
  model_base_path: "bp"
  catalogue { max_added_items: 30 }
  model_watch { interval { seconds: 64 } models: "w" keep_versions: 65
                versions { model: "x" version: 66 } label: "new"
                min_coverage: 0.67 }
  request_log {
    path: "rl"
    sample: 0.28
    sample_users: true
    max_file_bytes: 29
    max_bytes: 60
    max_age { seconds: 61 }
    max_queue_bytes: 62
  }
)pb";

RoleSet Roles(std::initializer_list<Role> roles) {
  RoleSet set;
  for (const Role role : roles) set.Add(role);
  return set;
}

TEST(ParseServerConfigTest, TakesEveryField) {
  const absl::StatusOr<ServerOptions> options =
      ParseServerConfig(kEverything, "f");
  ASSERT_TRUE(options.ok()) << options.status();
  ServerOptions expected;
  expected.listen = {"[::1]:1", "0.0.0.0:0", "ports", "127.0.0.2:2"};
  expected.models = {
      {"a", 1, "models/a/1", "", false},
      {"a", 2, "p",
       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true,
       ScoringPrecision::kInt8, 1 << 30, "tables"}};
  expected.store = {StoreEngine::kMemory, "db", 3, 4, 5, 22, "cp", "bk"};
  expected.limits = {6,  7,  8,  9,
                     10, 11, 12, absl::Seconds(13) + absl::Nanoseconds(14)};
  expected.rank = {15, 16, absl::Seconds(24)};
  expected.ingest = {17, 18, 19, 20, 25, UnknownActions::kAccept};
  expected.lifecycle = {absl::Seconds(20), absl::Nanoseconds(21)};
  expected.log = {LogLevel::kError, LogFormat::kJson};
  expected.security = {{"c", "k", "a", true},
                       "t",
                       {{"n", Roles({Role::kRank, Role::kAdmin})},
                        {"o", Roles({Role::kIngest})}},
                       absl::Seconds(22)};
  expected.connections = {23,
                          24,
                          absl::Seconds(25),
                          absl::Seconds(26),
                          absl::Seconds(27),
                          absl::Seconds(28),
                          29};
  expected.memory = {1'000'000'000};
  expected.retention = {absl::Seconds(22), absl::Seconds(23), absl::Seconds(24),
                        25, absl::Seconds(26), true, 0.27};
  expected.migration = {0.28, 29, 63};
  expected.model_base_path = "bp";
  expected.model_watch = {absl::Seconds(64), {"w"}, 65, {{"x", 66}}, "new",
                          .67};
  expected.catalogue = {30};
  for (ModelOptions& model : expected.models) model.max_added_items = 30;
  expected.request_log = {"rl", 0.28, true, 29, 60, absl::Seconds(61), 62};
  EXPECT_EQ(*options, expected);
}

TEST(ParseServerConfigTest, TakesAFreeAdminPortWithAFreePort) {
  const absl::StatusOr<ServerOptions> options = ParseServerConfig(
      absl::StrCat(kSmallest, "listen { grpc_address: '0.0.0.0:0' }"), "f");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->listen.admin_address, "127.0.0.1:0");
}

TEST(ParseServerConfigTest, TakesAWrittenDurationOfZeroAsWritten) {
  const absl::StatusOr<ServerOptions> options = ParseServerConfig(
      absl::StrCat(kSmallest,
                   "limits { max_event_future {} }"
                   "lifecycle { shutdown_timeout { seconds: 0 } }"),
      "f");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->limits.max_event_future, absl::ZeroDuration());
  EXPECT_EQ(options->lifecycle.shutdown_timeout, absl::ZeroDuration());
}

// Caches that are left out share the budget, once the models are known.
TEST(ParseServerConfigTest, ABudgetTakesThePlaceOfTheCachesDefaults) {
  const absl::StatusOr<ServerOptions> options = ParseServerConfig(
      "models { name: 'm' version: 1 } memory { budget_bytes: 1000000000 }"
      "store { path: 's' block_cache_bytes: 9000000 }",
      "f");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->store.block_cache_bytes, 9'000'000u);
  EXPECT_EQ(options->store.user_cache_bytes, 0u);
  EXPECT_EQ(options->store.head_cache_bytes, 0u);
}

TEST(ToTextprotoTest, IsParsedAsTheSameOptions) {
  for (const char* text :
       {kSmallest, kEverything,
        "models { name: 'm' version: 1 } store { engine: ENGINE_MEMORY }"
        "lifecycle { shutdown_timeout {} } limits { max_event_future {} }",
        "models { name: 'm' version: 1 } store { path: 's' }"
        "memory { budget_bytes: 1000000000 }"}) {
    const absl::StatusOr<ServerOptions> options = ParseServerConfig(text, "f");
    ASSERT_TRUE(options.ok()) << options.status();
    const std::string printed = ToTextproto(*options);
    const absl::StatusOr<ServerOptions> again = ParseServerConfig(printed, "g");
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << printed;
    EXPECT_EQ(*again, *options) << printed;
  }
}

struct BadConfig {
  const char* name;  // of the test
  const char* text;
  const char* message;
};

void PrintTo(const BadConfig& config, std::ostream* out) {
  *out << config.name;
}

std::string TestName(const ::testing::TestParamInfo<BadConfig>& info) {
  return info.param.name;
}

class BadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, NamesTheFieldAndTheValue) {
  const absl::StatusOr<ServerOptions> options =
      ParseServerConfig(GetParam().text, "f");
  ASSERT_FALSE(options.ok());
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(options.status().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, BadConfigTest,
    ::testing::Values(
        BadConfig{"UnknownField", "models {}\n  lisen {}",
                  "f:2:9: Message type \"qlarank.config.v1.ServerConfig\" has "
                  "no field named \"lisen\"."},
        BadConfig{"WrongType", "models { version: 'one' }",
                  "f:1:19: Expected integer, got: 'one'"},
        BadConfig{"NegativeNumber", "models { version: -1 }",
                  "f:1:19: Expected integer, got: -"},
        BadConfig{"NumberTooLarge", "rank { workers: 4294967296 }",
                  "f:1:17: Integer out of range (4294967296)"},
        BadConfig{"UnknownEnumValue", "log { level: LOUD }",
                  "f:1:19: Unknown enumeration value of \"LOUD\" for field "
                  "\"level\"."},
        BadConfig{"CutShort", "listen {", "f:1:9: Expected identifier, got: "},
        BadConfig{"FieldTwice", "store { path: 'a' path: 'b' }",
                  "f:1:23: Non-repeated field \"path\" is specified multiple "
                  "times."}),
    TestName);

INSTANTIATE_TEST_SUITE_P(
    Rules, BadConfigTest,
    ::testing::Values(
        BadConfig{"NoModels", "store { path: 's' }",
                  "f: models: none; at least one model is required"},
        BadConfig{"NoName", "models { version: 1 } store { path: 's' }",
                  "f: models[0].name: \"\"; is required"},
        BadConfig{"NameThatLeavesTheFolder",
                  "models { name: '../x' version: 1 } store { path: 's' }",
                  "f: models[0].name: \"../x\"; may hold letters, digits, "
                  "\".\", \"_\" and \"-\", and begins with a letter or a "
                  "digit"},
        BadConfig{"NameWithASlash",
                  "models { name: 'a/b' version: 1 } store { path: 's' }",
                  "f: models[0].name: \"a/b\"; may hold letters, digits, "
                  "\".\", \"_\" and \"-\", and begins with a letter or a "
                  "digit"},
        BadConfig{"NoVersion",
                  "models { name: 'm' version: 1 } models { name: 'm' }"
                  "store { path: 's' }",
                  "f: models[1].version: 0; must be at least 1"},
        BadConfig{"SameModelTwice",
                  "models { name: 'm' version: 1 }"
                  "models { name: 'n' version: 1 }"
                  "models { name: 'm' version: 1 path: 'elsewhere' }"
                  "store { path: 's' }",
                  "f: models[2]: \"m\" version 1; is models[0] already"},
        BadConfig{"TwoDefaultModels",
                  "models { name: 'm' version: 1 default_model: true }"
                  "models { name: 'm' version: 2 default_model: true }"
                  "store { path: 's' }",
                  "f: models[1].default_model: true; models[0] is the default "
                  "already"},
        BadConfig{"FingerprintThatIsNone",
                  "models { name: 'm' version: 1 expected_fingerprint: 'F00D' }"
                  "store { path: 's' }",
                  "f: models[0].expected_fingerprint: \"F00D\"; expected 64 "
                  "lower-case hex digits"},
        BadConfig{"NoStorePath", "models { name: 'm' version: 1 }",
                  "f: store.path: \"\"; is required for ENGINE_ROCKSDB"},
        BadConfig{"UnknownEngineNumber",
                  "models { name: 'm' version: 1 }"
                  "store { engine: 9 path: 's' }",
                  "f: store.engine: 9; is no engine"},
        BadConfig{"AddressWithoutPort",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { grpc_address: 'foo' }",
                  "f: listen.grpc_address: \"foo\"; expected host:port, with "
                  "a port in [0, 65535]"},
        BadConfig{"PortTooLarge",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { http_address: 'localhost:65536' }",
                  "f: listen.http_address: \"localhost:65536\"; expected "
                  "host:port, with a port in [0, 65535]"},
        BadConfig{"SameAddressTwice",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { http_address: '127.0.0.1:8500' }",
                  "f: listen.http_address: \"127.0.0.1:8500\"; must differ "
                  "from listen.grpc_address"},
        BadConfig{"AdminAtAnotherAddress",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { http_address: '127.0.0.1:8502' }",
                  "f: listen.admin_address: \"127.0.0.1:8502\"; must differ "
                  "from listen.http_address"},
        BadConfig{"AdminAddressWithoutPort",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { admin_address: 'foo' }",
                  "f: listen.admin_address: \"foo\"; expected host:port, with "
                  "a port in [0, 65535]"},
        BadConfig{"MessagesTooLargeForGrpc",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "limits { max_message_bytes: 2147483648 }",
                  "f: limits.max_message_bytes: 2147483648; must be at most "
                  "2147483647"},
        BadConfig{"LineBreakInAValue",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "listen { admin_address: 'a\\nf: b' }",
                  "f: listen.admin_address: \"a\\nf: b\"; expected host:port, "
                  "with a port in [0, 65535]"},
        BadConfig{"NegativeFuture",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "limits { max_event_future { seconds: -1 } }",
                  "f: limits.max_event_future: { seconds: -1 nanos: 0 }; must "
                  "not be negative"},
        BadConfig{"TooManyWorkers",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "rank { workers: 1025 }",
                  "f: rank.workers: 1025; must be at most 1024"},
        BadConfig{"NoTimeForReplies",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "rank { reply_timeout {} }",
                  "f: rank.reply_timeout: { }; must be above 0"},
        BadConfig{"TooManyShards",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "ingest { shards: 1025 }",
                  "f: ingest.shards: 1025; must be at most 1024"},
        BadConfig{"QueueSmallerThanARequest",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "ingest { max_queued_events: 100 }",
                  "f: ingest.max_queued_events: 100; must be at least "
                  "limits.max_events_per_append, 10000"},
        BadConfig{"BudgetSmallerThanItsParts",
                  "models { name: 'm' version: 1 }"
                  "store { path: 's' user_cache_bytes: 100000000 }"
                  "ingest { shards: 1 max_queued_events: 10000 "
                  "fold_threads: 1 } memory { budget_bytes: 160000000 }",
                  "f: memory.budget_bytes: 160000000; its parts take "
                  "227671936: the process 99360384, unfinished messages "
                  "17825792, the models' files 0, readings 1048576, "
                  "store.head_cache_bytes at least 1048576, "
                  "store.block_cache_bytes at least 8388608, "
                  "store.user_cache_bytes 100000000"},
        BadConfig{"SampleOfMoreThanAllRequests",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "request_log { sample: 1.5 }",
                  "f: request_log.sample: 1.5; must be above 0 and at most 1"},
        BadConfig{"SampleThatIsNoNumber",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "request_log { sample: nan }",
                  "f: request_log.sample: nan; must be above 0 and at most 1"},
        BadConfig{"LogOfLessThanTwoFiles",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "request_log { max_file_bytes: 100 max_bytes: 199 }",
                  "f: request_log.max_bytes: 199; must be at least twice "
                  "max_file_bytes, 100"},
        BadConfig{"LogThatIsGoneAtOnce",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "request_log { max_age { seconds: 59 } }",
                  "f: request_log.max_age: 59s; must be at least 1 min, or 0 "
                  "s"},
        BadConfig{"LogOfNegativeAge",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "request_log { max_age { seconds: -1 } }",
                  "f: request_log.max_age: { seconds: -1 nanos: 0 }; must not "
                  "be negative"},
        BadConfig{"NegativeDrainDelay",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "lifecycle { drain_delay { nanos: -1 } }",
                  "f: lifecycle.drain_delay: { seconds: 0 nanos: -1 }; must "
                  "not be negative"},
        BadConfig{"NanosTooLarge",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "lifecycle { shutdown_timeout { nanos: 1000000000 } }",
                  "f: lifecycle.shutdown_timeout: { seconds: 0 nanos: "
                  "1000000000 }; nanos must be at most 999999999"},
        BadConfig{"DurationTooLong",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "lifecycle { drain_delay { seconds: 9999999999 } }",
                  "f: lifecycle.drain_delay: { seconds: 9999999999 nanos: 0 "
                  "}; must be at most 100 years"},
        BadConfig{"NoTimeBetweenSweeps",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "retention { sweep_interval {} }",
                  "f: retention.sweep_interval: 0 s; must be more than 0 s"},
        BadConfig{"ShareAboveOne",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "retention { max_daily_share: 1.5 }",
                  "f: retention.max_daily_share: 1.5; must be 0 to 1"},
        BadConfig{"MoreItemsThanRows",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "catalogue { max_added_items: 100000001 }",
                  "f: catalogue.max_added_items: 100000001; must be at most "
                  "100000000"},
        BadConfig{"MoreThanAProcessor",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "migration { processor_share: 1.5 }",
                  "f: migration.processor_share: 1.5; must be above 0 and at "
                  "most 1"},
        BadConfig{"ModelWatch",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "model_watch { interval { nanos: 1000000 } models: '.m' }",
                  "f: model_watch.interval: 1ms; must be 0 s, or at least 100 "
                  "ms\n"
                  "f: model_base_path: \"\"; must name a folder for "
                  "model_watch to look at\n"
                  "f: model_watch.models[0]: \".m\"; may hold letters, "
                  "digits, \".\", \"_\" and \"-\", and begins with a letter "
                  "or a digit"},
        BadConfig{"WatchedVersions",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "model_watch { versions { model: 'm' } "
                  "versions { version: 2 } label: 'New' min_coverage: 2 }",
                  "f: model_watch.versions[0].version: 0; must be at least 1\n"
                  "f: model_watch.versions[1].model: \"\"; may hold letters, "
                  "digits, \".\", \"_\" and \"-\", and begins with a letter "
                  "or a digit\n"
                  "f: model_watch.label: \"New\"; must be 1 to 32 lower-case "
                  "letters, digits, \"_\" and \"-\"\n"
                  "f: model_watch.min_coverage: 2; must be above 0 and at most "
                  "1"},
        BadConfig{"UnknownLogNumbers",
                  "models { name: 'm' version: 1 } store { path: 's' }"
                  "log { level: 9 format: 8 }",
                  "f: log.level: 9; is no level\n"
                  "f: log.format: 8; is no format"},
        BadConfig{"EveryProblemAtOnce",
                  "models { name: 'm' } rank { workers: 5000 }",
                  "f: models[0].version: 0; must be at least 1\n"
                  "f: store.path: \"\"; is required for ENGINE_ROCKSDB\n"
                  "f: rank.workers: 5000; must be at most 1024"}),
    TestName);

TEST(LoadServerConfigTest, TakesTheExamplesThatShip) {
  const std::string folder = absl::StrCat(QLARANK_SOURCE_DIR, "/config/");
  for (const char* name : {"example.textproto", "demo.textproto"}) {
    const absl::StatusOr<ServerOptions> options =
        LoadServerConfig(folder + name);
    EXPECT_TRUE(options.ok()) << options.status();
  }
}

// The example says that it shows the defaults.
TEST(LoadServerConfigTest, TheExampleShowsTheDefaults) {
  const std::string path =
      absl::StrCat(QLARANK_SOURCE_DIR, "/config/example.textproto");
  absl::StatusOr<ServerOptions> example = LoadServerConfig(path);
  ASSERT_TRUE(example.ok()) << example.status();
  absl::StatusOr<ServerOptions> defaults = ParseServerConfig(
      "models { name: 'grocery' version: 1 }"
      "store { path: '/var/lib/qlarank' } rank { workers: 2 }",
      "f");
  ASSERT_TRUE(defaults.ok()) << defaults.status();
  EXPECT_EQ(*example, *defaults);
}

// Checks that a text writes every field of `type`, with whatever value, and
// those of its messages; adds how many it looked for.
void ExpectFields(const google::protobuf::Descriptor& type,
                  const TextFormat::ParseInfoTree& written,
                  const std::string& path, size_t& fields) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type.field(i);
    const std::string name = absl::StrCat(path, field->name());
    const int index = field->is_repeated() ? 0 : -1;
    EXPECT_GE(written.GetLocation(field, index).line, 0) << name;
    ++fields;
    const google::protobuf::Descriptor* message = field->message_type();
    if (message == nullptr || message->file() != type.file()) continue;
    TextFormat::ParseInfoTree* nested =
        written.GetTreeForNested(field, index);
    ASSERT_NE(nested, nullptr) << name;
    ExpectFields(*message, *nested, name + ".", fields);
  }
}

TEST(LoadServerConfigTest, TheExampleShowsEveryField) {
  std::ifstream file(
      absl::StrCat(QLARANK_SOURCE_DIR, "/config/example.textproto"));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // What has no default stands in a comment, as one would write it.
  const std::string client_names = "# client_names {";
  ASSERT_THAT(text, ::testing::HasSubstr(client_names));
  text.erase(text.find(client_names), 2);
  TextFormat::ParseInfoTree written;
  TextFormat::Parser parser;
  parser.WriteLocationsTo(&written);
  config::v1::ServerConfig config;
  ASSERT_TRUE(parser.ParseFromString(text, &config));
  size_t fields = 0;
  ExpectFields(*config::v1::ServerConfig::descriptor(), written, "", fields);
  EXPECT_GT(fields, 60u);
}

TEST(LoadServerConfigTest, NamesAFileThatCannotBeRead) {
  const absl::Status missing = LoadServerConfig("no/such.textproto").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()),
              ::testing::StartsWith("no/such.textproto: cannot be read"));
  EXPECT_FALSE(LoadServerConfig(::testing::TempDir()).ok());
}

TEST(LoadServerConfigTest, NamesTheFileOfAProblem) {
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/config_test_bad.textproto");
  std::ofstream(path) << "nonsense";
  const absl::Status status = LoadServerConfig(path).status();
  std::filesystem::remove(path);
  EXPECT_THAT(std::string(status.message()),
              ::testing::StartsWith(path + ":1:"));
}

}  // namespace
}  // namespace qlarank
