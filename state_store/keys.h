// The keys of stored records, byte by byte (docs/storage.md has the same as a
// table):
//
//   user key   XXH64(user id), 8 bytes big-endian
//              length of the user id, 2 bytes big-endian
//              the user id, any bytes
//   log key    user key, then the sequence, 8 bytes big-endian
//
// The hash comes first so that users spread evenly and so that a prefix of
// fixed length serves the Bloom filters. The length comes before the id so that
// no user key is a prefix of another one, whatever bytes ids are made of: the
// events of a user are neighbours, and nobody else's lie among them.
//
// These bytes are on disks: changing them needs a new store format version.
// Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_KEYS_H_
#define QLARANK_STATE_STORE_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

inline constexpr size_t kUserHashBytes = 8;
inline constexpr size_t kMaxUserIdBytes = 65535;

// REQUIRES: user_id.size() <= kMaxUserIdBytes.
std::string UserKey(absl::string_view user_id);
std::string LogKey(absl::string_view user_id, uint64_t sequence);

// The smallest key after LogKey(user_id, sequence): the end of a range that
// includes it. The greatest sequence gives the end of the user's log.
// REQUIRES: user_id.size() <= kMaxUserIdBytes.
std::string AfterLogKey(absl::string_view user_id, uint64_t sequence);

// What a user key begins with, as a number in the order of its bytes.
uint64_t HashOfUserKey(absl::string_view user_key);

// Makes a user key a log key.
void AppendSequence(std::string& user_key, uint64_t sequence);

// Overwrites the sequence of a log key.
void SetSequence(std::string& log_key, uint64_t sequence);

// A user's hash as messages print it, 16 hexadecimal digits: whom a record is
// about, for those who know their id, without saying who they are.
std::string UserHashHex(absl::string_view user_id);

// The user id within a user key; nullopt for what is not a user key. Borrows
// from `user_key`.
std::optional<absl::string_view> UserOfUserKey(absl::string_view user_key);

// The user key that a log key begins with; nullopt for what is not a log key.
// Borrows from `log_key`.
std::optional<absl::string_view> UserKeyOfLogKey(absl::string_view log_key);

// The sequence within a log key of the user with this user key; nullopt for
// what is not such a log key.
std::optional<uint64_t> SequenceOfLogKey(absl::string_view log_key,
                                         absl::string_view user_key);

// The key of the n-th record of an erasure, in the default column family:
// "erasure ", then n, 8 bytes big-endian.
std::string ErasureKey(uint64_t number);
std::optional<uint64_t> NumberOfErasureKey(absl::string_view key);

// The key of a source's mark, in the default column family: "source ", then the
// source, any bytes.
std::string SourceMarkKey(absl::string_view source);
// Borrows from `key`.
std::optional<absl::string_view> SourceOfMarkKey(absl::string_view key);
// Likewise of a mark: "mark ", then its name, any bytes.
std::string MarkKey(absl::string_view name);
std::optional<absl::string_view> NameOfMarkKey(absl::string_view key);
// Likewise of the n-th schema of events: "schema ", then n.
std::string SchemaKey(uint64_t number);
std::optional<uint64_t> NumberOfSchemaKey(absl::string_view key);


// The key of a catalogue entry, in a column family of their own: the version,
// 8 bytes big-endian.
std::string CatalogueKey(uint64_t version);
std::optional<uint64_t> VersionOfCatalogueKey(absl::string_view key);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_KEYS_H_
