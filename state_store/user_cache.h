// What is kept in memory per user, one value in each of a few spaces (such as
// models): immutable values under one budget of bytes, the least recently used
// evicted first, so that each space has the share that it needs.
//
// The cache is split into shards by a hash of the user id, each with its own
// lock and an equal share of the budget. The budget holds at every moment: room
// is made before a value is published. A value that alone is larger than a
// share is not kept at all but evicted at once. So that this stays rare, there
// are fewer shards the smaller the budget is, down to one.
//
// Values are shared_ptr<const V>: a reader keeps what it looked up for as long
// as it likes, whatever happens in the cache meanwhile. The budget counts what
// the cache holds, not what readers still hold.
//
// Evicted values go to a callback, called without any lock, on the thread whose
// insertion made the room. Until it returns, a look-up of that user misses
// although the newest value is not written yet, so what the callback writes
// must be something that can be rebuilt. Replaced and erased values go nowhere.
//
// Example:
//   UserCache<UserState> cache({.budget_bytes = 1 << 30},
//                              [&](const UserCacheKey& key,
//                                  std::shared_ptr<const UserState> state) {
//                                WriteSnapshot(key.user_id, *state);
//                              });
//   cache.InsertIf(user_id, state, state->bytes(), [&](const UserState* old) {
//     return old == nullptr || old->sequence() < state->sequence();
//   });
//
// Thread-safe.
#ifndef QLARANK_STATE_STORE_USER_CACHE_H_
#define QLARANK_STATE_STORE_USER_CACHE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

// Of a value. Borrows the user id.
struct UserCacheKey {
  // A user id alone is a key of the first space.
  UserCacheKey(absl::string_view user_id, uint32_t space = 0)  // NOLINT
      : user_id(user_id), space(space) {}
  UserCacheKey(const std::string& user_id, uint32_t space = 0)  // NOLINT
      : user_id(user_id), space(space) {}
  UserCacheKey(const char* user_id, uint32_t space = 0)  // NOLINT
      : user_id(user_id), space(space) {}

  absl::string_view user_id;
  uint32_t space;

  friend bool operator==(const UserCacheKey&, const UserCacheKey&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const UserCacheKey& key) {
    return H::combine(std::move(hash), key.user_id, key.space);
  }
};

struct UserCacheOptions {
  // What all entries together may take, by their charges plus
  // kUserCacheEntryBytes and the length of the user id for each. 0 keeps
  // nothing.
  size_t budget_bytes = size_t{1} << 30;

  // At most this many shards, at least 1. More of them contend less.
  // Default 16.
  size_t max_shards = 16;

  // No share of the budget is smaller, unless there is one shard only.
  // Default 4 MiB.
  size_t min_share_bytes = size_t{4} << 20;

  // Called, without any lock, with what a change made of the numbers of entries
  // and bytes, as UserCacheStats counts them. May be empty.
  std::function<void(int64_t entries, int64_t bytes)> on_change = nullptr;
};

struct UserCacheStats {
  uint64_t hits = 0;       // of Lookup
  uint64_t misses = 0;     // of Lookup
  uint64_t evictions = 0;  // callbacks made
  size_t entries = 0;
  size_t bytes = 0;  // as the budget counts them
};

// What an entry takes beside its value and user id: list and map nodes,
// pointers.
inline constexpr size_t kUserCacheEntryBytes = 160;

template <typename V>
class UserCache {
 public:
  using Value = std::shared_ptr<const V>;
  using OnEvict = std::function<void(const UserCacheKey& key, Value value)>;

  // `on_evict` may be empty. It may call the cache.
  explicit UserCache(const UserCacheOptions& options,
                     OnEvict on_evict = nullptr)
      : on_evict_(std::move(on_evict)),
        on_change_(options.on_change),
        shards_(ShardCount(options)) {
    share_bytes_ = options.budget_bytes / shards_.size();
  }

  // Evicts nothing: who wants what is left calls ForEach first.
  ~UserCache() = default;
  UserCache(const UserCache&) = delete;
  UserCache& operator=(const UserCache&) = delete;

  // The user's value, now the most recently used; null if there is none.
  Value Lookup(const UserCacheKey& key);

  // Publishes `value` (not null) in place of the user's old one. `charge_bytes`
  // is what the value takes. Evicts others to make room.
  void Insert(const UserCacheKey& key, Value value, size_t charge_bytes) {
    InsertIf(key, std::move(value), charge_bytes,
             [](const V*) { return true; });
  }

