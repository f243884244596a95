#include "server/security/access_table.h"

#include <algorithm>
#include <array>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr absl::string_view kRank = "qlarank.v1.RankService";
constexpr absl::string_view kIngest = "qlarank.v1.IngestService";
constexpr absl::string_view kState = "qlarank.v1.StateService";
constexpr absl::string_view kModel = "qlarank.v1.ModelService";
constexpr absl::string_view kModelAdmin = "qlarank.v1.ModelAdminService";
constexpr absl::string_view kAdmin = "qlarank.v1.AdminService";
constexpr absl::string_view kHealth = "grpc.health.v1.Health";
constexpr absl::string_view kReflection =
    "grpc.reflection.v1alpha.ServerReflection";

// Load balancers ask for health and have no secrets: it says no more than
// whether the server serves. Reflection tells what there is to attack. Who may
// rank may know what can be asked: answers to requests that are made up would
// tell most of it. To nobody else are models described.
constexpr auto kTable = std::to_array<MethodAccess>({
    {kRank, "Rank", ServedOn::kMain, Role::kRank},
    {kIngest, "AppendEvents", ServedOn::kMain, Role::kIngest},
    {kIngest, "StreamEvents", ServedOn::kMain, Role::kIngest},
    {kIngest, "MarkSource", ServedOn::kMain, Role::kIngest},
    {kIngest, "GetSource", ServedOn::kMain, Role::kIngest},
    {kState, "GetUserState", ServedOn::kMain, Role::kRank},
    {kState, "GetUserSummary", ServedOn::kMain, Role::kRank},
    {kModel, "ListModels", ServedOn::kMain, Role::kRank},
    {kModel, "GetModel", ServedOn::kMain, Role::kRank},
    {kState, "DeleteUser", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "LoadModel", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "UnloadModel", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "SetLabel", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "RemoveLabel", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "Rollback", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "SetTraffic", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "SetShadow", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "UpsertItems", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "RemoveItems", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "GetItems", ServedOn::kAdmin, Role::kAdmin},
    {kModelAdmin, "ListItems", ServedOn::kAdmin, Role::kAdmin},
    {kAdmin, "Checkpoint", ServedOn::kAdmin, Role::kAdmin},
    {kAdmin, "Backup", ServedOn::kAdmin, Role::kAdmin},
    {kAdmin, "ExportEvents", ServedOn::kAdmin, Role::kAdmin},
    {kAdmin, "ListErasures", ServedOn::kAdmin, Role::kAdmin},
    {kAdmin, "GetServerInfo", ServedOn::kAdmin, Role::kAdmin},
    {kHealth, "Check", ServedOn::kBoth, std::nullopt},
    {kHealth, "Watch", ServedOn::kBoth, std::nullopt},
    {kReflection, "ServerReflectionInfo", ServedOn::kBoth, Role::kAdmin},
});

bool Matches(ServedOn served_on, Listener listener) {
  if (served_on == ServedOn::kBoth) return true;
  return (served_on == ServedOn::kAdmin) == (listener == Listener::kAdmin);
}

}  // namespace

absl::Span<const MethodAccess> AccessTable() { return kTable; }

const MethodAccess* FindAccess(absl::string_view path) {
  using ByPath = absl::flat_hash_map<std::string, const MethodAccess*>;
  static const ByPath& by_path = *[] {
    auto* paths = new ByPath;
    for (const MethodAccess& entry : kTable) {
      paths->emplace(absl::StrCat("/", entry.service, "/", entry.method),
                     &entry);
    }
    return paths;
  }();
  const auto found = by_path.find(path);
  return found == by_path.end() ? nullptr : found->second;
}

const MethodAccess* FindAccess(absl::string_view service,
                               absl::string_view method) {
  return FindAccess(absl::StrCat("/", service, "/", method));
}

bool IsServedOn(Listener listener, absl::string_view service,
                absl::string_view method) {
  const MethodAccess* access = FindAccess(service, method);
  return access != nullptr && Matches(access->served_on, listener);
}

bool ServesAnyOf(Listener listener, absl::string_view service) {
  return std::any_of(kTable.begin(), kTable.end(),
                     [&](const MethodAccess& entry) {
                       return entry.service == service &&
                              Matches(entry.served_on, listener);
                     });
}

}  // namespace qlarank
