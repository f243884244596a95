// Writes stores of format 1, as docs/storage.md described them then: byte by
// byte, without the code that wrote them. What a store of that format held and
// has changed since:
//
//   default / "qlarank format"   "qlarank store, format 1"
//   log                          events without a catalogue version; the oldest
//                                without a schema
//   heads                        incarnations at random
//   state-<fingerprint>          snapshots with the time that they were taken at
//   no marks but those of sources
#ifndef QLARANK_TESTS_STATE_STORE_FORMAT1_STORE_H_
#define QLARANK_TESTS_STATE_STORE_FORMAT1_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rocksdb/db.h"
#include "state_store/state_store.h"

namespace qlarank {

class Format1Store {
 public:
  // A new one, with room for these fingerprints. On disk once this is gone.
  Format1Store(const std::string& path,
               const std::vector<std::string>& fingerprints);
  ~Format1Store();

  // A user with these events, from head.first_sequence on.
  void PutUser(const std::string& user_id, const UserHead& head,
               const std::vector<LoggedEvent>& events);
  void PutSnapshot(const std::string& fingerprint, const std::string& user_id,
                   const Snapshot& snapshot);
  void PutSchema(uint64_t number, const std::vector<std::string>& names);
  void PutSourceMark(const std::string& source, const SourceMark& mark);
  void PutErasure(uint64_t number, const std::string& user_digest,
                  const ErasureNote& note, uint64_t events);
  void PutDigestKey(const std::string& key);

  // Any record; `kind` is the letter of its checksum, as in docs/storage.md.
  void PutRecord(const std::string& column_family, char kind,
                 const std::string& key, const std::string& message);
  void Put(const std::string& column_family, const std::string& key,
           const std::string& value);
  void Delete(const std::string& column_family, const std::string& key);

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, std::unique_ptr<rocksdb::ColumnFamilyHandle>>
      column_families_;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_FORMAT1_STORE_H_
