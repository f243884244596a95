#include "state_store/store_check.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "rocksdb/db.h"
#include "rocksdb/sst_file_reader.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"
#include "state_store/partition_position.h"
#include "state_store/record_names.h"
#include "state_store/rocksdb_inspect.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/rocksdb_user_walk.h"
#include "state_store/validation.h"

namespace qlarank {
namespace {

using rocksdb_internal::kCatalogueName;
using rocksdb_internal::kHeadsName;
using rocksdb_internal::kLogName;
using rocksdb_internal::kStatesPrefix;
using rocksdb_internal::OpenedStore;
using rocksdb_internal::RocksDbStateStore;
using rocksdb_internal::UserWalk;

constexpr size_t kChunkEvents = 4096;

class Verifier {
 public:
  explicit Verifier(const StoreProblemSink& sink) : sink_(sink) {}

  StoreTotals Run(OpenedStore store);

  void Report(absl::string_view column_family, absl::string_view user_id,
              absl::string_view what);

 private:
  void CheckTableFiles(rocksdb::DB& db);
  void CheckUser(const std::string& user_id);
  void CheckLog(const std::string& user_id, const UserHead& head);
  void CheckWatermarks(
      const std::string& user_id, const UserHead& head,
      const std::map<std::string, uint64_t, std::less<>>& newest);
  void CheckSnapshots(const std::string& user_id,
                      const absl::StatusOr<UserHead>& head);

  void CheckCatalogue();
  void ReadMarks();
  // Takes up how many events a partition has had, if the mark says so.
  void NotePosition(const Mark& mark);
  // Looks whether the user's partition has counted their events.
  void CheckPosition(const std::string& user_id, const UserHead& head);

  const StoreProblemSink& sink_;
  StoreTotals totals_;
  // By partition. Empty without any, as in a store that no server has written
  // to, or when some are damaged.
  std::map<uint32_t, uint64_t> positions_;
  std::unique_ptr<RocksDbStateStore> store_;
  std::vector<std::string> fingerprints_;
  std::map<std::string, uint64_t, std::less<>> marks_;  // of sources
  size_t num_schemas_ = 0;
  bool catalogue_is_whole_ = true;
};

void Verifier::Report(absl::string_view column_family,
                      absl::string_view user_id, absl::string_view what) {
  ++totals_.problems;
  StoreProblem problem;
  problem.column_family = std::string(column_family);
  problem.what = std::string(what);
  if (!user_id.empty()) {
    problem.user_hash = UserHashHex(user_id);
    // The store's own messages name them.
    problem.what = absl::StrReplaceAll(
        what, {{QuotedUser(user_id), problem.user_hash}});
  }
  sink_(problem);
}

void Verifier::CheckTableFiles(rocksdb::DB& db) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    ++totals_.table_files;
    rocksdb::SstFileReader reader((rocksdb::Options()));
    rocksdb::Status status = reader.Open(file.db_path + file.name);
    if (status.ok()) status = reader.VerifyChecksum();
    if (!status.ok()) {
      Report(file.column_family_name, "",
             absl::StrCat("table file ", file.name.substr(1), ": ",
                          status.ToString()));
    }
  }
}

void Verifier::CheckUser(const std::string& user_id) {
  ++totals_.users;
  const absl::StatusOr<UserHead> head = store_->GetHead(user_id);
  if (head.ok()) {
    CheckLog(user_id, *head);
    CheckPosition(user_id, *head);
  } else {
    Report(kHeadsName, user_id, head.status().message());
  }
  CheckSnapshots(user_id, head);
}

