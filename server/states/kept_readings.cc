#include "server/states/kept_readings.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace qlarank {
namespace {

// What an entry takes beside its inputs and reading: list node, pointers, the
// reading's count of owners.
constexpr size_t kEntryBytes = 160;

}  // namespace

size_t ReadingCache::bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

void ReadingCache::Remove(Entries::iterator entry, Entries& removed) {
  std::vector<Entries::iterator>& of_state = entry->state->entries_;
  of_state.erase(std::find(of_state.begin(), of_state.end(), entry));
  bytes_ -= entry->bytes;
  removed.splice(removed.end(), entries_, entry);
}

KeptReadings::~KeptReadings() {
  if (!used_) return;
  ReadingCache::Entries removed;  // freed without the lock
  int64_t bytes = 0;
  {
    absl::MutexLock lock(&cache_->mutex_);
    bytes -= static_cast<int64_t>(cache_->bytes_);
    while (!entries_.empty()) cache_->Remove(entries_.back(), removed);
    bytes += static_cast<int64_t>(cache_->bytes_);
  }
  cache_->Report(bytes);
}

std::shared_ptr<const Reading> KeptReadings::Find(const std::string& inputs) {
  for (const Entry entry : entries_) {
    if (entry->inputs != inputs) continue;
    cache_->entries_.splice(cache_->entries_.begin(), cache_->entries_, entry);
    return entry->reading;
  }
  return nullptr;
}

std::shared_ptr<const Reading> KeptReadings::Get(const std::string& inputs) {
  absl::MutexLock lock(&cache_->mutex_);
  return Find(inputs);
}

std::shared_ptr<const Reading> KeptReadings::Keep(
    const std::string& inputs, size_t bytes,
    std::shared_ptr<const Reading> made) {
  bytes += inputs.size() + kEntryBytes;
  if (bytes > cache_->budget_bytes_) return made;
  ReadingCache::Entries removed;  // freed without the lock
  ReadingCache::Entries fresh;
  fresh.push_back({this, inputs, made, bytes});
  int64_t change = 0;
  {
    absl::MutexLock lock(&cache_->mutex_);
    if (auto earlier = Find(inputs); earlier != nullptr) return earlier;
    change -= static_cast<int64_t>(cache_->bytes_);
    if (entries_.size() == kMostOfAState) {
      cache_->Remove(entries_.front(), removed);
    }
    while (cache_->bytes_ + bytes > cache_->budget_bytes_) {
      cache_->Remove(std::prev(cache_->entries_.end()), removed);
    }
    used_ = true;
    entries_.push_back(fresh.begin());
    cache_->entries_.splice(cache_->entries_.begin(), fresh);
    cache_->bytes_ += bytes;
    change += static_cast<int64_t>(cache_->bytes_);
  }
  cache_->Report(change);
  return made;
}

}  // namespace qlarank
