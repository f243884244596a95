// Any admin request is refused by naming what is wrong, or makes its copy
// within the configured folders and nowhere else; and a list of erasures is as
// long as it was asked to be and tells no user's id. The first byte says which
// request it is and whether folders are configured.
//
// Copies are those of a store that makes a folder or a file and no more: what a
// request can spoil is where they go.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "prometheus/registry.h"
#include "server/ops/logging.h"
#include "server/upkeep/admin_pipeline.h"
#include "server/work/proto_time.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_server.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::fuzz {
namespace {

namespace fs = std::filesystem;

enum Kind : uint8_t { kCheckpoint, kBackup, kErasures, kNumKinds };

constexpr const char* kUsers[] = {"ann@example.org", "bob@example.org",
                                  "cleo@example.org"};
constexpr uint64_t kEventsOfUser = 2;

// The n-th user is erased n times.
size_t NumErasures(absl::string_view user_id) {
  const auto* const user = std::find(std::begin(kUsers), std::end(kUsers),
                                     user_id);
  return user == std::end(kUsers) ? 0 : user - std::begin(kUsers) + 1;
}

size_t NumErasures() {
  size_t sum = 0;
  for (const char* user_id : kUsers) sum += NumErasures(user_id);
  return sum;
}

// The real pipeline over a store in memory, and what is below the folders.
// One per process, never torn down.
class AdminServer {
 public:
  static AdminServer& Get() {
    static auto* const server = new AdminServer;
    return *server;
  }

  const StateStore& store() const { return store_; }
  std::string checkpoints() const { return folder_.Path("checkpoints"); }
  std::string backups() const { return folder_.Path("backups"); }

  template <typename Request, typename Response>
  absl::Status Ask(bool configured, const Request& request,
                   Response& response) {
    absl::Notification answered;
    absl::Status result;
    AdminPipeline& pipeline = configured ? configured_ : bare_;
    pipeline.Start(request, response, [&](absl::Status status) {
      result = std::move(status);
      answered.Notify();
    });
    answered.WaitForNotification();
    return result;
  }

  // All that there is by now, as paths below the folder; removes it.
  std::set<std::string> Clear() {
    std::set<std::string> found;
    for (const auto& entry :
         fs::recursive_directory_iterator(folder_.path())) {
      found.insert(entry.path().lexically_relative(folder_.path()).string());
    }
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      fs::remove_all(entry.path());
    }
    return found;
  }

 private:
  AdminServer()
      : configured_(store_, metrics_, Folders()), bare_(store_, metrics_, {}) {
    InitLogging({}, nowhere_);
    store_.checkpoint = [this](const std::string& path) {
      return Checkpoint(path);
    };
    store_.backup = [this](const std::string& folder, uint32_t keep) {
      return Backup(folder, keep);
    };
    for (size_t times = 1; times <= std::size(kUsers); ++times) {
      for (const char* user_id : kUsers) {
        if (times <= NumErasures(user_id)) Erase(user_id, times);
      }
    }
  }

  StoreOptions Folders() const {
    StoreOptions options;
    options.checkpoint_path = checkpoints();
    options.backup_path = backups();
    return options;
  }

  absl::Status Checkpoint(const fs::path& path) const {
    Check(path.lexically_normal() == path &&
              path.parent_path() == checkpoints(),
          "a checkpoint is in its folder");
    return fs::create_directory(path)
               ? absl::OkStatus()
               : absl::AlreadyExistsError("something is there");
  }

  absl::StatusOr<BackupInfo> Backup(const std::string& folder,
                                    uint32_t keep) const {
    Check(folder == backups(), "a backup is in its folder");
    fs::create_directory(folder);
    std::ofstream(folder + "/1") << keep;
    return BackupInfo{.id = 1, .bytes = keep, .new_bytes = 3};
  }

  void Erase(const std::string& user_id, uint64_t incarnation) {
    UserAppend append;
    append.user_id = user_id;
    append.head_after.incarnation = incarnation;
    append.head_after.last_sequence = kEventsOfUser;
    append.events.resize(kEventsOfUser);
    Check(store_.AppendEvents({&append, 1}).ok(), "a user can be stored");
    const ErasureNote note = {++time_us_, "operator", "request"};
    Check(store_.DeleteUser(user_id, note).ok(), "a user can be erased");
  }

  const testing::TempDir folder_;
  std::ostream nowhere_{nullptr};
  int64_t time_us_ = testing::kEpochUs;
  testing::FaultyStateStore store_;
  prometheus::Registry registry_;
  CopyMetrics metrics_{registry_};
  AdminPipeline configured_;
  AdminPipeline bare_;
};

