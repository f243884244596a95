#include "state_store/store_repair.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rocksdb/db.h"
#include "state_store/folders.h"
#include "state_store/rocksdb_inspect.h"
#include "state_store/rocksdb_new_store.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_salvage.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/rocksdb_tuning.h"

namespace qlarank {
namespace {

using rocksdb_internal::kHeadsName;
using rocksdb_internal::kLogName;
using rocksdb_internal::NewStore;
using rocksdb_internal::OpenedStore;
using rocksdb_internal::OpenMode;
using rocksdb_internal::OpenStore;
using rocksdb_internal::ToAbslStatus;

RocksDbOptions OptionsAt(const std::string& path) {
  RocksDbOptions options;
  options.path = path;
  return options;
}

// Makes the manifest of the database at `path` anew, of what its table files
// and its WAL say.
absl::Status RepairDatabase(const std::string& path) {
  const RocksDbOptions options = OptionsAt(path);
  const auto cache = rocksdb_internal::MakeBlockCache(options);
  const std::vector<rocksdb::ColumnFamilyDescriptor> known = {
      {rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions()},
      {std::string(kLogName), rocksdb_internal::MakeLogOptions(options, cache)},
      {std::string(kHeadsName),
       rocksdb_internal::MakeHeadsOptions(options, cache)}};
  return ToAbslStatus(
      rocksdb::RepairDB(path, rocksdb_internal::MakeDbOptions(options, cache),
                        known,
                        rocksdb_internal::MakeStatesOptions(options, cache)),
      absl::StrCat("repairing the database ", path));
}

}  // namespace

absl::StatusOr<RepairTotals> RepairStore(const std::string& damaged,
                                         const std::string& repaired,
                                         const StoreProblemSink& sink) {
  const auto lock = rocksdb_internal::LockForInspection(damaged);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<NewFolder> target = NewFolder::At(repaired, ".repairing");
  if (!target.ok()) return target.status();
  // Opened as for serving, to hear what is wrong with the files.
  const absl::Status strict =
      OpenStore(OptionsAt(damaged), OpenMode::kInspect).status();
  if (absl::IsDataLoss(strict)) sink({"files", "", std::string(strict.message())});
  std::optional<NewFolder> links;  // closed before they go
  absl::StatusOr<OpenedStore> from =
      OpenStore(OptionsAt(damaged), OpenMode::kSalvage);
  if (absl::IsDataLoss(from.status())) {
    sink({"files", "",
          "it cannot be opened: going on with what RepairDB makes of it"});
    absl::StatusOr<NewFolder> copy = NewFolder::At(repaired, ".files");
    if (!copy.ok()) return copy.status();
    links.emplace(*std::move(copy));
    absl::Status status = LinkOrCopyFiles(damaged, links->work());
    if (status.ok()) status = RepairDatabase(links->work());
    if (!status.ok()) return status;
    from = OpenStore(OptionsAt(links->work()), OpenMode::kSalvage);
  }
  if (!from.ok()) return from.status();
  absl::StatusOr<RepairTotals> totals;
  {
    if (from->partitions == 0) {
      from->partitions = kDefaultPartitions;
      sink({"default", "",
            absl::StrCat("nothing says how many partitions there are: taken to "
                         "be ", kDefaultPartitions)});
    }
    absl::StatusOr<NewStore> to =
        NewStore::Like(*from, target->work(), from->partitions);
    if (!to.ok()) return to.status();
    totals = rocksdb_internal::Salvage(*from, *to, sink).Run();
    if (!totals.ok()) return totals.status();
    totals->may_be_incomplete |= absl::IsDataLoss(strict);
  }
  absl::Status status = target->Publish();
  if (!status.ok()) return status;
  return totals;
}

}  // namespace qlarank
