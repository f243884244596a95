#include "state_store/rocksdb_open.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "state_store/partition_position.h"
#include "state_store/records.h"
#include "state_store/rocksdb_failpoints.h"
#include "state_store/rocksdb_log_check.h"
#include "state_store/rocksdb_tuning.h"
#include "state_store/store_format.h"
#include "state_store/user_digest.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {
namespace {

// Behind so many erasures that are purged none waits, as a rule.
constexpr int kManyPurged = 1000;

absl::Status ValidateOptions(const RocksDbOptions& options) {
  if (options.path.empty()) {
    return absl::InvalidArgumentError("path of the store is empty");
  }
  if (options.memtable_bytes == 0) {
    return absl::InvalidArgumentError("memtable_bytes is 0");
  }
  if (options.background_threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("background_threads is ", options.background_threads));
  }
  return ValidatePartitions(options.partitions);
}

// True if there is a database at the path, false if one can be created there.
absl::StatusOr<bool> DatabaseExists(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path parent = fs::absolute(path).lexically_normal().parent_path();
  if (!fs::exists(path, error) && !fs::is_directory(parent, error)) {
    return absl::NotFoundError(
        absl::StrCat("store ", path.string(), ": its parent folder ",
                     parent.string(), " does not exist; create it first"));
  }
  if (fs::exists(path, error) && !fs::is_directory(path, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path.string(), ": not a folder"));
  }
  if (fs::exists(path / "CURRENT", error)) return true;
  // Creating a database deletes table files it does not know.
  for (const auto& file : fs::directory_iterator(path, error)) {
    const std::string extension = file.path().extension();
    if (extension == ".sst" || extension == ".log") {
      return absl::DataLossError(absl::StrCat(
          "store ", path.string(), ": the file CURRENT is missing, but ",
          file.path().filename().string(),
          " is there; restore the folder from a backup or give an empty one"));
    }
  }
  return false;
}

// The status, with what can be done when it says DATA_LOSS.
absl::Status DamageError(const absl::Status& status, const std::string& path) {
  if (!absl::IsDataLoss(status)) return status;
  return absl::DataLossError(absl::StrCat(
      "opening the store ", path, ": ", status.message(),
      "; restore it from a backup, or save what is whole with qlarank store "
      "repair, or, if only the newest WAL is damaged, open it once with "
      "drop_log_after_damage"));
}

// "uid 1000 (ann)".
std::string UserName(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry == nullptr ? absl::StrCat("uid ", user)
                          : absl::StrCat("uid ", user, " (", entry->pw_name, ")");
}

// Of a store that this process may not write to; OK for any other error.
absl::Status AccessError(const rocksdb::Status& status,
                         const std::string& path) {
  if (!status.IsIOError()) return absl::OkStatus();
  const std::string text = status.ToString();
  if (absl::StrContains(text, strerror(EROFS))) {
    return absl::UnavailableError(absl::StrCat(
        "store ", path, " is on a read-only file system: mount it for writing, "
        "or give another path (", text, ")"));
  }
  if (absl::StrContains(text, strerror(EACCES)) ||
      absl::StrContains(text, strerror(EPERM))) {
    struct stat folder = {};
    const bool known = stat(path.c_str(), &folder) == 0;
    return absl::UnavailableError(absl::StrCat(
        "store ", path, " must not be written to by this process, which runs as ",
        UserName(geteuid()),
        known ? absl::StrCat(", as it belongs to ", UserName(folder.st_uid)) : "",
        ": run it as the owner, or make it the owner of the folder and all in "
        "it (", text, ")"));
  }
  return absl::OkStatus();
}

