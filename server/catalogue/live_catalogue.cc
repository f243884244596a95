#include "server/catalogue/live_catalogue.h"

#include <algorithm>
#include <iterator>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "server/catalogue/entry_check.h"
#include "server/catalogue/item_rows.h"
#include "server/models/load_engine.h"
#include "server/ops/logging.h"
#include "state_store/failpoint.h"

namespace qlarank {
namespace {

constexpr size_t kChunkEntries = 1024;

absl::Status NoRoom(absl::string_view name, uint64_t version, uint64_t most,
                    uint64_t wanted) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "catalogue.max_added_items: ", most, "; ", ModelLabel(name, version),
      " would have ", wanted, " rows of added items"));
}

absl::Status AddRow(Catalogue& catalogue, const CatalogueEntry& entry,
                    const Engine& engine) {
  const auto row = RowOf(entry, engine);
  if (!row.has_value()) return absl::OkStatus();
  return catalogue.Add(entry.item_id, entry.version, row->embedding, row->bias);
}

absl::Status AddTo(Catalogue& catalogue, const CatalogueEntry& entry,
                   const Engine& engine) {
  absl::Status status = AddRow(catalogue, entry, engine);
  if (entry.removed || catalogue.any_removed()) {
    catalogue.SetRemoved(entry.item_id, entry.removed);
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LiveCatalogue>> LiveCatalogue::Open(
    CatalogueLog& log, CatalogueMetrics& metrics) {
  auto catalogue =
      std::unique_ptr<LiveCatalogue>(new LiveCatalogue(log, metrics));
  absl::MutexLock writer(&catalogue->writer_);
  if (absl::Status status = catalogue->CatchUp(); !status.ok()) return status;
  return catalogue;
}

// -- Models -------------------------------------------------------------------

absl::Status LiveCatalogue::ForEachFor(const Bundle& bundle, Take take) const {
  std::vector<uint64_t> versions;
  {
    absl::MutexLock lock(&mutex_);
    versions = items_.VersionsFor(bundle.fingerprint());
    if (MakesRowsOfContent(bundle)) {
      const size_t embeddings = versions.size();
      absl::c_copy(items_.VersionsFor(""), std::back_inserter(versions));
      std::inplace_merge(versions.begin(), versions.begin() + embeddings,
                         versions.end());
    }
  }
  for (auto begin = versions.begin(), end = begin; begin != versions.end();
       begin = end) {
    end = std::lower_bound(begin, versions.end(), *begin + kChunkEntries);
    const size_t count = *std::prev(end) - *begin + 1;
    const auto entries = log_.ReadEntries(*begin, count);
    if (!entries.ok()) return entries.status();
    if (absl::Status status = take(*entries); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LiveCatalogue::Join(absl::string_view name, uint64_t version,
                                 const std::shared_ptr<const Engine>& engine) {
  absl::MutexLock writer(&writer_);
  if (absl::Status status = CatchUp(); !status.ok()) return status;
  Catalogue& catalogue = engine->catalogue();
  const auto add = [&](absl::Span<const CatalogueEntry> entries)
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    absl::Status added;
    aside_.Run([&] {
      for (const CatalogueEntry& entry : entries) {
        if (added.ok()) added = AddRow(catalogue, entry, *engine);
      }
    });
    return added;
  };
  absl::Status status = ForEachFor(engine->bundle(), add);
  if (absl::IsResourceExhausted(status)) {
    return NoRoom(name, version, catalogue.num_added_rows(),
                  catalogue.num_added_rows() + 1);
  }
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  for (const uint64_t item_id : items_.Removed()) {
    catalogue.SetRemoved(item_id, true);
  }
  prometheus::Gauge& rows = metrics_.AddedRows(name, version);
  rows.Set(static_cast<double>(catalogue.num_added_rows()));
  metrics_.max_added_rows.Set(
      static_cast<double>(catalogue.num_added_rows() + catalogue.room()));
  followers_.push_back({std::string(name), version, engine, &rows});
  return absl::OkStatus();
}

void LiveCatalogue::Leave(absl::string_view name, uint64_t version) {
  absl::MutexLock writer(&writer_);
  absl::MutexLock lock(&mutex_);
  std::erase_if(followers_, [&](const Follower& follower) {
    const bool goes = follower.name == name && follower.version == version;
    if (goes) metrics_.NoRows(*follower.added_rows);
    return goes;
  });
}

absl::Status LiveCatalogue::CheckRoom(absl::string_view name, uint64_t version,
                                      const Bundle& bundle,
                                      uint64_t most_added_rows) const {
  uint64_t rows = 0;
  absl::Status status =
      ForEachFor(bundle, [&](absl::Span<const CatalogueEntry> entries) {
        rows += absl::c_count_if(entries, [&](const CatalogueEntry& entry) {
          return Concerns(entry, bundle);
        });
        return absl::OkStatus();
      });
  if (!status.ok() || rows <= most_added_rows) return status;
  return NoRoom(name, version, most_added_rows, rows);
}

std::vector<LiveCatalogue::Held> LiveCatalogue::Engines() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Held> engines;
  for (const Follower& follower : followers_) {
    auto engine = follower.engine.lock();
    if (engine != nullptr) engines.push_back({&follower, std::move(engine)});
  }
  return engines;
}

// -- Changes ------------------------------------------------------------------

absl::Status LiveCatalogue::CatchUp() {
  while (true) {
    const auto entries = log_.ReadEntries(version() + 1, kChunkEntries);
    if (!entries.ok()) return entries.status();
    if (entries->empty()) return absl::OkStatus();
    Apply(*entries);
  }
}

void LiveCatalogue::Apply(absl::Span<const CatalogueEntry> entries) {
  for (const auto& [follower, engine] : Engines()) {
    Catalogue& catalogue = engine->catalogue();
    for (const CatalogueEntry& entry : entries) {
      const absl::Status added = AddTo(catalogue, entry, *engine);
      if (added.ok()) continue;
      // It was tried out before it was written.
      LogError("an item that was taken cannot be added",
               {{"model", follower->name},
                {"version", follower->version},
                {"catalogue_version", entry.version},
                {"error", added}});
    }
    follower->added_rows->Set(static_cast<double>(catalogue.num_added_rows()));
  }
  for (const CatalogueEntry& entry : entries) {
    if (!entry.change.has_value()) continue;
    const auto& [request_id, digest, changed, unchanged] = *entry.change;
    answered_.Add({request_id, digest}, {changed, unchanged, entry.version});
  }
  {
    absl::MutexLock lock(&mutex_);
    for (const CatalogueEntry& entry : entries) items_.Take(entry);
  }
  version_.store(entries.back().version, std::memory_order_release);
  metrics_.version.Set(static_cast<double>(entries.back().version));
}

absl::StatusOr<bool> LiveCatalogue::Reduce(CatalogueEntry& entry) const {
  const std::optional<KnownItem> known = Find(entry.item_id);
  if (!known.has_value()) return true;
  if (entry.removed) return !known->removed;
  const auto content = known->contents.find(entry.fingerprint);
  if (content != known->contents.end()) {
    const auto before = log_.ReadEntries(content->second, 1);
    if (!before.ok()) return before.status();
    const CatalogueEntry& old = before->front();
    if (old.embedding == entry.embedding && old.bias == entry.bias &&
        old.attributes == entry.attributes && old.numbers == entry.numbers) {
      entry.fingerprint.clear();
      entry.embedding.clear();
      entry.bias = 0;
      entry.attributes.clear();
      entry.numbers.clear();
    }
  }
  if (entry.title == known->title) entry.title.clear();
  if (entry.item_key == known->key) entry.item_key.clear();
  return known->removed || !entry.embedding.empty() || HasContent(entry) ||
         !entry.title.empty() || !entry.item_key.empty();
}

absl::Status LiveCatalogue::Write(std::vector<CatalogueEntry> entries) {
  uint64_t next = version();
  for (CatalogueEntry& entry : entries) entry.version = ++next;
  QLARANK_FAILPOINT("catalogue.before_append");
  if (absl::Status written = log_.AppendEntries(entries); !written.ok()) {
    return written;
  }
  QLARANK_FAILPOINT("catalogue.appended");
  aside_.Run([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) { Apply(entries); });
  return absl::OkStatus();
}

absl::Status LiveCatalogue::CheckRoomFor(
    absl::Span<const CatalogueEntry> entries, absl::Span<const Held> engines) {
  for (const auto& [follower, engine] : engines) {
    const uint64_t rows = std::count_if(
        entries.begin(), entries.end(),
        [&bundle = engine->bundle()](const CatalogueEntry& entry) {
          return Concerns(entry, bundle);
        });
    const Catalogue& catalogue = engine->catalogue();
    if (rows <= catalogue.room()) continue;
    const uint64_t before = catalogue.num_added_rows();
    return NoRoom(follower->name, follower->version, before + catalogue.room(),
                  before + rows);
  }
  return absl::OkStatus();
}

absl::StatusOr<LiveCatalogue::Outcome> LiveCatalogue::Prepare(
    std::vector<CatalogueEntry>& wanted) {
  const std::vector<Held> engines = Engines();
  std::vector<const Engine*> served;
  for (const Held& held : engines) served.push_back(held.engine.get());
  absl::Status fault;
  aside_.Run([&] {
    for (size_t i = 0; i < wanted.size() && fault.ok(); ++i) {
      const bool in_log = Find(wanted[i].item_id).has_value();
      fault = CheckEntry(wanted[i], i, in_log, served);
    }
  });
  if (!fault.ok()) return fault;
  std::vector<CatalogueEntry> entries;
  for (CatalogueEntry& entry : wanted) {
    const absl::StatusOr<bool> is_new = Reduce(entry);
    if (!is_new.ok()) return is_new.status();
    if (*is_new) entries.push_back(std::move(entry));
  }
  if (absl::Status status = CheckRoomFor(entries, engines); !status.ok()) {
    return status;
  }
  Outcome outcome;
  outcome.changed = entries.size();
  outcome.unchanged = wanted.size() - entries.size();
  outcome.version = version();
  wanted = std::move(entries);
  return outcome;
}

absl::StatusOr<LiveCatalogue::Outcome> LiveCatalogue::TryOut(
    std::vector<CatalogueEntry> wanted) {
  absl::MutexLock writer(&writer_);
  if (absl::Status status = CatchUp(); !status.ok()) return status;
  return Prepare(wanted);
}

absl::StatusOr<LiveCatalogue::Outcome> LiveCatalogue::Change(
    std::vector<CatalogueEntry> wanted, const AskedChange& asked) {
  absl::MutexLock writer(&writer_);
  if (absl::Status status = CatchUp(); !status.ok()) return status;
  const auto before = answered_.Find(asked);
  if (!before.ok()) return before.status();
  if (*before != nullptr) {
    Outcome again = **before;
    again.repeated = true;
    return again;
  }
  absl::StatusOr<Outcome> outcome = Prepare(wanted);
  if (!outcome.ok()) return outcome;
  if (wanted.empty()) {
    answered_.Add(asked, *outcome);
    return outcome;
  }
  if (!asked.request_id.empty()) {
    wanted.back().change = {asked.request_id, asked.digest, outcome->changed,
                            outcome->unchanged};
  }
  absl::Status written = Write(std::move(wanted));
  if (!written.ok()) return written;
  outcome->version = version();
  return outcome;
}

// -- What is known ------------------------------------------------------------

std::optional<KnownItem> LiveCatalogue::Find(uint64_t item_id) const {
  absl::MutexLock lock(&mutex_);
  const KnownItem* known = items_.Find(item_id);
  return known == nullptr ? std::nullopt : std::optional(*known);
}

std::vector<std::pair<uint64_t, KnownItem>> LiveCatalogue::Behind(
    const uint64_t* after, size_t limit) const {
  std::vector<std::pair<uint64_t, KnownItem>> copies;
  absl::MutexLock lock(&mutex_);
  for (const auto& [item_id, known] : items_.Behind(after, limit)) {
    copies.emplace_back(item_id, *known);
  }
  return copies;
}

std::vector<std::pair<std::string, uint64_t>> LiveCatalogue::KnownTo(
    uint64_t item_id) const {
  std::vector<std::pair<std::string, uint64_t>> models;
  absl::MutexLock lock(&mutex_);
  for (const Follower& follower : followers_) {
    const auto engine = follower.engine.lock();
    if (engine != nullptr && engine->catalogue().Row(item_id) !=
                                 Bundle::kOutOfVocabularyRow) {
      models.emplace_back(follower.name, follower.version);
    }
  }
  return models;
}

}  // namespace qlarank
