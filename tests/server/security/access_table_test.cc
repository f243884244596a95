#include "server/security/access_table.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::google::protobuf::DescriptorPool;

// Every service of the API, whoever wrote it: those of the .proto files.
std::vector<const google::protobuf::ServiceDescriptor*> ApiServices() {
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  const std::string folder = "qlarank/v1/";
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat(QLARANK_SOURCE_DIR, "/proto/", folder))) {
    const auto* file = DescriptorPool::generated_pool()->FindFileByName(
        folder + entry.path().filename().string());
    EXPECT_NE(file, nullptr) << entry.path() << " is not in this test";
    if (file == nullptr) continue;
    for (int i = 0; i < file->service_count(); ++i) {
      services.push_back(file->service(i));
    }
  }
  return services;
}

TEST(AccessTableTest, HasAnEntryForEveryMethodOfTheApi) {
  ASSERT_GE(ApiServices().size(), 3u);
  for (const auto* service : ApiServices()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const auto* access =
          FindAccess(service->full_name(), service->method(i)->name());
      ASSERT_NE(access, nullptr) << service->method(i)->full_name()
                                 << ": say in access_table.cc who may call it";
      EXPECT_TRUE(access->role.has_value())
          << service->method(i)->full_name() << " is open to anyone";
    }
  }
}

TEST(AccessTableTest, HasNoEntryTwiceNorForAMethodThatIsNone) {
  std::set<std::string> seen;
  for (const MethodAccess& entry : AccessTable()) {
    const std::string name = absl::StrCat(entry.service, ".", entry.method);
    EXPECT_TRUE(seen.insert(name).second) << name;
    if (absl::StartsWith(entry.service, "grpc.")) continue;  // not ours
    EXPECT_NE(DescriptorPool::generated_pool()->FindMethodByName(name), nullptr)
        << name;
  }
}

TEST(AccessTableTest, KnowsPaths) {
  const MethodAccess* rank = FindAccess("/qlarank.v1.RankService/Rank");
  ASSERT_NE(rank, nullptr);
  EXPECT_EQ(rank->method, "Rank");
  EXPECT_EQ(rank->role, Role::kRank);
  EXPECT_EQ(FindAccess("/qlarank.v1.RankService/rank"), nullptr);
  EXPECT_EQ(FindAccess("qlarank.v1.RankService/Rank"), nullptr);
  EXPECT_EQ(FindAccess(""), nullptr);
}

TEST(AccessTableTest, ErasureIsForOperatorsOnly) {
  const absl::string_view state = "qlarank.v1.StateService";
  EXPECT_FALSE(IsServedOn(Listener::kMain, state, "DeleteUser"));
  EXPECT_TRUE(IsServedOn(Listener::kAdmin, state, "DeleteUser"));
  EXPECT_TRUE(IsServedOn(Listener::kMain, state, "GetUserState"));
  EXPECT_FALSE(IsServedOn(Listener::kAdmin, state, "GetUserState"));
  EXPECT_EQ(FindAccess(state, "DeleteUser")->role, Role::kAdmin);
}

TEST(AccessTableTest, WhatRunsIsForOperatorsOnly) {
  const absl::string_view admin = "qlarank.v1.AdminService";
  EXPECT_FALSE(IsServedOn(Listener::kMain, admin, "GetServerInfo"));
  EXPECT_TRUE(IsServedOn(Listener::kAdmin, admin, "GetServerInfo"));
  EXPECT_EQ(FindAccess(admin, "GetServerInfo")->role, Role::kAdmin);
}

// Who ranks has to know what can be asked; who writes events alone has not.
TEST(AccessTableTest, ModelsAreForThoseWhoRank) {
  const absl::string_view model = "qlarank.v1.ModelService";
  for (const char* method : {"ListModels", "GetModel"}) {
    EXPECT_TRUE(IsServedOn(Listener::kMain, model, method));
    EXPECT_FALSE(IsServedOn(Listener::kAdmin, model, method));
    EXPECT_EQ(FindAccess(model, method)->role, Role::kRank);
  }
}

TEST(AccessTableTest, ModelsAreChangedByAdminsAtTheirAddress) {
  const absl::string_view service = "qlarank.v1.ModelAdminService";
  for (const char* method :
       {"LoadModel", "UnloadModel", "SetLabel", "RemoveLabel", "Rollback",
        "SetTraffic", "SetShadow", "UpsertItems", "RemoveItems", "GetItems",
        "ListItems"}) {
    EXPECT_FALSE(IsServedOn(Listener::kMain, service, method));
    EXPECT_TRUE(IsServedOn(Listener::kAdmin, service, method));
    EXPECT_EQ(FindAccess(service, method)->role, Role::kAdmin);
  }
}

TEST(AccessTableTest, ServesNothingWithoutAnEntry) {
  EXPECT_FALSE(IsServedOn(Listener::kMain, "qlarank.v1.RankService", "No"));
  EXPECT_FALSE(ServesAnyOf(Listener::kMain, "qlarank.v1.NoService"));
  EXPECT_FALSE(ServesAnyOf(Listener::kAdmin, "qlarank.v1.RankService"));
  EXPECT_TRUE(ServesAnyOf(Listener::kAdmin, "grpc.health.v1.Health"));
}

}  // namespace
}  // namespace qlarank