absl::Status OpenError(const rocksdb::Status& status, const std::string& path) {
  const std::string doing = absl::StrCat("opening the store ", path);
  if (absl::Status access = AccessError(status, path); !access.ok()) {
    return access;
  }
  // RocksDB tells a held lock from other failures in its message only.
  if (status.IsIOError() && absl::StrContains(status.ToString(), "/LOCK") &&
      absl::StrContains(status.ToString(), "lock")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", path, " is open in another process, which holds ", path,
        "/LOCK: stop it, or give this one another path (", status.ToString(),
        ")"));
  }
  if (status.IsInvalidArgument()) {
    return absl::FailedPreconditionError(
        absl::StrCat(doing, ": not a qlarank store: ", status.ToString()));
  }
  // A file that another one names is gone.
  if (status.IsCorruption() || status.IsPathNotFound()) {
    return DamageError(absl::DataLossError(status.ToString()), path);
  }
  return ToAbslStatus(status, doing);
}

// To read what is left of a damaged database.
void ForgiveDamage(rocksdb::DBOptions& options) {
  options.paranoid_checks = false;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.track_and_verify_wals_in_manifest = false;
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
}

// One opening, step by step; what is open so far closes with it on an error.
class Opener {
 public:
  Opener(const RocksDbOptions& options, OpenMode mode)
      : options_(options),
        mode_(mode),
        cache_(MakeBlockCache(options)),
        write_faults_(std::make_shared<WriteFaults>(options.on_write_fault)),
        db_options_(MakeDbOptions(options, cache_)) {
    db_options_.listeners.push_back(write_faults_);
    if (mode == OpenMode::kSalvage) ForgiveDamage(db_options_);
    AddFailpoints(db_options_);
  }

  absl::StatusOr<OpenedStore> Open();

 private:
  rocksdb::ColumnFamilyOptions OptionsOf(absl::string_view name) const {
    if (name == kLogName) {
      return MakeLogOptions(options_, cache_);
    }
    if (name == kHeadsName) {
      return MakeHeadsOptions(options_, cache_);
    }
    if (name == kCatalogueName) {
      return MakeCatalogueOptions(options_, cache_);
    }
    return MakeStatesOptions(options_, cache_);
  }

  // The database, with all its column families: RocksDB opens with no fewer.
  absl::Status OpenAll(const std::vector<std::string>& names);
  // Accepts this format, initialises an empty database, refuses the rest.
  absl::Status CheckFormat();
  // What the format record says must be what this mode reads.
  absl::Status CheckReadable(const StoreFormat& format,
                             absl::string_view record) const;
  // Of a store without a format record: as marks of partitions name it.
  uint32_t PartitionsByMarks() const;
  absl::Status CheckFamilies();
  absl::Status CheckEmpty();
  absl::Status NotAStoreError() const;
  // Takes up the digest key, made when it is not there, and how many erasures
  // are recorded.
  absl::Status ReadErasures(OpenedStore& store);
  // Makes the column families that are missing, then the format record.
  absl::Status Initialise();

  const RocksDbOptions& options_;
  const OpenMode mode_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<WriteFaults> write_faults_;
  uint32_t partitions_ = 0;
  rocksdb::DBOptions db_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, ColumnFamily, std::less<>> column_families_;
};

absl::Status Opener::OpenAll(const std::vector<std::string>& names) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    descriptors.emplace_back(name, OptionsOf(name));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      mode_ == OpenMode::kServe
          ? rocksdb::DB::Open(db_options_, options_.path, descriptors, &handles,
                              &db)
          : rocksdb::DB::OpenForReadOnly(db_options_, options_.path,
                                         descriptors, &handles, &db);
  if (!opened.ok()) return OpenError(opened, options_.path);
  db_.reset(db);
  QLARANK_FAILPOINT("open.recovered");
  for (size_t i = 0; i < names.size(); ++i) {
    column_families_[names[i]].reset(handles[i]);
  }
  return absl::OkStatus();
}

absl::Status Opener::CheckFormat() {
  std::string record;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), ToSlice(kFormatKey), &record);
  const absl::StatusOr<StoreFormat> format = ParseFormatRecord(record);
  if (mode_ == OpenMode::kSalvage && !(read.ok() && format.ok())) {
    partitions_ = PartitionsByMarks();
    return CheckFamilies();
  }
  if (read.IsNotFound() && mode_ != OpenMode::kServe) return NotAStoreError();
  if (read.IsNotFound()) {
    // Never finished being created, or somebody else's.
    absl::Status status = CheckEmpty();
    return status.ok() ? Initialise() : status;
  }
  if (!read.ok()) return OpenError(read, options_.path);
  if (!format.ok()) {
    return absl::DataLossError(absl::StrCat("store ", options_.path, ": ",
                                            format.status().message()));
  }
  partitions_ = format->partitions;
  absl::Status status = CheckReadable(*format, record);
  return status.ok() ? CheckFamilies() : status;
}

