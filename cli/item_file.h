// Items to upsert, read from a file: CSV, one line an item, or JSON lines, one
// object an item, if the file is called .jsonl (or .json).
//
//   {"item": 7, "title": "Tea", "embedding": [0.1, ...], "bias": 0.2}
//   {"item": "B07-x", "attributes": {"brand": "A", "tags": ["x", "y"]},
//    "numbers": {"price": 4.5}}
//
// Errors are INVALID_ARGUMENT and name file, line, field and value. Not
// thread-safe.
#ifndef QLARANK_CLI_ITEM_FILE_H_
#define QLARANK_CLI_ITEM_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/item_key.h"
#include "qlarank/v1/model_admin_service.pb.h"

namespace qlarank {

// Which columns of a CSV file say what. JSON lines need `item.keys` alone.
struct ItemColumns {
  ItemColumn item;
  std::string title;                    // "": none
  std::vector<std::string> attributes;  // a cell that is empty says nothing
  std::vector<std::string> numbers;     // likewise
};

class ItemFile {
 public:
  static absl::StatusOr<std::unique_ptr<ItemFile>> Open(const std::string& path,
                                                        ItemColumns columns);
  virtual ~ItemFile() = default;

  // The next item into `item`, cleared; false at the end.
  virtual absl::StatusOr<bool> Read(v1::UpsertedItem& item) = 0;
  // Of the line last read.
  virtual uint64_t line() const = 0;

  // How much of the file has been read, if that is known.
  std::optional<double> fraction() const;

 protected:
  explicit ItemFile(std::unique_ptr<InputFile> file) : file_(std::move(file)) {}
  InputFile& file() { return *file_; }
  // Where the stream is, of what is not compressed.
  void NoteBytes(uint64_t bytes) { bytes_ = bytes; }

 private:
  const std::unique_ptr<InputFile> file_;
  uint64_t bytes_ = 0;
};

// Sets the item that a text stands for. INVALID_ARGUMENT as ParseItem.
absl::Status SetItem(const std::string& text, ItemKeys keys,
                     v1::UpsertedItem& item);

}  // namespace qlarank

#endif  // QLARANK_CLI_ITEM_FILE_H_