void Verifier::CheckLog(const std::string& user_id, const UserHead& head) {
  std::map<std::string, uint64_t, std::less<>> newest;  // sequence, by source
  uint32_t unknown_schema = 0;
  uint64_t catalogue_version = 0;
  // One further than the head counts: nothing may be there.
  for (uint64_t next = head.first_sequence; next <= head.last_sequence + 1;) {
    const auto events = store_->ReadEvents(user_id, next, kChunkEvents);
    if (!events.ok()) {
      return Report(kLogName, user_id, events.status().message());
    }
    for (const LoggedEvent& event : *events) {
      if (event.schema > num_schemas_) unknown_schema = event.schema;
      catalogue_version = std::max(catalogue_version, event.catalogue_version);
      uint64_t& sequence = newest[event.source];
      sequence = std::max(sequence, event.source_sequence);
    }
    totals_.events += events->size();
    next += std::max<size_t>(events->size(), 1);
  }
  if (unknown_schema > 0) {
    Report(kLogName, user_id,
           absl::StrCat("events of schema ", unknown_schema, ", the store has ",
                        num_schemas_));
  }
  if (catalogue_is_whole_ && catalogue_version > totals_.catalogue_entries) {
    Report(kLogName, user_id,
           absl::StrCat("events of catalogue version ", catalogue_version,
                        ", the catalogue has ", totals_.catalogue_entries));
  }
  CheckWatermarks(user_id, head, newest);
}

void Verifier::CheckWatermarks(
    const std::string& user_id, const UserHead& head,
    const std::map<std::string, uint64_t, std::less<>>& newest) {
  if (head.watermarks == newest) return;
  const bool trimmed = head.first_sequence > 1;
  // What its source's mark says need not be said by a watermark.
  const auto marked = [this](const std::string& source, uint64_t sequence) {
    const auto mark = marks_.find(source);
    return mark != marks_.end() && sequence <= mark->second;
  };
  for (const auto& [source, sequence] : newest) {
    const auto it = head.watermarks.find(source);
    const uint64_t watermark = it == head.watermarks.end() ? 0 : it->second;
    if (watermark == 0 && marked(source, sequence)) continue;
    // Of a trimmed log the newest of a source may be gone.
    if (watermark == sequence || (trimmed && watermark > sequence)) continue;
    Report(kHeadsName, user_id,
           absl::StrCat("the watermark of source \"", absl::CHexEscape(source),
                        "\" is ", watermark, ", its newest event has ",
                        sequence));
  }
  for (const auto& [source, watermark] : head.watermarks) {
    if (newest.contains(source) || watermark == 0 || trimmed) continue;
    Report(kHeadsName, user_id,
           absl::StrCat("the watermark of source \"", absl::CHexEscape(source),
                        "\" is ", watermark, ", it has no event"));
  }
}

void Verifier::CheckSnapshots(const std::string& user_id,
                              const absl::StatusOr<UserHead>& head) {
  for (const std::string& fingerprint : fingerprints_) {
    const std::string name = absl::StrCat(kStatesPrefix, fingerprint);
    const auto snapshot = store_->GetSnapshot(fingerprint, user_id);
    if (!snapshot.ok()) {
      Report(name, user_id, snapshot.status().message());
      continue;
    }
    if (!snapshot->has_value()) continue;
    ++totals_.snapshots;
    if (!head.ok()) continue;
    if ((*snapshot)->incarnation != head->incarnation) {
      Report(name, user_id, "a snapshot of an erased user");
    } else if ((*snapshot)->folded_sequence > head->last_sequence) {
      Report(name, user_id,
             absl::StrCat("a snapshot of ", (*snapshot)->folded_sequence,
                          " events, the log has ", head->last_sequence));
    } else if ((*snapshot)->folded_sequence + 1 < head->first_sequence) {
      // Neither it nor the log has the events in between.
      Report(name, user_id,
             absl::StrCat("a snapshot of ", (*snapshot)->folded_sequence,
                          " events, the log begins at ", head->first_sequence,
                          ": of no use, and the state is lost to this model"));
    }
  }
}

void Verifier::CheckCatalogue() {
  while (true) {
    const auto entries =
        store_->ReadEntries(totals_.catalogue_entries + 1, kChunkEvents);
    if (!entries.ok()) {
      catalogue_is_whole_ = false;
      return Report(kCatalogueName, "", entries.status().message());
    }
    if (entries->empty()) return;
    totals_.catalogue_entries += entries->size();
  }
}