// admin_service.proto's rule.
bool IsFolderName(const std::string& name) {
  constexpr char kFirst[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return !name.empty() && name.size() <= 128 &&
         name.find_first_of(kFirst) == 0 &&
         name.find_first_not_of(absl::StrCat(kFirst, "._-")) ==
             std::string::npos;
}

bool Names(const absl::Status& status, absl::string_view field) {
  return absl::StartsWith(status.message(), absl::StrCat(field, ": "));
}

void AskCheckpoint(bool configured, const v1::CheckpointRequest& request) {
  AdminServer& server = AdminServer::Get();
  v1::CheckpointResponse response;
  const absl::Status status = server.Ask(configured, request, response);
  if (status.ok()) {
    Check(configured && IsFolderName(request.name()),
          "a checkpoint needs a folder and a name");
    Check(response.path() == server.checkpoints() + "/" + request.name(),
          "a checkpoint is where it is said to be");
    v1::CheckpointResponse again;
    Check(absl::IsAlreadyExists(server.Ask(configured, request, again)),
          "a checkpoint is not made twice");
    Check(server.Clear() ==
              std::set<std::string>{"checkpoints",
                                    "checkpoints/" + request.name()},
          "a checkpoint makes its folder alone");
    return;
  }
  CheckRefusal(status);
  Check(IsFolderName(request.name())
            ? !configured && absl::IsFailedPrecondition(status) &&
                  Names(status, "store.checkpoint_path")
            : absl::IsInvalidArgument(status) && Names(status, "name"),
        "a checkpoint is refused by its field");
  Check(response.ByteSizeLong() == 0, "a refusal answers nothing");
  Check(server.Clear().empty(), "a refusal makes nothing");
}

void AskBackup(bool configured, const v1::BackupRequest& request) {
  AdminServer& server = AdminServer::Get();
  v1::BackupResponse response;
  const absl::Status status = server.Ask(configured, request, response);
  Check(status.ok() == configured, "a backup needs a folder");
  if (status.ok()) {
    Check(response.backup_id() == 1 && response.bytes() == request.keep() &&
              response.new_bytes() == 3,
          "a backup is told as it was made");
    Check(server.Clear() == std::set<std::string>{"backups", "backups/1"},
          "a backup is in its folder alone");
    return;
  }
  Check(absl::IsFailedPrecondition(status) &&
            Names(status, "store.backup_path"),
        "a backup is refused by its field");
  Check(server.Clear().empty(), "a refusal makes nothing");
}

void AskErasures(const v1::ListErasuresRequest& request) {
  AdminServer& server = AdminServer::Get();
  v1::ListErasuresResponse response;
  Check(server.Ask(true, request, response).ok(), "erasures can be listed");
  const std::string& wanted = request.user_id();
  const uint64_t limit = request.limit() == 0 ? 1000 : request.limit();
  Check(static_cast<uint64_t>(response.erasures_size()) ==
            std::min<uint64_t>(
                limit, wanted.empty() ? NumErasures() : NumErasures(wanted)),
        "a list is as long as there are erasures, or as was asked for");
  int64_t newer_us = testing::kEpochUs + NumErasures() + 1;
  for (const v1::Erasure& erasure : response.erasures()) {
    Check(wanted.empty() ||
              erasure.user_digest() == server.store().DigestOfUser(wanted),
          "erasures are those of the user who was asked for");
    Check(erasure.events() == kEventsOfUser, "an erasure counts its events");
    const int64_t time_us = erasure.time().seconds() * 1'000'000 +
                            erasure.time().nanos() / 1000;
    Check(time_us < newer_us, "the newest erasure is the first");
    newer_us = time_us;
  }
  const std::string bytes = response.SerializeAsString();
  for (const char* user_id : kUsers) {
    Check(!absl::StrContains(bytes, user_id), "nobody's id is told");
  }
}

template <typename Request>
std::string Seed(uint8_t kind, bool configured, const Request& request) {
  const int first = configured ? kind : kind + kNumKinds;
  return std::string(1, static_cast<char>(first)) + request.SerializeAsString();
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const std::string& name :
       {std::string("2026-11-26_noon.1"), std::string("../elsewhere"),
        std::string("/tmp/a"), std::string("a/../b"), std::string(".."),
        std::string(129, 'a')}) {
    v1::CheckpointRequest request;
    request.set_name(name);
    seeds.push_back(Seed(kCheckpoint, true, request));
    seeds.push_back(Seed(kCheckpoint, false, request));
  }
  v1::BackupRequest backup;
  backup.set_keep(3);
  seeds.push_back(Seed(kBackup, true, backup));
  seeds.push_back(Seed(kBackup, false, backup));
  for (const char* user_id : {"", kUsers[0], kUsers[2], "nobody"}) {
    v1::ListErasuresRequest request;
    request.set_user_id(user_id);
    seeds.push_back(Seed(kErasures, true, request));
    request.set_limit(2);
    seeds.push_back(Seed(kErasures, true, request));
  }
  return seeds;
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  namespace v1 = qlarank::v1;
  if (size == 0) return 0;
  const uint8_t kind = data[0] % fuzz::kNumKinds;
  const bool configured = data[0] / fuzz::kNumKinds % 2 == 0;
  const auto ask = [&](auto request, const auto& how) {
    if (fuzz::ParseMessage(data + 1, size - 1, request)) how(request);
  };
  if (kind == fuzz::kCheckpoint) {
    ask(v1::CheckpointRequest(), [&](const v1::CheckpointRequest& request) {
      fuzz::AskCheckpoint(configured, request);
    });
  } else if (kind == fuzz::kBackup) {
    ask(v1::BackupRequest(), [&](const v1::BackupRequest& request) {
      fuzz::AskBackup(configured, request);
    });
  } else {
    ask(v1::ListErasuresRequest(), fuzz::AskErasures);
  }
  return 0;
}