absl::Status Opener::CheckReadable(const StoreFormat& format,
                                   absl::string_view record) const {
  if (format.format > kStoreFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", options_.path, " says \"", absl::CHexEscape(record),
        "\", this binary knows format ", kStoreFormat,
        ": use the binary that wrote it"));
  }
  if (mode_ == OpenMode::kUpgrade && format.format == kStoreFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", options_.path, " is of format ", kStoreFormat,
                     ": there is nothing to upgrade"));
  }
  if (mode_ != OpenMode::kUpgrade && format.format != kStoreFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", options_.path, " is of format ", format.format,
        ", this binary reads format ", kStoreFormat,
        ": make a new store of it with qlarank store upgrade ", options_.path,
        " NEW_DIR"));
  }
  return absl::OkStatus();
}

uint32_t Opener::PartitionsByMarks() const {
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  for (it->Seek(MarkKey("")); it->Valid(); it->Next()) {
    const auto name = NameOfMarkKey(ToView(it->key()));
    if (!name.has_value()) break;
    const auto parsed = ParsePositionMarkName(*name);
    if (parsed.has_value() &&
        DecodeMark(ToView(it->key()), ToView(it->value())).ok()) {
      return parsed->partitions;
    }
  }
  return 0;
}

absl::Status Opener::CheckFamilies() {
  for (absl::string_view name : {kLogName, kHeadsName}) {
    if (!column_families_.contains(name)) {
      return absl::DataLossError(absl::StrCat(
          "store ", options_.path, ": column family ", name, " is missing"));
    }
  }
  for (const auto& [name, unused] : column_families_) {
    if (name != rocksdb::kDefaultColumnFamilyName && name != kLogName &&
        name != kHeadsName && name != kCatalogueName &&
        !absl::StartsWith(name, kStatesPrefix)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "store ", options_.path, ": unknown column family ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status Opener::NotAStoreError() const {
  return absl::FailedPreconditionError(absl::StrCat(
      "store ", options_.path,
      ": a RocksDB database, but not a qlarank store (no format record)"));
}

absl::Status Opener::CheckEmpty() {
  for (const auto& [name, column_family] : column_families_) {
    rocksdb::ReadOptions read_options;
    read_options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> it(
        db_->NewIterator(read_options, column_family.get()));
    it->SeekToFirst();
    if (!it->status().ok()) return OpenError(it->status(), options_.path);
    if (it->Valid()) return NotAStoreError();
  }
  return absl::OkStatus();
}

absl::Status Opener::Initialise() {
  for (absl::string_view name : {kLogName, kHeadsName}) {
    if (column_families_.contains(name)) continue;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status created =
        db_->CreateColumnFamily(OptionsOf(name), std::string(name), &handle);
    if (!created.ok()) return OpenError(created, options_.path);
    column_families_[std::string(name)].reset(handle);
    QLARANK_FAILPOINT("create.family_made");
  }
  // Last: a store with this record is complete.
  rocksdb::WriteOptions synced;
  synced.sync = true;
  partitions_ = options_.partitions;
  const rocksdb::Status written =
      db_->Put(synced, ToSlice(kFormatKey), FormatRecord(partitions_));
  return written.ok() ? absl::OkStatus() : OpenError(written, options_.path);
}

absl::Status Opener::ReadErasures(OpenedStore& store) {
  const rocksdb::Status read = db_->Get(
      rocksdb::ReadOptions(), ToSlice(kDigestKeyKey), &store.digest_key);
  if (read.IsNotFound() && mode_ == OpenMode::kServe) {
    store.digest_key = NewDigestKey();
    rocksdb::WriteOptions synced;
    synced.sync = true;
    const rocksdb::Status written =
        db_->Put(synced, ToSlice(kDigestKeyKey), store.digest_key);
    if (!written.ok()) return OpenError(written, options_.path);
  } else if (!read.ok() && !read.IsNotFound() && mode_ != OpenMode::kSalvage) {
    return OpenError(read, options_.path);
  }
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  it->SeekForPrev(ErasureKey(std::numeric_limits<uint64_t>::max()));
  if (it->Valid()) {
    const auto number = NumberOfErasureKey(ToView(it->key()));
    if (number.has_value()) store.next_erasure = *number + 1;
  }
  // Those that wait to be purged are the newest, with purged ones among them.
  for (int purged = 0; it->Valid() && purged < kManyPurged; it->Prev()) {
    const absl::string_view key = ToView(it->key());
    if (!NumberOfErasureKey(key).has_value()) break;
    const auto erasure = DecodeErasure(key, ToView(it->value()));
    if (!erasure.ok()) break;  // told by whoever reads it
    const bool pending = !erasure->key_prefix.empty();
    store.erasures_pending += pending;
    purged = pending ? 0 : purged + 1;
  }
  if (it->status().ok() || mode_ == OpenMode::kSalvage) return absl::OkStatus();
  return OpenError(it->status(), options_.path);
}

absl::StatusOr<OpenedStore> Opener::Open() {
  absl::Status status = ValidateOptions(options_);
  if (!status.ok()) return status;
  absl::StatusOr<bool> exists = DatabaseExists(options_.path);
  if (!exists.ok()) return exists.status();
  if (!*exists && mode_ != OpenMode::kServe) {
    return absl::NotFoundError(
        absl::StrCat("store ", options_.path, ": there is none"));
  }
  std::vector<std::string> names = {rocksdb::kDefaultColumnFamilyName};
  if (!*exists) {
    // RocksDB would, and before it does call what is missing an error.
    std::error_code error;
    std::filesystem::create_directory(options_.path, error);
  }
  if (*exists) {
    if (mode_ != OpenMode::kSalvage) {
      status = CheckLogFiles(options_.path, options_.drop_log_after_damage);
      if (!status.ok()) return DamageError(status, options_.path);
    }
    const rocksdb::Status listed =
        rocksdb::DB::ListColumnFamilies(db_options_, options_.path, &names);
    if (!listed.ok()) return OpenError(listed, options_.path);
  }
  status = OpenAll(names);
  if (status.ok()) status = CheckFormat();
  if (!status.ok()) return status;

  OpenedStore store;
  store.options = options_;
  store.cache = cache_;
  store.statistics = db_options_.statistics;
  store.write_faults = write_faults_;
  store.partitions = partitions_;
  store.read_only = mode_ != OpenMode::kServe;
  status = ReadErasures(store);
  if (!status.ok()) return status;
  store.db = std::move(db_);
  store.log = std::move(column_families_.find(kLogName)->second);
  store.heads = std::move(column_families_.find(kHeadsName)->second);
  for (auto& [name, column_family] : column_families_) {
    if (name == kCatalogueName) store.catalogue = std::move(column_family);
    if (absl::StartsWith(name, kStatesPrefix)) {
      store.states.emplace(absl::StripPrefix(name, kStatesPrefix),
                           std::move(column_family));
    }
  }
  return store;
}

}  // namespace

absl::StatusOr<OpenedStore> OpenStore(const RocksDbOptions& options,
                                      OpenMode mode) {
  return Opener(options, mode).Open();
}

absl::StatusOr<ColumnFamily> MakeCatalogue(
    rocksdb::DB& db, const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  absl::Status made = ToAbslStatus(
      db.CreateColumnFamily(MakeCatalogueOptions(options, cache),
                            std::string(kCatalogueName), &handle),
      "making room for the catalogue");
  if (!made.ok()) return made;
  return ColumnFamily(handle);
}

}  // namespace qlarank::rocksdb_internal