void Verifier::ReadMarks() {
  const auto marks = store_->ListMarks();
  if (!marks.ok()) {
    return Report(rocksdb::kDefaultColumnFamilyName, "",
                  marks.status().message());
  }
  for (const Mark& mark : *marks) NotePosition(mark);
}

void Verifier::NotePosition(const Mark& mark) {
  const auto name = ParsePositionMarkName(mark.name);
  if (!name.has_value()) return;
  const auto position = ParsePosition(mark.value);
  std::string wrong;
  if (!position.ok()) {
    wrong = std::string(position.status().message());
  } else if (name->partitions != totals_.partitions) {
    wrong = absl::StrCat("there are ", totals_.partitions, " partitions");
  }
  if (wrong.empty()) {
    positions_[name->partition] = *position;
  } else {
    Report(rocksdb::kDefaultColumnFamilyName, "",
           absl::StrCat(MarkName(mark.name), ": ", wrong));
  }
}

void Verifier::CheckPosition(const std::string& user_id, const UserHead& head) {
  if (positions_.empty() || head.incarnation == 0) return;
  const uint32_t partition = PartitionOf(user_id, totals_.partitions);
  const auto found = positions_.find(partition);
  const uint64_t position = found == positions_.end() ? 0 : found->second;
  if (head.last_sequence <= position &&
      head.incarnation <= IncarnationAt(position - head.last_sequence)) {
    return;
  }
  Report(kHeadsName, user_id,
         absl::StrCat("incarnation ", head.incarnation, " and ",
                      head.last_sequence, " events, but partition ", partition,
                      " has had ", position));
}

StoreTotals Verifier::Run(OpenedStore store) {
  totals_.partitions = store.partitions;
  CheckTableFiles(*store.db);
  for (const auto& [fingerprint, unused] : store.states) {
    fingerprints_.push_back(fingerprint);
  }
  UserWalk walk(store, [this](absl::string_view family, absl::string_view what) {
    Report(family, "", what);
  });
  store_ = std::make_unique<RocksDbStateStore>(std::move(store));
  const absl::Status marks = store_->ForEachSourceMark(
      [this](absl::string_view source, const SourceMark& mark) {
        marks_.emplace(source, mark.complete_through);
      });
  if (!marks.ok()) {
    Report(rocksdb::kDefaultColumnFamilyName, "", marks.message());
  }
  ReadMarks();
  CheckCatalogue();
  const auto schemas = store_->ListSchemas();
  if (schemas.ok()) {
    num_schemas_ = schemas->size();
  } else {
    Report(rocksdb::kDefaultColumnFamilyName, "", schemas.status().message());
    num_schemas_ = std::numeric_limits<uint32_t>::max();
  }
  for (std::string user_id; walk.Next(user_id);) CheckUser(user_id);
  const auto erasures =
      store_->ListErasures("", std::numeric_limits<size_t>::max());
  if (!erasures.ok()) {
    Report(rocksdb::kDefaultColumnFamilyName, "", erasures.status().message());
  }
  return totals_;
}

}  // namespace

absl::StatusOr<StoreTotals> VerifyStore(const std::string& path,
                                        const StoreProblemSink& sink) {
  const auto lock = rocksdb_internal::LockForInspection(path);
  if (!lock.ok()) return lock.status();
  RocksDbOptions options;
  options.path = path;
  Verifier verifier(sink);
  using rocksdb_internal::OpenMode;
  auto store = rocksdb_internal::OpenStore(options, OpenMode::kInspect);
  if (absl::IsDataLoss(store.status())) {
    const absl::Status strict = store.status();
    store = rocksdb_internal::OpenStore(options, OpenMode::kSalvage);
    if (store.ok()) verifier.Report("files", "", strict.message());
  }
  if (!store.ok()) return store.status();
  return verifier.Run(*std::move(store));
}

}  // namespace qlarank