  // The same, if `replaces` returns true for the old value, null when there is
  // none. It is called under the shard's lock, so that nobody publishes between
  // the question and the answer; it must be short and must not call the cache.
  // Returns what it returned. A value too large to be kept still replaces, that
  // is removes, the old one.
  bool InsertIf(const UserCacheKey& key, Value value, size_t charge_bytes,
                absl::FunctionRef<bool(const V* old)> replaces);

  // What all entries may take from now on; evicts what is too much. The number of
  // shards stays.
  void SetBudget(size_t budget_bytes);

  // Removes the user's value and returns it; null if there was none.
  Value Erase(const UserCacheKey& key);

  // Removes every value of a space, and calls `visit` for each, without any lock.
  void EraseSpace(uint32_t space,
                  absl::FunctionRef<void(const UserCacheKey& key,
                                         const Value& value)>
                      visit);

  // Calls `visit` for every entry, without any lock; each shard's entries are
  // those of one moment. For a last flush.
  void ForEach(
      absl::FunctionRef<void(const UserCacheKey& key, const Value& value)>
          visit) const;

  // Sums over the shards, one after the other.
  UserCacheStats Stats() const;

 private:
  struct Entry {
    std::string user_id;
    uint32_t space;
    Value value;
    size_t bytes;  // as the budget counts it

    UserCacheKey key() const { return {user_id, space}; }
  };
  using Entries = std::list<Entry>;  // most recently used first

  struct Shard {
    mutable absl::Mutex mutex;
    Entries entries ABSL_GUARDED_BY(mutex);
    // Keys are borrowed from the entries.
    absl::flat_hash_map<UserCacheKey, typename Entries::iterator> by_key
        ABSL_GUARDED_BY(mutex);
    size_t bytes ABSL_GUARDED_BY(mutex) = 0;
    uint64_t hits ABSL_GUARDED_BY(mutex) = 0;
    uint64_t misses ABSL_GUARDED_BY(mutex) = 0;
    uint64_t evictions ABSL_GUARDED_BY(mutex) = 0;

    // Moves an entry out of the shard, to the end of `to`.
    void Remove(typename Entries::iterator it, Entries& to)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
      by_key.erase(it->key());
      bytes -= it->bytes;
      to.splice(to.end(), entries, it);
    }
  };

  static size_t ShardCount(const UserCacheOptions& options) {
    const size_t affordable =
        options.budget_bytes / std::max<size_t>(options.min_share_bytes, 1);
    return std::max<size_t>(1, std::min(options.max_shards, affordable));
  }

  Shard& ShardOf(const UserCacheKey& key) {
    return shards_[absl::HashOf(key.user_id) % shards_.size()];
  }

  // What a shard holds before something is done to it, then what that changed.
  struct Size {
    int64_t entries;
    int64_t bytes;
  };
  static Size SizeOf(const Shard& shard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex) {
    return {static_cast<int64_t>(shard.entries.size()),
            static_cast<int64_t>(shard.bytes)};
  }
  static Size Change(const Size& before, const Size& after) {
    return {after.entries - before.entries, after.bytes - before.bytes};
  }
  void Report(const Size& change) const {
    if (on_change_ != nullptr) on_change_(change.entries, change.bytes);
  }

  const OnEvict on_evict_;
  const std::function<void(int64_t, int64_t)> on_change_;
  std::vector<Shard> shards_;
  std::atomic<size_t> share_bytes_;
};

template <typename V>
void UserCache<V>::SetBudget(size_t budget_bytes) {
  const size_t share = budget_bytes / shards_.size();
  share_bytes_ = share;
  for (Shard& shard : shards_) {
    Entries evicted;
    Size change;
    {
      absl::MutexLock lock(&shard.mutex);
      const Size before = SizeOf(shard);
      while (shard.bytes > share) {
        shard.Remove(std::prev(shard.entries.end()), evicted);
      }
      shard.evictions += evicted.size();
      change = Change(before, SizeOf(shard));
    }
    Report(change);
    if (on_evict_ == nullptr) continue;
    for (Entry& entry : evicted) {
      on_evict_(entry.key(), std::move(entry.value));
    }
  }
}

template <typename V>
typename UserCache<V>::Value UserCache<V>::Lookup(const UserCacheKey& key) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto it = shard.by_key.find(key);
  if (it == shard.by_key.end()) {
    ++shard.misses;
    return nullptr;
  }
  ++shard.hits;
  shard.entries.splice(shard.entries.begin(), shard.entries, it->second);
  return it->second->value;
}

template <typename V>
bool UserCache<V>::InsertIf(const UserCacheKey& key, Value value,
                            size_t charge_bytes,
                            absl::FunctionRef<bool(const V* old)> replaces) {
  const size_t bytes = charge_bytes + key.user_id.size() + kUserCacheEntryBytes;
  Shard& shard = ShardOf(key);
  // Freed, as evicted ones are handed over, after the lock is released. The
  // value that is replaced goes with the argument.
  Entries removed;
  Entries evicted;
  Size change;
  {
    absl::MutexLock lock(&shard.mutex);
    const Size before = SizeOf(shard);
    const auto it = shard.by_key.find(key);
    const bool found = it != shard.by_key.end();
    const size_t share_bytes = share_bytes_;
    if (!replaces(found ? it->second->value.get() : nullptr)) return false;
    if (bytes > share_bytes) {
      if (found) shard.Remove(it->second, removed);
      evicted.push_back(
          {std::string(key.user_id), key.space, std::move(value), bytes});
    } else {
      const size_t old_bytes = found ? it->second->bytes : 0;
      if (found) {  // the last that room is made of, so never
        shard.entries.splice(shard.entries.begin(), shard.entries, it->second);
      }
      while (shard.bytes - old_bytes + bytes > share_bytes) {
        shard.Remove(std::prev(shard.entries.end()), evicted);
      }
      if (found) {
        it->second->value.swap(value);
        it->second->bytes = bytes;
      } else {
        shard.entries.push_front(
            {std::string(key.user_id), key.space, std::move(value), bytes});
        shard.by_key.emplace(shard.entries.front().key(),
                             shard.entries.begin());
      }
      shard.bytes = shard.bytes - old_bytes + bytes;
    }
    shard.evictions += evicted.size();
    change = Change(before, SizeOf(shard));
  }
  Report(change);
  if (on_evict_ != nullptr) {
    for (Entry& entry : evicted) {
      on_evict_(entry.key(), std::move(entry.value));
    }
  }
  return true;
}

template <typename V>
typename UserCache<V>::Value UserCache<V>::Erase(const UserCacheKey& key) {
  Shard& shard = ShardOf(key);
  Entries erased;
  Size change;
  {
    absl::MutexLock lock(&shard.mutex);
    const auto it = shard.by_key.find(key);
    if (it == shard.by_key.end()) return nullptr;
    const Size before = SizeOf(shard);
    shard.Remove(it->second, erased);
    change = Change(before, SizeOf(shard));
  }
  Report(change);
  return std::move(erased.front().value);
}

template <typename V>
void UserCache<V>::EraseSpace(
    uint32_t space,
    absl::FunctionRef<void(const UserCacheKey& key, const Value& value)>
        visit) {
  for (Shard& shard : shards_) {
    Entries erased;
    Size change;
    {
      absl::MutexLock lock(&shard.mutex);
      const Size before = SizeOf(shard);
      for (auto it = shard.entries.begin(); it != shard.entries.end();) {
        const auto next = std::next(it);
        if (it->space == space) shard.Remove(it, erased);
        it = next;
      }
      change = Change(before, SizeOf(shard));
    }
    Report(change);
    for (const Entry& entry : erased) visit(entry.key(), entry.value);
  }
}

template <typename V>
void UserCache<V>::ForEach(
    absl::FunctionRef<void(const UserCacheKey& key, const Value& value)>
        visit) const {
  for (const Shard& shard : shards_) {
    std::vector<Entry> entries;
    {
      absl::MutexLock lock(&shard.mutex);
      entries.assign(shard.entries.begin(), shard.entries.end());
    }
    for (const Entry& entry : entries) visit(entry.key(), entry.value);
  }
}

template <typename V>
UserCacheStats UserCache<V>::Stats() const {
  UserCacheStats stats;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    stats.hits += shard.hits;
    stats.misses += shard.misses;
    stats.evictions += shard.evictions;
    stats.entries += shard.entries.size();
    stats.bytes += shard.bytes;
  }
  return stats;
}

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_USER_CACHE_H_
